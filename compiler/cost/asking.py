"""What the nodes that ask a model cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnyx.compiler.cost.amounts import FREE, NOTHING, Cost
from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.lengths import Lengths
from pnyx.compiler.cost.prompt_size import prompt_tokens
from pnyx.compiler.cost.shapes import Shape
from pnyx.compiler.operators import Ask, DrawingOperator, Extend, Loglik, ModelOperator, Over, Reads, Sample, Single
from pnyx.compiler.plan import PlanModel, PlanNode

__all__ = ["cost_and_steps"]

_ONE = Estimate.exactly(1)


def cost_and_steps(
    current: PlanNode, inputs: Sequence[Shape], models: Mapping[str, PlanModel], lengths: Lengths
) -> tuple[Cost, Estimate]:
    """What the node costs, and how many calls follow one another in it."""
    operator = current.operator
    if not isinstance(operator, ModelOperator):
        return FREE, NOTHING
    model = models[operator.model]
    if isinstance(operator, Loglik):
        prompts, tries, requests, drawn = _asked_at_once(operator, inputs[1]), _ONE, 1, 0
    else:
        prompts, tries = _prompts(operator, inputs, lengths.prompts(operator, current.stream))
        requests = 1 if operator.joined else operator.n
        drawn = 0 if isinstance(operator, Ask) and operator.reads is Reads.YES else operator.n
    calls = prompts * requests * tries
    samples = prompts * drawn * tries
    fit = lengths.fit(operator.model, current.stream)
    prompt = calls * prompt_tokens(operator, lengths.question(), inputs[1:], fit, model.context)
    generated = samples * lengths.generated(operator, current.stream)
    flops = None if model.parameters is None else (prompt + generated) * (2 * model.parameters)
    money = None
    if model.price_in is not None and model.price_out is not None:
        money = prompt * (model.price_in / 1e6) + generated * (model.price_out / 1e6)
    if calls.most == 0:
        flops = money = NOTHING
    return Cost(calls, samples, prompt, generated, flops, money), _some(prompts) * tries


def _prompts(operator: DrawingOperator, inputs: Sequence[Shape], measured: float | None) -> tuple[Estimate, Estimate]:
    """How many prompts there are, and how often each is tried."""
    if isinstance(operator, Sample):
        return _ONE, _ONE
    if isinstance(operator, Extend):
        # Those that are finished ask nothing.
        size = inputs[1].size
        if operator.into is None:
            size = Estimate(0, size.expected if measured is None else min(measured, size.most), size.most)
        return size, _ONE
    can_fail = operator.reads not in (Reads.TEXT, Reads.YES)
    tries = Estimate(1, 1, 1 + operator.on_fail.retries) if can_fail else _ONE
    if operator.over is Over.QUERY:
        return _ONE, tries
    size = inputs[1].size
    if operator.over is Over.EACH:
        # Without tests there is nothing to ask: the candidates then pass none.
        tests = operator.tests if operator.reads is Reads.PASSES else None
        return (size if tests is None else size * _some(inputs[2 + tests].size)), tries
    if operator.over is Over.NEIGHBOURS:
        least, most = size.least // 2, size.most // 2
        return Estimate(least, min(max(size.expected / 2, least), most), most), tries
    if operator.over is Over.PAIRS:
        return Estimate(*(max(n * (n - 1), 0.0) for n in (size.least, size.expected, size.most))), tries
    if operator.reads is Reads.ORDER or operator.single is Single.KEEP:
        return Estimate(float(size.least > 1), float(size.expected > 1), float(size.most > 1)), tries
    return _ONE, tries


def _asked_at_once(loglik: Loglik, pool: Shape) -> Estimate:
    """One call, where there is anything to ask about: every candidate has a text, but other fields may be absent."""
    some = _some(pool.size)
    return some if loglik.of == "text" else Estimate(0, some.expected, some.most)


def _some(size: Estimate) -> Estimate:
    """1 where there is any candidate, 0 where there is none."""
    return Estimate(float(size.least > 0), float(size.expected > 0), float(size.most > 0))
