"""Programs with choices, for tests of what is made of them."""

from __future__ import annotations

from pnyx.compiler.program import Program

__all__ = ["STRUCTURED", "program"]

MODELS = """model small = "smollm2-135m"
model large = "qwen2.5-72b"
model third = "smollm2-360m"
"""

STRUCTURED = f"""{MODELS}
pipeline main(query) {{
    pool = query |> generate(tune(small, large, [small, large]), n = tune(1, 2, 4, default = 2), max_tokens = 64)
    if tune(true, false) {{ pool = pool |> critique(tune(large, small), max_tokens = 32) }}
    repeat tune(0..2) {{ pool = pool |> tune(fuse(_, large, n = tune(1, 3), max_tokens = 64), skip) }}
    pool |> take(1)
}}
"""


def program(text: str) -> Program:
    """Without errors."""
    made = Program.parse(text, "main.pnyx")
    errors = [d.message for d in made.check() if d.is_error]
    assert not errors
    return made
