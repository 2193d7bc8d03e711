"""The protocol: what the editor says goes to the documents, what they say goes back.

Invariants: a handler that fails is logged and answers nothing; the server goes on. Diagnostics are sent once typing
pauses, with the version they are of; a question is always answered for the version that the editor has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import Any, ParamSpec, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.format import format_source
from pnyx.compiler.language_server.completion import complete, resolve
from pnyx.compiler.language_server.diagnose import code_actions, diagnostics, local_documentation
from pnyx.compiler.language_server.document import Document, View
from pnyx.compiler.language_server.hover import hover
from pnyx.compiler.language_server.inlays import inlay_hints
from pnyx.compiler.language_server.navigate import definition, folds, highlights, outline, references
from pnyx.compiler.language_server.renaming import CannotRename, renamable, rename
from pnyx.compiler.language_server.signatures import signature_help

__all__ = ["Server", "serve"]

_log = logging.getLogger("pnyx.lsp")

# Seconds without a change before the diagnostics are sent.
PAUSE = 0.1

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class Server(LanguageServer):
    """`pages`: the address of the folder where each diagnostic has its page."""

    def __init__(self, pages: str | None = None) -> None:
        super().__init__("pnyx", version("pnyx"), text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental)
        self.pages = pages or local_documentation()
        self.documents: dict[str, Document] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        _Handlers(self).register()

    def opened(self, item: lsp.TextDocumentItem) -> None:
        encoding = lsp.PositionEncodingKind(self.workspace.position_encoding or "utf-16").value
        self.documents[item.uri] = Document(item.uri, item.text, item.version, encoding)
        self.publish(item.uri)

    def changed(self, params: lsp.DidChangeTextDocumentParams) -> None:
        document = self.documents[params.text_document.uri]
        document.change(params.content_changes, params.text_document.version)
        self._publish_soon(document.uri, PAUSE)

    def closed(self, uri: str) -> None:
        self.documents.pop(uri, None)
        self._stop_waiting(uri)
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    def saved(self, uri: str) -> None:
        """Other documents may import what was saved."""
        for document in self.documents.values():
            if document.uri != uri:
                document.forget()
                self._publish_soon(document.uri, PAUSE)

    def publish(self, uri: str) -> None:
        """Sends what is wrong with a document; nothing where a fault of ours prevents it, which is logged."""
        self._stop_waiting(uri)
        document = self.documents[uri]
        try:
            found = diagnostics(document.checked, self.pages)
        except Exception:
            _log.exception("checking %s failed", uri)
            return
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version=document.version))

    def view(self, uri: str) -> View | None:
        """The present version of a document in Pnyx."""
        document = self.documents.get(uri)
        return None if document is None else document.view

    def _publish_soon(self, uri: str, seconds: float) -> None:
        self._stop_waiting(uri)
        self._waiting[uri] = asyncio.get_running_loop().call_later(seconds, self.publish, uri)

    def _stop_waiting(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()


def _logged(handler: Callable[_Params, _Result]) -> Callable[_Params, _Result | None]:
    """What a handler fails with is a fault of ours: it is logged, and the editor hears that there is nothing."""

    @wraps(handler)
    def run(*arguments: _Params.args, **options: _Params.kwargs) -> _Result | None:
        try:
            return handler(*arguments, **options)
        except JsonRpcException:
            raise
        except Exception:
            _log.exception("%s failed", handler.__name__)
            return None

    return run


class _Handlers:
    """One method for each thing that an editor asks."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def register(self) -> None:
        feature = self.server.feature
        options: dict[str, Any] = {
            lsp.TEXT_DOCUMENT_COMPLETION: lsp.CompletionOptions(
                trigger_characters=[">", "(", ",", "=", ".", " "], resolve_provider=True
            ),
            lsp.TEXT_DOCUMENT_SIGNATURE_HELP: lsp.SignatureHelpOptions(trigger_characters=["(", ","]),
            lsp.TEXT_DOCUMENT_RENAME: lsp.RenameOptions(prepare_provider=True),
            lsp.TEXT_DOCUMENT_CODE_ACTION: lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix]),
        }
        handlers: dict[str, Callable[[Any], Any]] = {
            lsp.TEXT_DOCUMENT_DID_OPEN: self.did_open,
            lsp.TEXT_DOCUMENT_DID_CHANGE: self.did_change,
            lsp.TEXT_DOCUMENT_DID_SAVE: self.did_save,
            lsp.TEXT_DOCUMENT_DID_CLOSE: self.did_close,
            lsp.TEXT_DOCUMENT_HOVER: self.hover,
            lsp.TEXT_DOCUMENT_COMPLETION: self.completion,
            lsp.COMPLETION_ITEM_RESOLVE: self.resolve,
            lsp.TEXT_DOCUMENT_SIGNATURE_HELP: self.signature_help,
            lsp.TEXT_DOCUMENT_DEFINITION: self.definition,
            lsp.TEXT_DOCUMENT_REFERENCES: self.references,
            lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT: self.highlight,
            lsp.TEXT_DOCUMENT_PREPARE_RENAME: self.prepare_rename,
            lsp.TEXT_DOCUMENT_RENAME: self.rename,
            lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL: self.symbols,
            lsp.TEXT_DOCUMENT_FOLDING_RANGE: self.folding,
            lsp.TEXT_DOCUMENT_FORMATTING: self.formatting,
            lsp.TEXT_DOCUMENT_CODE_ACTION: self.code_action,
            lsp.TEXT_DOCUMENT_INLAY_HINT: self.inlay_hint,
        }
        for name, handler in handlers.items():
            feature(name, options.get(name))(_logged(handler))

    def did_open(self, params: lsp.DidOpenTextDocumentParams) -> None:
        self.server.opened(params.text_document)

    def did_change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        self.server.changed(params)

    def did_save(self, params: lsp.DidSaveTextDocumentParams) -> None:
        self.server.saved(params.text_document.uri)

    def did_close(self, params: lsp.DidCloseTextDocumentParams) -> None:
        self.server.closed(params.text_document.uri)

    def hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else hover(view, params.position)

    def completion(self, params: lsp.CompletionParams) -> lsp.CompletionList | None:
        view = self.server.view(params.text_document.uri)
        if view is None:
            return None
        text_document = self.server.client_capabilities.text_document
        item = text_document.completion.completion_item if text_document and text_document.completion else None
        items = complete(view, params.position, snippets=bool(item and item.snippet_support))
        return lsp.CompletionList(is_incomplete=False, items=items)

    def resolve(self, item: lsp.CompletionItem) -> lsp.CompletionItem:
        if not isinstance(item.data, dict):
            return item
        view = self.server.view(str(item.data.get("uri")))
        return item if view is None else resolve(view, item, str(item.data.get("name")))

    def signature_help(self, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else signature_help(view, params.position)

    def definition(self, params: lsp.DefinitionParams) -> lsp.Location | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else definition(view, params.position)

    def references(self, params: lsp.ReferenceParams) -> list[lsp.Location] | None:
        view = self.server.view(params.text_document.uri)
        wanted = params.context.include_declaration
        return None if view is None else references(view, params.position, definitions=wanted)

    def highlight(self, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight] | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else highlights(view, params.position)

    def prepare_rename(self, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        view = self.server.view(params.text_document.uri)
        try:
            return None if view is None else renamable(view, params.position)
        except CannotRename as reason:
            raise _refused(reason) from None

    def rename(self, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        view = self.server.view(params.text_document.uri)
        if view is None:
            return None
        try:
            edits = rename(view, params.position, params.new_name)
        except CannotRename as reason:
            raise _refused(reason) from None
        return lsp.WorkspaceEdit(changes={params.text_document.uri: edits})

    def symbols(self, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol] | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else outline(view)

    def folding(self, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange] | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else folds(view)

    def formatting(self, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        view = self.server.view(params.text_document.uri)
        if view is None:
            return None
        formatted = format_source(view.source, Diagnostics())
        if formatted is None or formatted == view.text.text:
            return []
        return [lsp.TextEdit(view.text.range(0, len(view.text.text)), formatted)]

    def code_action(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction] | None:
        document = self.server.documents.get(params.text_document.uri)
        only = [kind.value if isinstance(kind, lsp.CodeActionKind) else kind for kind in params.context.only or ()]
        return None if document is None else code_actions(document.checked, params.range, only)

    def inlay_hint(self, params: lsp.InlayHintParams) -> list[lsp.InlayHint] | None:
        view = self.server.view(params.text_document.uri)
        return None if view is None else inlay_hints(view, params.range)


def _refused(reason: CannotRename) -> JsonRpcException:
    """The answer that an editor shows."""
    return JsonRpcException(str(reason), lsp.LSPErrorCodes.RequestFailed.value)


def serve(pages: str | None = None) -> None:
    """Speaks the protocol over standard input and output until the editor ends it. Logs go to standard error."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_fault)
    # Streams of its own, which the end of the server closes.
    with os.fdopen(os.dup(0), "rb") as incoming, os.fdopen(os.dup(1), "wb") as outgoing:
        Server(pages).start_io(incoming, outgoing)


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether a record is about more than a refusal, which is an answer like any other."""
    return not (record.exc_info and isinstance(record.exc_info[1], JsonRpcException))
