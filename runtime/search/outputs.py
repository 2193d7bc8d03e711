"""What a search leaves in its folder: the winner as a program and as a plan, the result as JSON, the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pnyx.runtime.search.report import write_report
from pnyx.runtime.search.results import Gain, SearchResult
from pnyx.runtime.search.subject import Subject

__all__ = ["Outputs", "default_folder", "default_place", "write_outputs"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """`program` and `plan` None: there is no winner."""

    folder: Path
    program: Path | None
    plan: Path | None
    result: Path
    markdown: Path
    page: Path


def default_place(program: Path, name: str) -> str:
    """Where the book of a search is: beside its program."""
    return str(program.with_name(f"{program.stem}.{name}.search.db"))


def default_folder(program: Path, name: str) -> Path:
    return program.with_name(f"{program.stem}.{name}.search")


def write_outputs(result: SearchResult, subject: Subject, folder: Path) -> Outputs:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / "result.json"
    found.write_text(json.dumps(result.to_data(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    program = plan = source = None
    if result.best is not None:
        space, point = subject.space, result.best.point
        comments = [*_comments(result), _again(result, len(subject.program.benchmarks))]
        held_out = subject.declared.held_out
        splits = {} if held_out is None else {subject.benchmark.name: held_out}
        source = subject.program.closed_source(
            space.pipeline(point), space.choices(point), comments=comments, folder=folder, splits=splits
        )
        program, plan = folder / "best.pnyx", folder / "plan.json"
        program.write_text(source, encoding="utf-8")
        plan.write_text(space.plan(point).to_json(), encoding="utf-8")
    markdown, page = write_report(result, folder, source=source)
    return Outputs(folder, program, plan, found, markdown, page)


def _comments(result: SearchResult) -> list[str]:
    """What stands at the head of the winner's source."""
    said = [f"found by the search `{result.name}` of {result.file}, by {result.algorithm}, seed {result.seed}"]
    if result.simulated:
        said.append("SIMULATED: its answers came from a simulated world, not from a language model")
    said.append(result.why)
    found = result.confirmation
    if found is None:
        return [*said, f"not confirmed: {result.unconfirmed}"]
    winner = found.pipelines[0]
    if winner.accuracy is not None and winner.interval is not None:
        low, high = winner.interval
        said.append(
            f"on {winner.n} questions that were held out: {100 * winner.accuracy:.1f} %, "
            f"95 % interval {100 * low:.1f} … {100 * high:.1f}"
        )
    return [*said, *(_gain(result, gain) for gain in found.gains)]


def _again(result: SearchResult, benchmarks: int) -> str:
    """How its rows are had again, which the call store has."""
    which = f" --benchmark {result.benchmark}" if benchmarks > 1 else ""
    limits = "".join(f" --per-query {kind}={amount:.15g}" for kind, amount in result.per_query.items())
    return f"its scores in the search: `pnyx bench best.pnyx{which} --split search --seed {result.seed}{limits}`"


def _gain(result: SearchResult, gain: Gain) -> str:
    assert result.confirmation is not None
    other = result.confirmation.pipelines[gain.against]
    against = "the defaults" if other.role == "defaults" else f"`{other.pipeline}`"
    low, high = gain.interval
    return (
        f"against {against}: {100 * gain.difference:+.1f} points, {100 * low:+.1f} … {100 * high:+.1f}, "
        f"{'p < 0.001' if gain.p < 0.001 else f'p = {gain.p:.3f}'}: {gain.verdict}"
    )
