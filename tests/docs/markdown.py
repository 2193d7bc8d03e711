"""Reading Markdown: fenced blocks, sections and links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = DOCS / "diagnostics"

FRAGMENT = 'model small = "smollm2-135m"\nmodel judge = "smollm2-135m"\n\npipeline main(query) {{\n{}}}\n'

_FENCE = re.compile(r"^(?P<ticks>```+)(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=ticks)[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: `info` is what stands behind the ticks, `line` where its text starts, from 1."""

    info: str
    text: str
    line: int

    @property
    def language(self) -> str:
        return self.info.split(" ")[0]

    @property
    def words(self) -> list[str]:
        """What is said of the block besides its language and options."""
        return [word for word in self.info.split(" ")[1:] if "=" not in word]

    def option(self, name: str) -> str | None:
        """`title` of a block that begins with ```pnyx title="first.pnyx"."""
        found = re.search(rf'\b{name}="([^"]+)"', self.info)
        return found[1] if found else None


def program(block: Block) -> str:
    """A file of Pnyx: the block, or the pipeline whose body it is."""
    return FRAGMENT.format(textwrap.indent(block.text, "    ")) if "fragment" in block.words else block.text


def blocks(text: str) -> list[Block]:
    return [
        Block(m["info"].strip(), m["text"], text.count("\n", 0, m.start("text")) + 1) for m in _FENCE.finditer(text)
    ]


def section(text: str, heading: str) -> str:
    """What stands under `## heading`, up to the next heading of that level."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"no section `{heading}`"
    return rest.split("\n## ")[0]


def links(text: str) -> Iterator[str]:
    """Targets of links outside code."""
    for found in _LINK.finditer(_INLINE_CODE.sub("", _FENCE.sub("", text))):
        yield found["target"]


def anchors(text: str) -> set[str]:
    """What a link may name behind `#`."""
    plain = (re.sub(r"[^\w\- ]", "", m["text"].lower()) for m in _HEADING.finditer(_FENCE.sub("", text)))
    return {name.replace(" ", "-") for name in plain}


def documents() -> list[Path]:
    """The Markdown files that are documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
