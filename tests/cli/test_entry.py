"""The frame of the command line: help, usage, exit codes, failures, pipes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pnyx.cli import entry, main
from pnyx.compiler.diagnostics import CompileError, Diagnostic
from pnyx.runtime import errors

COMMANDS = (
    "check", "fmt", "explain", "graph", "compile", "run", "map", "bench", "curve", "ablate", "search", "tune-engine",
    "convert", "import", "export", "report", "models", "store", "new", "lsp",
)  # fmt: skip


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^    (\S+)", shown, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: pnyx {name}" in capsys.readouterr().out


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pnyx {version('pnyx')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek", "a.pnyx"], "unknown command `chek`; did you mean `check`?"),
        (["xyzzy"], "unknown command `xyzzy`; the commands are check, fmt,"),
        (["check"], "the following arguments are required: FILE"),
        (["check", "a.pnyx", "--jsn"], "pnyx check: error: unrecognized arguments: --jsn; did you mean `--json`?"),
        (["models", "list", "--jsn"], "pnyx models list: error: unrecognized arguments: --jsn; did you mean `--json`?"),
        (["check", "a.pnyx", "--zzz=3", "b"], "pnyx check: error: unrecognized arguments: --zzz=3 b\n"),
        (["compile", "a.pnyx", "--set", "n"], "`n` is not NAME=VALUE"),
        (["graph", "a.pnyx", "--format", "png"], "invalid choice: 'png'"),
        (["run", "a.pnyx", "--seed", "many"], "`many` is not a whole number"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Runs `pnyx new` with a body that raises."""

    def run(error: BaseException) -> int:
        def fail(_: object) -> int:
            raise error

        fake = SimpleNamespace(add_arguments=lambda _: None, run=fail)
        monkeypatch.setattr(entry, "import_module", lambda _: fake)
        return main(["new"])

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CompileError([Diagnostic("E603", "no such pipeline")]), 1, "error[E603]: no such pipeline"),
        (errors.ModelNotFound("no model `x`", help="pull it"), 1, "error[E605]: no model `x`"),
        (errors.ConfigurationError("bad file"), 1, "error[E604]: bad file"),
        (errors.PackageMissing("no torch"), 1, "error[E608]: no torch"),
        (errors.CapabilityMissing("cannot"), 1, "error[E606]: cannot"),
        (errors.EmptyPool("pool is empty", place="a.pnyx:3:4"), 1, "R805]: pool is empty (at a.pnyx:3:4)"),
        (errors.EngineFailure("gone"), 4, "R807]: gone"),
        (PermissionError(13, "Permission denied", "a/b"), 1, "error[E601]: `a/b`: permission denied"),
    ],
)
def test_failures_are_diagnostics(
    error: Exception, code: int, said: str, raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_every_runtime_failure_has_a_registered_code() -> None:
    from pnyx.compiler.diagnostics import CODES

    kinds = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]
    assert {kind.code for kind in kinds} <= set(CODES)
    assert set(CODES) >= errors.ENGINE_CODES


def test_a_bug_is_called_one(
    raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PNYX_DEBUG", raising=False)
    assert raising(ZeroDivisionError("x")) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("internal error: ZeroDivisionError: x\n")
    assert "Traceback" not in shown
    monkeypatch.setenv("PNYX_DEBUG", "1")
    assert raising(ZeroDivisionError("x")) == 70
    assert "Traceback" in capsys.readouterr().err


def test_interruption(raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_broken_pipe_is_quiet() -> None:
    script = "from pnyx.cli import entry; import sys; sys.exit(entry.main(['--help']))"
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.stderr is not None
    with writer.stderr as errors_shown:
        assert errors_shown.read() == ""
    assert writer.wait() == 0
