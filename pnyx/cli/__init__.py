"""The command line. Each command has its own module, which is imported only when that command runs."""

from pnyx.cli.entry import main

__all__ = ["main"]
