"""How fast the command line starts, and what it does not load."""

from __future__ import annotations

import os
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Seconds of processor time, best of five: what `pnyx --help` takes on an idle machine, whatever else runs meanwhile.
BAR = float(os.environ.get("PNYX_STARTUP_SECONDS", "0.1"))
HEAVY = ("torch", "transformers", "vllm", "optuna", "numpy", "rich", "networkx", "pydantic", "ruamel", "asyncio")


def processor_seconds(*arguments: str) -> float:
    # What a run with coverage puts into the environment would have the process measured, and slow.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "pnyx", *arguments], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_starts_at_once() -> None:
    assert min(processor_seconds("--help") for _ in range(5)) < BAR


def test_check_of_a_thousand_lines_is_quick(tmp_path: Path) -> None:
    """A guard at ten times the bar of `--help`; what it really takes is measured by `benchmarks/start_up.py`."""
    program = runpy.run_path(str(ROOT / "benchmarks" / "start_up.py"))["program"]()
    assert program.count("\n") >= 1000
    (tmp_path / "large.pnyx").write_text(program, encoding="utf-8")
    assert min(processor_seconds("check", str(tmp_path / "large.pnyx")) for _ in range(3)) < 10 * BAR


@pytest.mark.parametrize("command", ["--help", "check"])
def test_heavy_packages_stay_out(command: str, tmp_path: Path) -> None:
    script = f"""
import sys
from pnyx.cli import main
arguments = ["--help"] if {command!r} == "--help" else ["check", "first.pnyx"]
if {command!r} == "check":
    assert main(["new", "first.pnyx"]) == 0
try:
    code = main(arguments)
except SystemExit as stop:
    code = stop.code
assert not code, code
print("LOADED", *(name for name in {HEAVY!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED"
