"""Answers from a call store alone."""

from pnyx.runtime.engines.replay.engine import ReplayEngine

__all__ = ["ReplayEngine"]
