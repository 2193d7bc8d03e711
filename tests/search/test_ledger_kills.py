"""Workers that are killed at any moment: a smaller version of `benchmarks/search/ledger.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "search" / "ledger.py"


def test_a_budget_survives_kills() -> None:
    """The script fails where the budget is exceeded, too little of it can be used, or a sample is drawn twice."""
    options = ["--repeats", "1", "--workers", "3", "--budget", "12000", "--kills", "3"]
    done = subprocess.run([sys.executable, SCRIPT, *options], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    assert found["usable"] >= 0.95
    assert found["kills"] >= 1
    assert found["draws"] >= 50
