"""Archon's JSON format (Saad-Falcon et al., 2024): programs made of it, and written in it."""

from pnyx.compiler.archon.export_archon import export_archon
from pnyx.compiler.archon.import_archon import Imported, import_archon

__all__ = ["Imported", "export_archon", "import_archon"]
