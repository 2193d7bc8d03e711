"""vLLM in process. Importing this package does not import vllm; opening an engine does."""

from pnyx.runtime.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
