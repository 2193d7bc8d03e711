"""The standard library: techniques and prompts, written in Pnyx."""

if __name__ == "library":
    raise ImportError("import `pnyx.library`, not `library`")
