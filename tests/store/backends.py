"""A PostgreSQL server of the tests' own, where Debian's packages are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _tools() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Its address. It listens on a socket in `folder` alone. Skips where there is none."""
    tools = _tools()
    if tools is None or not (tools / "initdb").exists():
        pytest.skip("PostgreSQL is not installed")
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder.mkdir(parents=True)
    if user:
        shutil.chown(folder, user)

    def run(*words: str) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run(words, check=True, user=user, cwd=folder, env=environment, capture_output=True, timeout=60)

    data = str(folder / "data")
    run(str(tools / "initdb"), "-D", data, "-U", "pnyx", "-A", "trust", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(str(tools / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://pnyx@/postgres?host={folder}"
    finally:
        run(str(tools / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
