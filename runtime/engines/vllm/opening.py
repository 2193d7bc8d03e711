"""Starting vLLM: quiet, with settings that its own processes see too.

Invariants: a variable of the environment that the user has set stays as it is; nothing of vllm is imported before the
others are set.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryFile
from threading import get_ident
from typing import IO, Any, Final, TextIO, cast

from pnyx.runtime.config import EngineOptions
from pnyx.runtime.errors import ConfigurationError, EngineFailure
from pnyx.runtime.models.folder import weight_bytes
from pnyx.runtime.store import parse_size

__all__ = ["Opened", "start"]

_LEVEL: Final = "VLLM_LOGGING_LEVEL"
_QUIET: Final = {
    _LEVEL: "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_ERROR = re.compile(r"\b\w*(?:Error|Exception): (.+)$", re.MULTILINE)
_RUN_TWICE: Final = "before the current process has finished its bootstrapping phase"
_CPU_WINDOW: Final = 64
_CPU_BLOCK: Final = 32
"""Tokens. Beginnings of prompts are shared by whole blocks; vLLM's own 128 on a CPU are longer than most questions."""
_GPU_WINDOW: Final = 256
_CPU_CACHE: Final = 4 << 30
"""Bytes of keys and values at most, where nobody says."""


@dataclass(slots=True, eq=False)
class Opened:
    """`model`: vLLM's AsyncLLM, None once it is closed. Nobody else holds it: vLLM keeps the frames of those who
    imported it, and what they hold is cleaned up noisily when the interpreter ends. `context` in tokens. `watch` ends
    vLLM's processes when this one is gone, however it ends. `sleeps`: whether it can give the memory of the GPU back
    and keep the weights in that of the machine."""

    model: Any
    watch: subprocess.Popen[bytes]
    window: int
    context: int
    dtype: str
    sleeps: bool


def start(folder: Path, options: EngineOptions, *, swapped: bool = False) -> Opened:
    """Imports vllm (10 to 20 seconds) and loads the model (half a minute on a CPU). `swapped`: it will not always be in
    memory. Raises ConfigurationError for a device that this build of vLLM does not run on, EngineFailure where the
    model cannot be loaded."""
    speaks = os.environ.get(_LEVEL, _QUIET[_LEVEL]) != _QUIET[_LEVEL]  # a former start has set it too
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with nullcontext() if speaks else _hushed() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vllm import AsyncEngineArgs  # pyright: ignore
        from vllm.platforms import current_platform  # pyright: ignore
        from vllm.v1.engine.async_llm import AsyncLLM  # pyright: ignore

        cpu = current_platform.device_type == "cpu"
        _check_device(options.device, current_platform.device_type)
        window = options.window or (_CPU_WINDOW if cpu else _GPU_WINDOW)
        sleeps = swapped and not cpu and current_platform.is_sleep_mode_available()
        memory = None if options.memory is None else parse_size(options.memory)
        total = 0 if cpu or memory is None else current_platform.get_device_total_memory()
        arguments = AsyncEngineArgs(
            model=str(folder),
            dtype=options.dtype or "auto",
            max_model_len=options.context,
            max_num_seqs=window,
            enforce_eager=cpu,  # compiling takes minutes there and gains little
            # There a prompt with a seed that is computed in pieces ends the engine: its generators have no offset.
            enable_chunked_prefill=False if cpu else None,
            max_num_batched_tokens=options.batched_tokens,
            block_size=options.block or (_CPU_BLOCK if cpu else None),
            enable_prefix_caching=True,
            scheduling_policy="priority",
            enable_sleep_mode=sleeps,
            kv_cache_memory_bytes=_cpu_cache(folder, memory) if cpu else None,
            disable_log_stats=True,
            use_tqdm_on_load=False,
            **({"gpu_memory_utilization": min(memory / total, 1.0)} if total and memory else {}),
        )
        there = set(active_children())
        try:
            opened = Opened(AsyncLLM.from_engine_args(arguments), _watch(there), window, 0, "", sleeps)
        except Exception as error:  # vllm and what is below it raise anything
            raise EngineFailure(
                f"vLLM cannot load the model in `{folder}`: {_reason(error, said)}",
                help="`VLLM_LOGGING_LEVEL=INFO` in the environment shows what it does",
            ) from error
    settings = opened.model.model_config
    opened.context, opened.dtype = settings.max_model_len, str(settings.dtype).removeprefix("torch.")
    return opened


def _watch(others: Collection[BaseProcess]) -> subprocess.Popen[bytes]:
    """A process that is killed cannot end those that vLLM has started for it, which would keep the memory that the next
    run needs. A shell waits for the end of a pipe, which is the end of this process. `others` are not vLLM's."""
    started = [str(child.pid) for child in active_children() if child not in others]
    command = ["sh", "-c", 'read -r _; kill -9 "$@"', "sh", *started]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def _check_device(wanted: str | None, there: str) -> None:
    if wanted is not None and wanted != there:
        raise ConfigurationError(
            f"this build of vLLM runs on `{there}`, not on `{wanted}`",
            help="leave `device` out; `CUDA_VISIBLE_DEVICES` in the environment chooses among several GPUs",
        )


def _cpu_cache(folder: Path, memory: int | None) -> int:
    """Bytes of keys and values: what the weights leave of `memory`; without it a quarter of the memory that is free
    now, within bounds. `VLLM_CPU_KVCACHE_SPACE` in the environment counts before it."""
    if memory is not None:
        return max(memory - weight_bytes(folder), 1 << 26)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 1 << 30
    return min(max(free // 4, 1 << 30), _CPU_CACHE)


class _Shared:
    """Standard error while one thread is hushed: `own` for that thread, `heard` for the others; `own` for all again
    when `quiet` is None. What vLLM imports meanwhile may keep it."""

    def __init__(self, own: TextIO, heard: TextIO) -> None:
        self.own, self.heard = own, heard
        self.quiet: int | None = get_ident()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own if self.quiet in (None, get_ident()) else self.heard, name)


@contextmanager
def _hushed() -> Iterator[IO[bytes]]:
    """What this thread and the processes that it starts meanwhile write to standard error goes into a file instead:
    notices that no setting silences, and the reason where a process of vLLM fails. Other threads are heard."""
    with TemporaryFile() as said:
        own = sys.stderr
        own.flush()
        spoken = os.dup(2)
        heard = os.fdopen(spoken, "w", buffering=1, encoding=own.encoding, errors=own.errors)
        shared = _Shared(own, heard)
        sys.stderr = cast("TextIO", shared)
        os.dup2(said.fileno(), 2)
        try:
            yield said
        finally:
            own.flush()
            heard.flush()
            os.dup2(spoken, 2)
            shared.quiet = None
            sys.stderr = own
            heard.close()


def _reason(error: Exception, said: IO[bytes] | None) -> str:
    """The last error that a process of vLLM told before it ended, else `error` in one line."""
    if said is not None:
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
        if _RUN_TWICE in text:
            return 'it runs the script a second time; put what the script does under `if __name__ == "__main__":`'
        told = _ERROR.findall(text)
        told = [line for line in told if "initialization failed" not in line]
        if told:
            return str(told[-1])[:300]
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
