"""Any server with an OpenAI-compatible API: vLLM, hosted models, and whatever else speaks it.

Imported only to open such an engine: it needs aiohttp.
"""

from pnyx.runtime.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
