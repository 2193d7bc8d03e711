"""`pnyx store`: look into the calls that are kept, and drop some."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnyx.cli.failures import user_error
from pnyx.cli.limits import add_store_argument, chosen_store
from pnyx.cli.tables import print_table
from pnyx.cli.terminal import count

if TYPE_CHECKING:
    from pnyx.runtime.store import Entry, Record
    from pnyx.runtime.store.backend import Backend

__all__ = ["add_arguments", "run"]

_ACTIONS = {
    "info": "say how much is kept, by model",
    "list": "list what is kept, the latest first",
    "show": "print one record",
    "prune": "drop records",
    "path": "print where the store is",
}
_SHOWN = 60
_AGES = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for action, summary in _ACTIONS.items():
        command = actions.add_parser(action, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add_store_argument(command)
        command.add_argument("--config", metavar="FILE", help="default: pnyx.toml in this folder, or one above")
        command.add_argument("--json", action="store_true", help="print JSON")
        if action == "show":
            command.add_argument("key", metavar="KEY", type=_key, help="a key, or how it begins")
        if action in ("list", "prune"):
            command.add_argument("--model", metavar="MODEL", help="only of this model, as `pnyx store info` writes it")
        if action == "list":
            command.add_argument("--limit", metavar="N", type=int, default=20, help="the latest N; default: 20")
        if action == "prune":
            command.add_argument("--older-than", metavar="AGE", type=_age, help="only what is older: `30d`, `12h`")
            command.add_argument("--size", metavar="SIZE", type=_size, help="down to this size, the least worth first")
            command.add_argument("--key", metavar="KEY", type=_key, help="only the record with this key")
            command.add_argument("--all", action="store_true", help="everything")


def _key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{4,32}", text):
        raise argparse.ArgumentTypeError(f"`{text}` is no key: 4 to 32 digits from 0 to f")
    return text


def _age(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*(s|min|h|d)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"`{text}` is no age; write `30d`, `12h`, `90min`")
    return int(found[1]) * _AGES[found[2]]


def _size(text: str) -> int:
    from pnyx.runtime.store import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    from pnyx.runtime.config import load_config
    from pnyx.runtime.store import NONE, open_backend, shown_place

    place = chosen_store(options, load_config(Path(options.config) if options.config else None, near=None))
    if options.action == "path":
        print(json.dumps({"place": shown_place(place)}) if options.json else shown_place(place))
        return 0
    if place == NONE:
        raise user_error("E613", "there is no call store: `none` is configured", "name one with `--store`")
    if "://" not in place and not Path(place).expanduser().exists():
        raise user_error("E613", f"there is no call store at `{place}` yet", "`pnyx run` and `pnyx map` make it")
    backend = open_backend(place)
    try:
        {"info": _info, "list": _list, "show": _show, "prune": _prune}[options.action](options, backend)
    finally:
        backend.close()
    return 0


def _info(options: argparse.Namespace, backend: Backend) -> None:
    info = backend.info()
    if options.json:
        models = [{"model": name, "records": records, "size": size} for name, records, size in info.models]
        data = {"place": info.place, "records": info.records, "size": info.size, "file_size": info.file_size}
        print(json.dumps(data | {"models": models}, indent=1, ensure_ascii=False))
        return
    print(f"{info.place}: {count(info.records, 'record')}, {_amount(info.size)}")
    if info.models:
        rows = [(name, str(records), _amount(size)) for name, records, size in info.models]
        print_table(("model", "records", "size"), rows, right=(1, 2))


def _list(options: argparse.Namespace, backend: Backend) -> None:
    entries = list(backend.entries(options.model, max(0, options.limit)))
    if options.json:
        print(json.dumps([_data(entry, text=False) for entry in entries], indent=1, ensure_ascii=False))
        return
    rows = [(e.key.hex()[:12], e.model, _date(e.made), str(e.uses), _beginning(e)) for e in entries]
    print_table(("key", "model", "made", "uses", "reply"), rows, right=(3,))


def _show(options: argparse.Namespace, backend: Backend) -> None:
    entry = _found(backend, options.key)
    data = _data(entry, text=True)
    if data["text"] is None:
        help = f"`pnyx store prune --key {entry.key.hex()}` drops it, so that it is drawn again"
        raise user_error("E615", f"the record `{entry.key.hex()}` is damaged", help)
    if options.json:
        print(json.dumps(data, indent=1, ensure_ascii=False))
        return
    reply = data.pop("text")
    for name, value in data.items():
        print(f"{name}: {value}")
    print(f"\n{reply}")


def _found(backend: Backend, key: str) -> Entry:
    entries = backend.find(key)
    if len(entries) != 1:
        what = "several records have keys that begin" if entries else "no record has a key that begins"
        raise user_error("E613", f"{what} with `{key}`", "`pnyx store list` shows keys")
    return entries[0]


def _prune(options: argparse.Namespace, backend: Backend) -> None:
    chosen = options.all or options.model or options.key or options.older_than is not None
    if not (chosen or options.size is not None):
        help = "give `--model`, `--older-than`, `--key`, `--size` or `--all`"
        raise user_error("E613", "nothing is said to be dropped", help)
    dropped = 0
    if chosen:
        before = int(time.time()) - options.older_than if options.older_than is not None else None
        key = _found(backend, options.key).key if options.key else None
        dropped += backend.drop(model=options.model, before=before, key=key)
    if options.size is not None:
        dropped += backend.shrink(options.size)
    backend.compact()
    left = backend.info()
    if options.json:
        print(json.dumps({"dropped": dropped, "records": left.records, "size": left.size}))
    else:
        print(f"{count(dropped, 'record')} dropped; {left.records} left, {_amount(left.size)}", file=sys.stderr)


def _data(entry: Entry, *, text: bool) -> dict[str, Any]:
    """Without what a damaged record does not say; its `text` is None."""
    data: dict[str, Any] = {
        "key": entry.key.hex(),
        "model": entry.model,
        "made": _date(entry.made),
        "uses": entry.uses,
        "size": entry.size,
    }
    record = _decoded(entry)
    if record is not None:
        data |= {
            "tokens": record.sample.tokens,
            "prompt_tokens": record.prompt,
            "finish": record.sample.finish,
            "seconds": record.seconds,
        }
        if record.probabilities:
            data["probabilities"] = list(record.probabilities)
        if record.likelihoods:
            data["likelihoods"] = [list(tokens) for tokens in record.likelihoods]
    else:
        data["damaged"] = True
    return data | {"text": record and record.sample.text} if text else data


def _decoded(entry: Entry) -> Record | None:
    from pnyx.runtime.store.records import decode

    try:
        return decode(entry.payload)
    except ValueError:
        return None


def _beginning(entry: Entry) -> str:
    record = _decoded(entry)
    if record is None:
        return "(damaged)"
    if record.likelihoods:
        return f"log-probabilities of {count(len(record.likelihoods), 'text')}"
    if record.probabilities:
        return "probabilities " + ", ".join(f"{p:.2g}" for p in record.probabilities)
    text = " ".join(record.sample.text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _date(made: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made))


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
