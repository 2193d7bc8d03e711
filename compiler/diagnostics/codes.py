"""The registry of diagnostic codes. A code never changes its meaning; each has a page in `docs/diagnostics/`.

E1 syntax, E2 names, E3 types, E4 compile-time values, E5 declarations, E6 files, models and
configuration, W7 warnings, R8 what happens to one example while a plan runs.
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
    "E110": "faulty YAML",
    "E111": "form of YAML without a meaning here",
    "E112": "key given twice",
    "E113": "unknown key",
    "E114": "missing key or value",
    "E115": "wrong kind of value in YAML",
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
    "E211": "state outside a pipeline",
    "E212": "missing setting",
    # E3: types
    "E301": "wrong type",
    "E302": "missing field",
    "E303": "always empty pool",
    "E304": "run-time value where a compile-time value is needed",
    "E305": "result does not match its declared type",
    "E306": "block without a value",
    "E307": "arguments that do not go together",
    "E310": "field of several candidates",
    "E311": "loop that changes nothing",
    "E312": "value that cannot change in a loop",
    "E313": "arm that nothing reaches",
    "E314": "value without an arm",
    "E315": "branches that give different things",
    "E316": "state that does not keep its type",
    # E4: compile-time values
    "E401": "value out of range",
    "E402": "arithmetic that cannot be done",
    "E403": "unknown choice",
    "E404": "choice without options",
    "E405": "program too large",
    "E406": "faulty prompt template",
    # E5: what a program says about its run
    "E510": "name that is no Python function",
    "E511": "type that Python cannot be given",
    "E512": "limit without a known unit",
    "E513": "limit given twice",
    "E514": "limit that nothing can meet",
    "E515": "type that a state cannot have",
    "E520": "limit that cannot be kept",
    # E6: files, models, configuration
    "E601": "file cannot be read",
    "E602": "file is not UTF-8",
    "E603": "no such pipeline",
    "E604": "faulty configuration",
    "E605": "model not found",
    "E606": "engine lacks a capability",
    "E607": "faulty plan file",
    "E608": "missing package",
    "E609": "code that cannot be confined",
    "E610": "passages that cannot be used",
    "E612": "function that cannot be used",
    "E613": "call store cannot be opened",
    "E614": "call store of a newer Pnyx",
    "E615": "call store failed",
    "E616": "results of another run",
    "E617": "server cannot be used",
    "E618": "key missing or refused",
    "E620": "faulty JSON",
    "E621": "faulty value in an Archon file",
    "E622": "missing key in an Archon file",
    "E623": "unknown type of component",
    "E624": "unknown `model_type`",
    "E625": "nothing for a component to read",
    "E626": "component that Pnyx does not have",
    "E630": "pipeline that Archon's format cannot express",
    "E640": "faulty trace",
    # W7: warnings
    "W701": "work without effect",
    "W702": "name never used",
    "W703": "same samples twice",
    "W704": "texts put in order",
    "W705": "field never read",
    "W706": "judge of its own samples",
    "W707": "work done twice",
    "W708": "samples that are all the same",
    "W709": "choice that cannot matter",
    "W710": "limit that may be exceeded",
    "W711": "value that gets lost",
    "W712": "equal alternatives",
    "W713": "vote over free texts",
    "W714": "retry without effect",
    "W715": "field overwritten unread",
    "W716": "no room for the prompt",
    "W725": "name unlike the file's",
    "W726": "key that Archon ignores",
    "W727": "unknown key",
    "W728": "key given twice",
    "W729": "critiques of other candidates",
    "W730": "broken placement rule",
    "W731": "several final candidates",
    "W732": "component instead of a layer",
    "W733": "work that is thrown away",
    "W734": "difference to Archon",
    "W735": "part that stays behind",
    "W740": "trace that is not whole",
    # R8: one example at run time
    "R801": "row is not JSON",
    "R802": "row without the question",
    "R803": "empty question",
    "R804": "prompt longer than the context",
    "R805": "pool is empty",
    "R806": "reply could not be read",
    "R807": "engine failed",
    "R808": "row is not UTF-8",
    "R815": "server failed",
    "R816": "server is busy",
    "R817": "broken answer of a server",
    "R818": "reply refused",
    "R819": "call is not stored",
    "R809": "value that no arm takes",
    "R810": "function raised an exception",
    "R811": "function gave something else",
    "R820": "budget of the run is spent",
    "R821": "limit of a query is reached",
}

CODES: dict[str, Code] = {code: Code(code, title) for code, title in _TITLES.items()}
