"""The registry of diagnostic codes. A code never changes its meaning; each has a page in `docs/diagnostics/`.

E1 syntax, E2 names, E3 types, E4 compile-time values, E5 known to the grammar but not compiled yet, E6 files, models
and configuration, W7 warnings, R8 what happens to one example while a plan runs.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    title: str


_TITLES: dict[str, str] = {
    # E1: syntax
    "E101": "unexpected text",
    "E102": "unclosed bracket",
    "E103": "unclosed string",
    "E104": "unknown character",
    "E105": "nested too deeply",
    "E106": "number that cannot be read",
    "E107": "reserved word as a name",
    "E108": "unknown escape",
    "E109": "closing bracket too many",
    # E2: names
    "E201": "unknown name",
    "E202": "name declared twice",
    "E203": "unknown argument",
    "E204": "missing argument",
    "E205": "argument given twice",
    "E206": "operator that contains itself",
    "E207": "unknown variable in a prompt",
    "E208": "unknown field",
    "E209": "unknown option",
    "E210": "too many arguments",
    # E3: types
    "E301": "wrong type",
    "E302": "missing field",
    "E303": "always empty pool",
    "E304": "run-time value where a compile-time value is needed",
    "E305": "result does not match its declared type",
    "E306": "block without a value",
    "E307": "arguments that do not go together",
    # E4: compile-time values
    "E401": "value out of range",
    "E402": "arithmetic that cannot be done",
    "E403": "unknown choice",
    "E404": "choice without options",
    "E405": "program too large",
    "E406": "faulty prompt template",
    # E5
    "E501": "form that is not compiled yet",
    # E6: files, models, configuration
    "E601": "file cannot be read",
    "E602": "file is not UTF-8",
    "E603": "no such pipeline",
    "E604": "faulty configuration",
    "E605": "model not found",
    "E606": "engine lacks a capability",
    "E607": "faulty plan file",
    "E608": "missing package",
    # W7: warnings
    "W701": "work without effect",
    "W702": "name never used",
    "W703": "same samples twice",
    "W704": "texts put in order",
    # R8: one example at run time
    "R801": "row is not JSON",
    "R802": "row without the question",
    "R803": "empty question",
    "R804": "prompt longer than the context",
    "R805": "pool is empty",
    "R806": "reply could not be read",
    "R807": "engine failed",
    "R808": "row is not UTF-8",
}

CODES: dict[str, Code] = {code: Code(code, title) for code, title in _TITLES.items()}
