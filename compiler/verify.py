"""The verifier: the invariants of a graph, checked. What it finds is a bug of the compiler, never of the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pnyx.compiler.graph import Graph, Node, node
from pnyx.compiler.inference import TypeFault, loop_types, result_type
from pnyx.compiler.operators import Ask, Branch, DrawingOperator, Each, Input, Loop, Param
from pnyx.compiler.prompts import TemplateFault, check_template
from pnyx.compiler.types import Pool, Size, Type, join

__all__ = ["GraphFault", "verify"]


class GraphFault(AssertionError):
    """A graph that breaks an invariant. `after` names what made it: the elaborator or a pass."""

    def __init__(self, after: str, message: str) -> None:
        super().__init__(f"after {after}: {message}")
        self.after = after


def verify(graph: Graph, after: str) -> None:
    """Raises GraphFault, naming `after`, unless

    - the one `Input` is the first parameter (a body has none), and there are no parameters but those of the graph;
    - every node has the type that its operator gives for the types of its inputs, and the parameters of a body have
      types that hold what they are given in every round;
    - every digest is that of its node's content, and nodes of one digest have one type;
    - a body reads nothing from outside;
    - a prompt is a template that reads only what its `Ask` hands it;
    - `joined` is set only where there are several draws to join.
    """
    first: dict[str, Node] = {}
    for current in graph.nodes():
        _check_node(current, graph, after)
        first[current.digest] = current
    for given in (*graph.outputs, *(i for current in first.values() for i in current.inputs)):
        if given.type != first[given.digest].type:
            raise GraphFault(after, f"two nodes `{given.label}` are equal, but {given.type} and its twin's type differ")


def _check_node(current: Node, graph: Graph, after: str) -> None:
    def fault(message: str) -> GraphFault:
        return GraphFault(after, f"node `{current.label}` ({current.operator.kind}): {message}")

    operator = current.operator
    if isinstance(operator, Input | Param):
        if not any(current is parameter for parameter in graph.params):
            raise fault("a second question" if isinstance(operator, Input) else "a parameter from outside")
        if isinstance(operator, Param) and graph.params.index(current) != operator.index:
            raise fault(f"it is not parameter {operator.index}")
    if bool(current.bodies) != isinstance(operator, Loop | Each | Branch):
        raise fault("it has a body, or lacks one")
    if not isinstance(operator, Param):
        _check_type(current, fault)
    if current.digest != _digest(current):
        raise fault("its digest is not that of its content")
    if isinstance(operator, DrawingOperator) and operator.joined and operator.n < 2:
        raise fault("one draw cannot be joined")
    if isinstance(operator, Ask):
        problem_of_prompt = _prompt_problem(operator)
        if problem_of_prompt:
            raise fault(problem_of_prompt)
    for body in current.bodies:
        verify(body, after)


def _check_type(current: Node, fault: Callable[[str], GraphFault]) -> None:
    inputs = [i.type for i in current.inputs]
    try:
        expected = result_type(current.operator, inputs, current.bodies)
        given = _given(current, inputs)
    except TypeFault as problem:
        raise fault(str(problem)) from None
    if current.type != expected:
        raise fault(f"its type is {current.type} instead of {expected}")
    for body, types in zip(current.bodies, given, strict=True):
        for parameter, type in zip(body.params, types, strict=True):
            if join(parameter.type, type) != parameter.type:
                raise fault(f"a parameter of its body is {parameter.type}, and gets {type}")


def _given(current: Node, inputs: Sequence[Type]) -> list[Sequence[Type]]:
    """What the parameters of each body get."""
    match current.operator:
        case Loop() as loop:
            return [[*loop_types(loop, current.bodies[0], inputs)[0], *inputs[loop.carried :]]]
        case Each():
            pool = inputs[0]
            assert isinstance(pool, Pool)
            return [[pool.sized(Size(1, 1)), *inputs[1:]]]
        case Branch():
            return [inputs[1:] for _ in current.bodies]
        case _:
            return []


def _digest(current: Node) -> str:
    inputs, bodies = current.inputs, current.bodies
    return node(current.operator, inputs, current.type, label="", stream=current.stream, bodies=bodies).digest


def _prompt_problem(operator: Ask) -> str | None:
    given = {
        "query",
        *operator.about,
        *(["options"] if operator.options else []),
        *operator.variables,
        *(name for name, _ in operator.constants),
    }
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
