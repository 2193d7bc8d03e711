"""Signature help: the head of the operator that is being called, and which of its parameters the cursor is at."""

from __future__ import annotations

from lsprotocol import types as lsp

from pnyx.compiler.elaborate.kinds import Signature
from pnyx.compiler.language_server.cursor import Call, Cursor
from pnyx.compiler.language_server.describe import parameter_label, signature_label
from pnyx.compiler.language_server.document import View

__all__ = ["signature_help"]


def signature_help(view: View, position: lsp.Position) -> lsp.SignatureHelp | None:
    cursor = Cursor(view, view.text.offset(position))
    if cursor.in_text or cursor.in_comment:
        return None
    call = cursor.call()
    signature = view.analysis.scope.signature(call.callee) if call else None
    if call is None or signature is None:
        return None
    label = signature_label(signature)
    parameters = [lsp.ParameterInformation(parameter_label(p), p.doc or None) for p in signature.parameters]
    active = _active(signature, call, cursor.argument_name())
    shown = lsp.SignatureInformation(label, signature.doc or None, parameters, active)
    return lsp.SignatureHelp([shown], active_signature=0, active_parameter=active)


def _active(signature: Signature, call: Call, name: str | None) -> int | None:
    names = [p.name for p in signature.parameters]
    if name is not None:
        return names.index(name) if name in names else None
    index = call.index + call.piped
    return index if index < len(names) and not call.names else None
