"""Pictures of a plan: Mermaid for documents, SVG and HTML for people."""

from pnyx.compiler.draw.html import html
from pnyx.compiler.draw.mermaid import mermaid
from pnyx.compiler.draw.svg import svg

__all__ = ["html", "mermaid", "svg"]
