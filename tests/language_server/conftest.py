"""A server for the tests of this folder, and one document in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from language_server.client import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One for the tests of a module; each opens a document of its own. Nothing may be logged."""
    with Client(tmp_path_factory.mktemp("workspace")) as running:
        yield running
    assert running.log == []
    assert running.process.returncode == 0
