"""A client that speaks the protocol to `pnyx lsp` as an editor does: raw JSON-RPC over a process's pipes."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Client", "Refused"]

SECONDS = 30


class Refused(Exception):
    """The server answered with an error."""


class Client:
    """Starts a server, and ends it with the `with` block. Positions are (line, character), both from 0."""

    def __init__(self, folder: Path, *arguments: str, encodings: list[str] | None = None) -> None:
        self.folder = folder
        environment = {**os.environ, "PNYX_CACHE": str(folder / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pnyx", "lsp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        self._next = 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._notes: queue.Queue[dict[str, Any]] = queue.Queue()
        self.log: list[str] = []
        self._versions: dict[str, int] = {}
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._read_log)]
        for thread in self._threads:
            thread.start()
        general = {"positionEncodings": encodings} if encodings else {}
        snippets = {"completion": {"completionItem": {"snippetSupport": True}}}
        self.capabilities = self.ask(
            "initialize",
            processId=None,
            rootUri=folder.as_uri(),
            capabilities={"general": general, "textDocument": snippets},
        )["capabilities"]
        self.tell("initialized")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self.ask("shutdown")
                self.tell("exit")
                self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            for thread in self._threads:
                thread.join(SECONDS)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()

    # Messages ------------------------------------------------------------------------------------

    def ask(self, method: str, **params: Any) -> Any:
        self._next += 1
        self._send({"id": self._next, "method": method, "params": params})
        while True:
            answer = self._answers.get(timeout=SECONDS)
            if answer["id"] == self._next:
                break
        if "error" in answer:
            raise Refused(answer["error"]["message"])
        return answer["result"]

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = int(header.removeprefix(b"Content-Length: ")) if header.startswith(b"Content-Length") else 0
            while stream.readline().strip():
                pass
            message = json.loads(stream.read(length))
            (self._answers if "id" in message and "method" not in message else self._notes).put(message)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.decode())

    # Documents -----------------------------------------------------------------------------------

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, text: str, name: str = "main.pnyx") -> list[dict[str, Any]]:
        """Opens a document; its diagnostics."""
        self._versions[name] = 1
        self.tell(
            "textDocument/didOpen",
            textDocument={"uri": self.uri(name), "languageId": "pnyx", "version": 1, "text": text},
        )
        return self.diagnostics(name)

    def change(self, *changes: dict[str, Any], name: str = "main.pnyx") -> None:
        """Each change has a `text`, and a `range` unless it is the whole document."""
        self._versions[name] += 1
        document = {"uri": self.uri(name), "version": self._versions[name]}
        self.tell("textDocument/didChange", textDocument=document, contentChanges=list(changes))

    def diagnostics(self, name: str = "main.pnyx") -> list[dict[str, Any]]:
        """Those of the present version, once they come."""
        while True:
            note = self._notes.get(timeout=SECONDS)
            params = note.get("params", {})
            present = params.get("uri") == self.uri(name) and params.get("version") == self._versions.get(name)
            if note["method"] == "textDocument/publishDiagnostics" and present:
                found: list[dict[str, Any]] = params["diagnostics"]
                return found

    def at(self, method: str, position: tuple[int, int], name: str = "main.pnyx", **more: Any) -> Any:
        """A question about a place in a document."""
        line, character = position
        document = {"uri": self.uri(name)}
        place = {"line": line, "character": character}
        return self.ask(f"textDocument/{method}", textDocument=document, position=place, **more)

    def about(self, method: str, name: str = "main.pnyx", **more: Any) -> Any:
        """A question about a document."""
        return self.ask(f"textDocument/{method}", textDocument={"uri": self.uri(name)}, **more)
