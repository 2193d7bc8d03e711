"""What the operators of the language and of its library say of themselves: signatures, parameters, definitions.

Built-in operators speak through their table, those of the library through their declarations and the comment above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.builtin import BUILTINS, VALUES
from pnyx.compiler.elaborate.kinds import Parameter, Required
from pnyx.compiler.elaborate.values import PolicyValue, Symbol
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.library import sources

__all__ = ["GROUPS", "Entry", "Row", "definition", "entries", "signature", "table"]

_WIDTH = 100

GROUPS: dict[str, tuple[str, ...]] = {
    "ask": ("generate", "generate_with_tests", "extend", "ask", "probe"),
    "judge": (
        "score", "grade", "p_yes", "judge_steps", "loglik", "critique", "critique_with_tests", "rank",
        "rank_with_tests", "assess", "verify", "verify_with_tests", "unit_tests", "judge_tests",
        "tournament", "round_robin",
    ),
    "improve": ("fuse", "fuse_each", "fuse_with_tests", "revise", "self_correct", "self_refine"),
    "read": ("extract",),
    "choose": (
        "vote", "group", "best", "top", "sort", "filter", "take", "sample", "resample", "allocate", "dedupe",
    ),
    "stop": ("adaptive_consistency", "early_stopping_consistency"),
    "search": ("beam_search", "particle_filter", "rebase", "tree_search", "evolve", "choose", "grow"),
    "route": ("classify", "difficulty", "cascade"),
    "measure": (
        "size", "agreement", "entropy", "certainty", "beta_confidence", "dirichlet_confidence", "window_agreement",
        "mean", "min", "max", "sum", "all", "any",
    ),
    "act": ("run_code", "run_tests", "retrieve", "program_of_thought", "codet"),
    "other": ("empty", "as_query", "choice_shuffling", "shuffle_options", "restore_option", "has", "skip"),
}  # fmt: skip
"""Every operator belongs to one group."""

# What parameters are that have no documentation where they are declared: the library uses each name for one thing.
_PARAMETERS = {
    "balance": "the temperature of the shares: the lower, the more the best ones get",
    "allocate.n": "how many there are after it",
    "allocate.temperature": "the lower, the more the best ones get",
    "budget": "how many nodes go on at most",
    "by": "the field",
    "children": "how many are born in each generation",
    "chooser": "an operator that gives the node to go on from",
    "confidence": "the probability that is enough",
    "count": "how many tests at most",
    "enough": "the score that is enough, and ends it early",
    "tree_search.expand": "an operator that makes new candidates of a node",
    "expand": "continuations of each answer",
    "generations": "the most generations",
    "k": "how many",
    "keep": "how many of the first are kept; all without it",
    "kind": "how the answer is read: an operator that gives `answer`",
    "model": "who is asked",
    "models": "who is asked",
    "adaptive_consistency.most": "the most samples",
    "most": "the most rounds",
    "particle_filter.n": "answers in the making",
    "rebase.n": "answers in the making",
    "choice_shuffling.n": "in how many orders the options are shown",
    "n": "samples of each prompt",
    "no_longer": "whether the new answer may be at most as long as the longest candidate",
    "on_fail": "what happens when a reply cannot be read",
    "options": "the words to choose from",
    "parents": "how many answers a child is made of",
    "pool": "the candidates",
    "population": "how many answers live on",
    "prompt": "what is asked",
    "query": "the question",
    "resampling_temperature": "the temperature of the odds: the lower, the more the best ones get",
    "rounds": "the most rounds of each candidate",
    "scorer": "an operator that gives `score`",
    "selection": "the temperature by which parents are drawn: the lower, the more the best ones are",
    "seconds": "how long a program may run",
    "codet.seconds": "how long each test may run, with the program before it",
    "step": "the string that ends a step",
    "steps": "the most steps",
    "tests": "the tests",
    "value": "anything",
    "tree_search.width": "first answers",
    "width": "answers that go on after each step",
    "window": "samples of a round, which all have to agree",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter; `default` None where an argument is needed."""

    name: str
    takes: str
    default: str | None
    doc: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`doc` stands beside the operator's definition; `source` is its declaration, of those that are written in Pnyx."""

    name: str
    doc: str
    rows: tuple[Row, ...] = ()
    more: bool = False
    source: str = ""
    value: bool = False


