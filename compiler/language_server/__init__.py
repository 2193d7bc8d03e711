"""The language server: what an editor asks about a program while it is written.

`document.py` keeps one open text and checks again only what an edit touched; every other module answers one kind of
question from it. `server.py` alone speaks the protocol. Needs the packages of the extra `lsp`.
"""
