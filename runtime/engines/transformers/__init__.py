"""Transformers in process, with a decode loop of its own: continuous batching, per-request seeds and stop strings.

Importing this package imports neither torch nor transformers; opening an engine does.
"""

from pnyx.runtime.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
