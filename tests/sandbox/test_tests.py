"""Which tests a program passes, and what it may try to pass more of them."""

from __future__ import annotations

import time
from textwrap import dedent

import pytest

from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import Sandbox, open_sandbox
from pnyx.runtime.sandbox.testing import passed, with_tests

DOUBLE = "def double(x):\n    return 2 * x\n"
GOOD, BAD = "assert double(4) == 8", "assert double(4) == 9"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return open_sandbox(user="test", place=None)
    except SandboxUnusable as refused:
        pytest.skip(refused.message)


def run(sandbox: Sandbox, program: str, *tests: str, seconds: float = 5.0) -> str:
    return passed(sandbox.start(with_tests(dedent(program), tests, seconds)).wait())


def test_tests_pass_that_come_to_their_end(sandbox: Sandbox) -> None:
    tests = [GOOD, BAD, "1 +", "import sys; sys.exit(0)", "double(0)", "raise SystemExit", "assert False"]
    assert run(sandbox, DOUBLE, *tests) == "1 5"


@pytest.mark.parametrize(
    "program",
    [
        "1 / 0",
        "def double(x",
        DOUBLE + "import sys; sys.exit(0)",
        DOUBLE + "import os; os._exit(0)",
        "import os\nfor n in range(64):\n    try: os.write(n, b'1' * 16)\n    except OSError: pass\nos._exit(0)",
        "import os\nos.close(0)\nos.kill(os.getppid(), 9)",
        "raise KeyboardInterrupt",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: os._exit(0)",
    ],
)
def test_what_leaves_early_passes_nothing(sandbox: Sandbox, program: str) -> None:
    assert run(sandbox, program, "pass", "assert True", seconds=1.0) == ""


def test_each_test_runs_behind_a_program_of_its_own(sandbox: Sandbox) -> None:
    tests = ["global n\nn += 1\nassert n == 1"] * 3
    assert run(sandbox, "n = 0", *[test.removeprefix("global n\n") for test in tests]) == "1 2 3"


def test_a_test_that_takes_too_long_costs_the_others_nothing(sandbox: Sandbox) -> None:
    began = time.monotonic()
    assert run(sandbox, DOUBLE, GOOD, "while True: pass", GOOD, seconds=0.5) == "1 3"
    assert time.monotonic() - began < 4


def test_what_a_test_starts_ends_with_it(sandbox: Sandbox) -> None:
    leaves = "import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)"
    assert run(sandbox, "", leaves, leaves, leaves) == "1 2 3"


def test_programs_are_modules_and_not_the_main_one(sandbox: Sandbox) -> None:
    program = """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass
        class Point:
            x: int

        print("noise")
        if __name__ == "__main__":
            input("never asked")
    """
    assert run(sandbox, program, "assert Point(3).x == 3") == "1"
    assert run(sandbox, program, "assert Point.__annotations__ == {'x': 'int'}") == "1"
    assert run(sandbox, program, "x: undefined = 3") == ""  # what the program imports from the future is its own


def test_no_tests_pass_when_there_are_none(sandbox: Sandbox) -> None:
    assert run(sandbox, DOUBLE) == ""
