"""What every test may use: the real small model, and Hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed and the tests share them, so no deadline; on CI the same examples every time.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")
# A test that wants a call store names one.
os.environ["PNYX_STORE"] = "none"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct. Skips where it was not pulled, unless PNYX_REQUIRE_MODEL is set."""
    from pnyx.runtime.errors import ModelNotFound
    from pnyx.runtime.models import find

    try:
        return find("smollm2-135m").folder
    except ModelNotFound as missing:
        if os.environ.get("PNYX_REQUIRE_MODEL"):
            raise
        pytest.skip(f"{missing.message}; `pnyx models pull smollm2-135m` fetches it")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files from what is there now")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
