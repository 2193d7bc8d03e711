"""The executable grammar of the language (`pnyx.lark`)."""

if __name__ == "grammar":
    raise ImportError("import `pnyx.grammar`, not `grammar`")

from importlib import resources

__all__ = ["grammar_text"]


def grammar_text() -> str:
    """The Lark grammar, start symbol `module`."""
    return resources.files(__name__).joinpath("pnyx.lark").read_text(encoding="utf-8")
