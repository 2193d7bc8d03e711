"""A fault of the server itself: it is logged, the editor hears nothing of it, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types as lsp

from pnyx.compiler.language_server import server as module
from pnyx.compiler.language_server.document import Document
from pnyx.compiler.language_server.server import Server

URI = "file:///main.pnyx"
TEXT = 'model small = "smollm2-135m"\n'


def fail(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("a fault")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[lsp.PublishDiagnosticsParams]:
    found: list[lsp.PublishDiagnosticsParams] = []
    monkeypatch.setattr(
        Server, "text_document_publish_diagnostics", lambda self, params: found.append(params), raising=True
    )
    return found


@pytest.fixture
def server() -> Server:
    made = Server()
    made.documents[URI] = Document(URI, TEXT, 1, "utf-16")
    return made


def test_a_check_that_fails_is_logged_and_sends_nothing(
    server: Server,
    sent: list[lsp.PublishDiagnosticsParams],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(module, "diagnostics", fail)
        server.publish(URI)
    assert sent == []
    assert f"checking {URI} failed" in caplog.text
    assert "ZeroDivisionError: a fault" in caplog.text
    server.publish(URI)
    assert [(params.uri, params.version) for params in sent] == [(URI, 1)]


def test_a_question_that_fails_is_logged_and_answers_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "hover", fail)
    handler = server.protocol.fm.features[lsp.TEXT_DOCUMENT_HOVER]
    answer = handler(lsp.HoverParams(lsp.TextDocumentIdentifier(URI), lsp.Position(0, 0)))
    assert answer is None
    assert "hover failed" in caplog.text
    assert "ZeroDivisionError: a fault" in caplog.text
    outline = server.protocol.fm.features[lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL]
    found = outline(lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(URI)))
    assert [symbol.name for symbol in found] == ["small"]
