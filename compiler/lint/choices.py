"""Choices that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pnyx.compiler.lint.subject import Finding, Subject, Variant

__all__ = ["idle_choices"]

# With more combinations than these, nobody can say that a choice does not matter.
MOST_COMBINATIONS = 200


def idle_choices(subject: Subject) -> Iterator[Finding]:
    """W709: a `tune` whose options all give the same graph, whatever another choice takes."""
    suspects: dict[int, Finding] = {}
    cleared: set[int] = set()
    for variant in subject.variants:
        if not variant.is_default:
            continue
        for name, choice in variant.met.items():
            if len(choice.options) < 2 or not _idle(subject, variant, name):
                cleared.add(choice.span.start)
                continue
            listed = "option gives" if len(choice.options) == 2 else "options give"
            quantity = "either" if len(choice.options) == 2 else f"all {len(choice.options)}"
            message = f"the choice `{name}` cannot matter: {quantity} {listed} the same pipeline"
            finding = Finding("W709", message, choice.span, "remove it, or use it")
            suspects.setdefault(choice.span.start, finding)
    yield from (finding for start, finding in suspects.items() if start not in cleared)


def _idle(subject: Subject, variant: Variant, name: str) -> bool:
    """Whether every option gives the same, with the other choices at their defaults and each of them at each of its
    options. What has been elaborated already shows that most choices matter."""
    if any(v.graph != variant.graph for v in subject.variants if v.pipeline is variant.pipeline and name in v.closed):
        return False
    settings: list[Mapping[str, int]] = [{}]
    for other, choice in variant.met.items():
        settings += [{other: i} for i in range(len(choice.options)) if other != name and i != choice.default]
    options = range(len(variant.met[name].options))
    if len(settings) * len(options) > MOST_COMBINATIONS:
        return False
    for setting in settings:
        graphs = {subject.elaborate(variant.pipeline, {**setting, name: index}) for index in options}
        if len(graphs) > 1 or None in graphs:
            return False
    return True
