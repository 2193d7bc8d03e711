"""Runs frozen plans on language models."""

if __name__ == "runtime":
    raise ImportError("import `pnyx.runtime`, not `runtime`")
