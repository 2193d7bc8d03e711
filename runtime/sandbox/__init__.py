"""Confined programs: code that a model wrote, run where it can reach nothing."""

from pnyx.runtime.sandbox.sandbox import Ended, Program, Running, Sandbox, open_sandbox

__all__ = ["Ended", "Program", "Running", "Sandbox", "open_sandbox"]
