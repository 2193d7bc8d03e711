"""Short names for models, made of their ids.

Invariants: the names depend on the set of ids alone, not on their order; each is a name of the language, unlike every
other and unlike those in `taken`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

__all__ = ["as_name", "name_models"]

_LONGEST = 40
# Words of an id that seldom tell two models apart.
_GENERIC = frozenset({"chat", "hf", "instruct", "it", "turbo"})
_DATE = re.compile(r"(?<=[-_])(?:20\d{2}-?[01]\d-?[0-3]\d)(?=$|[-_])")


def name_models(ids: Iterable[str], taken: frozenset[str]) -> dict[str, str]:
    """
    >>> name_models(["Qwen/Qwen1.5-110B-Chat", "gpt-4o-2024-05-13"], frozenset())
    {'Qwen/Qwen1.5-110B-Chat': 'qwen1_5_110b', 'gpt-4o-2024-05-13': 'gpt_4o'}
    """
    names: dict[str, str] = {}
    waiting = sorted(set(ids))
    for spell in (_short, _long, as_name):
        spelled = {id: spell(id) for id in waiting}
        times = Counter(spelled.values())
        used = taken | set(names.values())
        names |= {id: name for id, name in spelled.items() if times[name] == 1 and name not in used}
        waiting = [id for id in waiting if id not in names]
    for id in waiting:
        used = taken | set(names.values())
        stem, number = as_name(id)[:_LONGEST], 2
        while f"{stem}_{number}" in used:
            number += 1
        names[id] = f"{stem}_{number}"
    return dict(sorted(names.items()))


def as_name(text: str) -> str:
    """The text as a name: small letters, digits, and `_` for the rest; `model` where nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return (f"m_{name}" if name[:1].isdigit() else name) or "model"


def _long(id: str) -> str:
    return as_name(id.rpartition("/")[2])[:_LONGEST].rstrip("_")


def _short(id: str) -> str:
    last = _DATE.sub("", id.rpartition("/")[2])
    words = [word for word in re.split(r"[-_:]", last) if word.lower() not in _GENERIC]
    return as_name("-".join(words))[:_LONGEST].rstrip("_")
