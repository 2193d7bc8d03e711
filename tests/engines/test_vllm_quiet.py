"""While vLLM starts in a thread, it is not heard, and the others are."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: pytest puts something else in the place of standard error.
SCRIPT = """
import os, sys
from threading import Event, Thread
from pnyx.runtime.engines.vllm.opening import _hushed

hushed, over, before, kept = Event(), Event(), sys.stderr, []

def start():
    with _hushed() as said:
        print("a notice", file=sys.stderr)
        os.system("echo of a process >&2")
        kept.append(sys.stderr)
        hushed.set()
        over.wait(60)
        said.seek(0)
        print(said.read().decode(), end="")

thread = Thread(target=start)
thread.start()
hushed.wait(60)
print("time is up", file=sys.stderr)
over.set()
thread.join(60)
print("later", file=kept[0])
assert sys.stderr is before
"""


def test_only_the_thread_that_starts_it_is_hushed() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("a notice\nof a process\n", "time is up\nlater\n")
