"""The verifier: the invariants of a graph, checked. What it finds is a bug of the compiler, never of the program."""

from __future__ import annotations

from collections.abc import Mapping

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.inference import TypeFault, result_type
from pnyx.compiler.operators import Ask, Input, Over, Sample
from pnyx.compiler.prompts import TemplateFault, check_template

__all__ = ["GraphFault", "verify"]


class GraphFault(AssertionError):
    """A graph that breaks an invariant. `after` names what made it: the elaborator or a pass."""

    def __init__(self, after: str, message: str) -> None:
        super().__init__(f"after {after}: {message}")
        self.after = after


def verify(graph: Graph, after: str) -> None:
    """Raises GraphFault, naming `after`, unless

    - the one `Input` is `query`;
    - every node has the type that its operator gives for the types of its inputs;
    - every digest is that of its node's content, and nodes of one digest have one type;
    - a prompt is a template that reads only what its `Ask` hands it;
    - `joined` is set only where there are several draws to join.
    """
    first: dict[str, Node] = {}
    for current in graph.nodes():
        _check_node(current, graph, after)
        first[current.digest] = current
    for given in (graph.output, *(i for current in first.values() for i in current.inputs)):
        if given.type != first[given.digest].type:
            raise GraphFault(after, f"two nodes `{given.label}` are equal, but {given.type} and its twin's type differ")


def _check_node(current: Node, graph: Graph, after: str) -> None:
    def fault(message: str) -> GraphFault:
        return GraphFault(after, f"node `{current.label}` ({current.operator.kind}): {message}")

    if isinstance(current.operator, Input) and current is not graph.query:
        raise fault("a second question")
    try:
        expected = result_type(current.operator, [i.type for i in current.inputs])
    except TypeFault as problem:
        raise fault(str(problem)) from None
    if current.type != expected:
        raise fault(f"its type is {current.type} instead of {expected}")
    if current.digest != _digest(current):
        raise fault("its digest is not that of its content")
    if isinstance(current.operator, Sample | Ask) and current.operator.joined and current.operator.n < 2:
        raise fault("one draw cannot be joined")
    if isinstance(current.operator, Ask):
        problem_of_prompt = _prompt_problem(current.operator)
        if problem_of_prompt:
            raise fault(problem_of_prompt)


def _digest(current: Node) -> str:
    return node(current.operator, current.inputs, current.type, label="", stream=current.stream).digest


def _prompt_problem(operator: Ask) -> str | None:
    given = {"query", *operator.variables, *(name for name, _ in operator.constants)}
    given |= {Over.QUERY: set(), Over.EACH: {"candidate"}, Over.ALL: {"candidates"}}[operator.over]
    for text in (operator.prompt.user, operator.prompt.system or ""):
        use = check_template(text)
        if isinstance(use, TemplateFault):
            return f"its prompt cannot be used: {use.message}"
        unknown = _unknown(use.variables, given)
        if unknown:
            return f"its prompt reads `{unknown}`, which it is not given"
    return None


def _unknown(variables: Mapping[str, int], given: set[str]) -> str | None:
    return next((name for name in variables if name not in given), None)
