"""The executable grammar of the language (`pnyx.lark`)."""

if __name__ == "grammar":
    raise ImportError("import `pnyx.grammar`, not `grammar`")