@cache
def entries() -> dict[str, Entry]:
    """The built-in operators in the order of their table, then those of the library in the order of its files."""
    built_in = (Entry(s.name, s.doc, tuple(_built_in(p) for p in s.parameters), s.variables) for s in BUILTINS.values())
    values = (Entry(name, doc, value=True) for name, doc in VALUES.items())
    return {entry.name: entry for entry in (*built_in, *values, *_library())}


def signature(name: str) -> str:
    """What the operator does, how it is written, and its parameters."""
    entry = entries()[name]
    if entry.value:
        return f"{entry.doc}\n\n```pnyx library\n{name}\n```"
    rows = [f"| `{row.name}` | {_takes(row)} | {_shown(row.default)} | {row.doc} |" for row in entry.rows]
    if entry.more:
        rows.append("| … | any value | – | further variables of the prompt, by name |")
    header = ["| parameter | takes | default | what it is |", "|---|---|---|---|"]
    return "\n".join([entry.doc, "", "```pnyx library", _call(entry), "```", "", *header, *rows])


def definition(name: str) -> str:
    """The declaration of an operator of the library."""
    return f"```pnyx library\n{entries()[name].source}\n```"


def table(group: str) -> str:
    """The operators of a group and what they do."""
    rows = [f"| [`{name}`]({name}.md) | {_first_sentence(entries()[name].doc)} |" for name in GROUPS[group]]
    return "\n".join(["| operator | what it does |", "|---|---|", *rows])


def _library() -> Iterator[Entry]:
    for name, text in sources():
        for declaration in parse(Source(name, text), Diagnostics()).declarations:
            if isinstance(declaration, syntax.OpDecl):
                rows = tuple(_declared(declaration.name, p) for p in declaration.params)
                yield Entry(declaration.name, _comment(declaration), rows, source=declaration.span.text)


def _built_in(parameter: Parameter) -> Row:
    default = None if isinstance(parameter.default, Required) else _default(parameter)
    return Row(parameter.name, str(parameter.kind), default, parameter.doc or _PARAMETERS.get(parameter.name, ""))


def _declared(operator: str, parameter: syntax.Param) -> Row:
    takes = parameter.type.span.text if parameter.type else "any value"
    default = parameter.default.span.text if parameter.default else None
    return Row(parameter.name, takes, default, _said(operator, parameter.name))


def _said(operator: str, name: str) -> str:
    """What the library means by a parameter; what `generate` says of one that it has too. Empty where nobody says."""
    said = _PARAMETERS.get(f"{operator}.{name}") or _PARAMETERS.get(name)
    found = BUILTINS["generate"].parameter(name)
    return said or (found.doc if found else "")


def _default(parameter: Parameter) -> str:
    match parameter.default:
        case None:
            return "none"
        case bool() as truth:
            return str(truth).lower()
        case Symbol(name=name):
            return name
        case PolicyValue(policy=policy):
            return str(policy.then)
        case str() as text:
            return f'"{text}"'
        case value:
            return str(value)


def _takes(row: Row) -> str:
    """Words of the language as code, separated so that they may stand in a cell of a table."""
    if " or " in row.takes or row.takes == "any value":
        return row.takes
    return ", ".join(f"`{word}`" for word in row.takes.split(" | "))


def _shown(default: str | None) -> str:
    return "–" if default is None else f"`{default}`"


def _call(entry: Entry) -> str:
    """As it stands behind a pipe: what is piped in, then the other parameters with their defaults."""
    first, *others = entry.rows
    arguments = [row.name if row.default is None else f"{row.name} = {row.default}" for row in others]
    if entry.more:
        arguments.append("…")
    head = f"{first.name} |> {entry.name}"
    line = f"{head}({', '.join(arguments)})" if arguments else head
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{head}(", *(f"    {argument}," for argument in arguments), ")"])


def _comment(declaration: syntax.OpDecl) -> str:
    """The comment right above the operator, or else the one that heads its file."""
    lines = declaration.span.source.text.split("\n")
    above = reversed(lines[: declaration.span.first.line - 1])
    block = [*takewhile(lambda line: line.startswith("# "), above)][::-1]
    block = block or [*takewhile(lambda line: line.startswith("# "), lines)]
    return " ".join(line.removeprefix("# ") for line in block)


def _first_sentence(doc: str) -> str:
    sentence, found, _ = doc.partition(". ")
    return f"{sentence}." if found else sentence
