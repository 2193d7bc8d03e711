"""Judges that are partial."""

from __future__ import annotations

from collections.abc import Iterator

from pnyx.compiler import syntax
from pnyx.compiler.graph import Node
from pnyx.compiler.lint.subject import Finding, Subject
from pnyx.compiler.lint.view import View, most, pool_of
from pnyx.compiler.operators import Ask, Concat, Over, Reads, Sample

__all__ = ["own_samples"]

_JUDGING = frozenset({Reads.ORDER, Reads.GRADE, Reads.YES, Reads.VERDICT, Reads.PASSES, Reads.WINNER})


def own_samples(subject: Subject, view: View) -> Iterator[Finding]:
    """W706: models prefer what they have written themselves (Panickssery et al., 2024). Where the only judge chooses
    among samples of its own, and the pipeline has another model that could, that is worth a word."""
    judging = [n for n in view.nodes if isinstance(n.operator, Ask) and n.operator.reads in _JUDGING]
    judges = {n.operator.model for n in judging if isinstance(n.operator, Ask)}
    if len(judges) != 1:
        return
    (judge,) = judges
    used = {n.operator.model for n in view.nodes if isinstance(n.operator, Sample | Ask)}
    other = next((name for name in sorted(used - judges) if _could_judge(subject, name, judge)), None)
    if other is None:
        return
    for current in judging:
        if most(current.inputs[1]) > 1 and _writers(current.inputs[1]) == {judge} and current.span is not None:
            yield Finding(
                "W706",
                f"`{judge}` judges samples of its own, and nobody else does",
                current.span,
                f"let another model judge them, such as `{other}`: models prefer what they have written",
                (current,),
            )


def _could_judge(subject: Subject, name: str, judge: str) -> bool:
    """Whether another model is really another one, and not known to be smaller."""
    one, two = subject.models.get(name), subject.models.get(judge)
    if one is None or two is None or one.id.value == two.id.value:
        return False
    sizes = [_parameters(one), _parameters(two)]
    return None in sizes or (sizes[0] or 0) >= (sizes[1] or 0)


def _parameters(model: syntax.ModelDecl) -> float | None:
    given = [o.value.value for o in model.options if o.name == "parameters" and isinstance(o.value, syntax.Number)]
    return given[0] if given else None


def _writers(pool: Node) -> set[str]:
    """The models that drew the candidates from the question alone; empty where anything else made some of them."""
    current: Node | None = pool
    while current is not None:
        match current.operator:
            case Sample(model=model):
                return {model}
            case Ask(over=Over.QUERY, reads=Reads.TEXT, model=model):
                return {model}
            case Concat():
                parts = [_writers(part) for part in current.inputs]
                return set().union(*parts) if all(parts) else set()
        current = pool_of(current)
    return set()
