"""What the compiler has to say to the person: data here, text only when it is shown."""

from pnyx.compiler.diagnostics.codes import CODES, Code
from pnyx.compiler.diagnostics.diagnostic import (
    CompileError,
    Diagnostic,
    Diagnostics,
    Label,
    Reporter,
)
from pnyx.compiler.diagnostics.fix import Edit, Fix, apply_fixes, rename
from pnyx.compiler.diagnostics.render import render, render_all

__all__ = [
    "CODES",
    "Code",
    "CompileError",
    "Diagnostic",
    "Diagnostics",
    "Edit",
    "Fix",
    "Label",
    "Reporter",
    "apply_fixes",
    "rename",
    "render",
    "render_all",
]
