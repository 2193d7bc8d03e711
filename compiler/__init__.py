"""From source text to a frozen plan. Never imports the runtime."""

if __name__ == "compiler":
    raise ImportError("import `pnyx.compiler`, not `compiler`")
