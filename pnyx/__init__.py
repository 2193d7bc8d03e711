"""Pnyx: a declarative language and compiler for LLM inference-time architectures."""
