"""`Extern`: a function of the user's is asked, and what it gives is held to what the program declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from types import MappingProxyType
from typing import cast

from pnyx.compiler.operators import Extern
from pnyx.runtime.candidates import Candidate, FieldValue, Pool, Value
from pnyx.runtime.errors import WrongResult
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.operators.step import Begin, Scope, Step, Work
from pnyx.runtime.question import Chat

__all__ = ["prepare_extern"]


def prepare_extern(step: Step[Extern]) -> Begin:
    return lambda scope, values: _Asked(step, scope, values)


class _Asked(Work[Invocation, Returned]):
    """One call. The question goes to the function as its text, a pool as a list of candidates."""

    __slots__ = ("_given", "_got", "_most", "_scope", "_step")

    def __init__(self, step: Step[Extern], scope: Scope, values: tuple[Value, ...]) -> None:
        self._step, self._scope = step, scope
        extern = step.operator
        arguments: dict[str, object] = dict(extern.constants)
        pools: list[Pool] = []
        for name, value in zip(extern.names, values, strict=True):
            match value:
                case Chat():
                    arguments[name] = value.text
                case tuple():
                    pools.append(cast("Pool", value))
                    arguments[name] = list(value)
                case _:
                    arguments[name] = value
        self._most = len(pools[0]) if extern.annotates else extern.high
        given = pools[:1] if extern.annotates else pools
        self._given = {candidate.key for pool in given for candidate in pool}
        self._got: object = None
        self.requests = [Invocation(extern.target, MappingProxyType(arguments), self._most)]

    def accept(self, _slot: int, _attempt: int, answer: Returned) -> None:
        self._got = answer.value

    def finish(self) -> Value:
        gives = self._step.operator.gives
        return self._pool(self._got) if gives == "pool" else self._single(gives, self._got)

    def _single(self, gives: str, value: object) -> FieldValue | None:
        if value is None:
            return None
        clean = _clean(value)
        match gives, clean:
            case ("bool", bool()) | ("text", str()) | ("float", float()):
                return clean
            case "int", int() if not isinstance(clean, bool):
                return clean
            case "float", int() if not isinstance(clean, bool):
                return _clean(float(clean)) if abs(clean) < 2**1000 else None
        raise self._wrong(f"it gave {_shown(value)} instead of {gives}")

    def _pool(self, value: object) -> Pool:
        extern, stream = self._step.operator, self._scope.stream(self._step)
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
            raise self._wrong(f"it gave {_shown(value)} instead of a list of candidates")
        low = 0 if extern.annotates else extern.low
        if not low <= len(value) <= self._most:
            many = "more than " if len(value) > self._most else ""
            least = f"{low} to {self._most}" if low else f"at most {self._most}"
            raise self._wrong(f"it gave {many}{min(len(value), self._most)} candidates; declared are {least}")
        made = tuple(self._candidate(f"{stream}:{i}", item, i) for i, item in enumerate(value))
        for i, candidate in enumerate(made):
            missing = [name for name in extern.fields if name not in candidate.fields]
            if missing:
                raise self._wrong(f"candidate {i} has no `{missing[0]}`, which is declared")
        return made

    def _candidate(self, key: str, item: object, index: int) -> Candidate:
        """One that was given stays who it is; anything else is a new one."""
        known = isinstance(item, Candidate) and item.key in self._given
        if not known and self._step.operator.annotates:
            raise self._wrong(f"candidate {index} is {_shown(item)}, and only those of its pool may come back")
        if isinstance(item, str):
            return Candidate(key, MappingProxyType({"text": item}))
        if not isinstance(item, Mapping):
            raise self._wrong(f"candidate {index} is {_shown(item)} instead of a candidate, a text or a mapping")
        fields: dict[str, FieldValue] = {}
        for name, value in item.items():
            clean = _clean(value)
            if not isinstance(name, str) or clean is None:
                raise self._wrong(
                    f"the field {name!r} of candidate {index} is {_shown(value)}, which no field can hold"
                )
            fields[name] = clean
        return Candidate(item.key if isinstance(item, Candidate) and known else key, MappingProxyType(fields))

    def _wrong(self, message: str) -> WrongResult:
        target = self._step.operator.target
        return WrongResult(
            f"the function `{target}` does not do what is declared: {message}",
            help="correct the function, or the declaration of the extern operator",
        )


def _clean(value: object) -> FieldValue | None:
    """As a value of ours, numbers of other libraries too; None where it is none, or no finite number."""
    match value:
        case bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value) if isfinite(value) else None
        case _:
            return None


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, int | float | str) else ""
    return text if 0 < len(text) <= 60 else f"a value of type `{type(value).__name__}`"
