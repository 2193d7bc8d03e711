"""From JSON to a configuration: what is missing, mistyped or out of range is refused, what has no effect is warned of.

Every fault of the file is reported, not only the first. What Archon's own code never looks at is passed over with a
warning, so a configuration is what their code would have made of the file.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from pnyx.compiler.archon.json_text import (
    JsonArray,
    JsonFault,
    JsonMember,
    JsonObject,
    JsonScalar,
    JsonValue,
    read_json,
)
from pnyx.compiler.archon.remarks import Remarks
from pnyx.compiler.archon.schema import ENGINES, IGNORED, MEANINGFUL, PAIR_RANKER, Component, Config, Kind, Layer
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Source, Span

__all__ = ["read_config"]

_MOST: Final = 1_000_000  # of what Pnyx takes as a count
_HOTTEST: Final = 100
_LAYER_KEYS: Final = ("branches", "models")
_TOP_KEYS: Final = ("name", "layers", "custom")
_MOST_LAYERS: Final = 100
_MOST_COMPONENTS: Final = 2000  # in all
_MOST_FAULTS: Final = 100  # that are told; nobody reads on
_MOST_GUESSES: Final = 100


def read_config(source: Source, diagnostics: Diagnostics) -> Config | None:
    """The configuration in a file, or None where it cannot be used; `diagnostics` says why, and what has no effect."""
    try:
        value = read_json(source)
    except JsonFault as fault:
        diagnostics.report("E620", fault.message, fault.span, help=fault.help)
        return None
    return _Reading(diagnostics).config(value)


_Entries: TypeAlias = dict[str, JsonMember]


class _Reading:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics, self._remarks = diagnostics, Remarks()
        self._custom = False
        self._faults = self._guesses = self._components = 0

    def _refuse(self, code: str, message: str, span: Span, label: str = "", help: str | None = None) -> None:
        self._faults += 1
        if self._faults > _MOST_FAULTS:
            return
        self._diagnostics.report(code, message, span, label, help=help)

    def config(self, value: JsonValue) -> Config | None:
        if not isinstance(value, JsonObject):
            help = 'a configuration is an object: {"name": …, "layers": [[…], …]}'
            self._refuse("E621", f"the file holds {_described(value)} instead of an object", value.span, help=help)
            return None
        entries = self._entries(value, "the configuration")
        self._custom = "custom" in entries and _truth(entries["custom"].value) is True
        for key in entries:
            if key not in _TOP_KEYS and not (key == "layer" and "layers" not in entries):
                self._unknown_key(key, "a configuration", _TOP_KEYS, entries[key].key_span)
        name = _value(entries, "name")
        layers = _value(entries, "layers")
        layers_read: list[Layer] = []
        if layers is None:
            near = nearest("layers", entries)
            help = f"did you mean `layers` instead of `{near}`?" if near else 'add `"layers": [[…], …]`'
            self._refuse("E622", "the configuration has no `layers`", _head(value.span), help=help)
        elif not isinstance(layers, JsonArray):
            self._refuse("E621", f"`layers` is {_described(layers)} instead of a list", layers.span)
        elif not layers.items:
            self._refuse("E621", "`layers` is empty", layers.span, help="a configuration has at least one layer")
        elif len(layers.items) > _MOST_LAYERS:
            self._refuse(
                "E621", f"`layers` has {len(layers.items)} layers; {_MOST_LAYERS} are the most", _head(layers.span)
            )
        else:
            layers_read = [layer for item in layers.items if (layer := self._layer(item)) is not None]
        text = self._name(name)
        self._remarks.deliver(self._diagnostics)
        return None if self._faults else Config(text, tuple(layers_read), name.span if name else value.span)

    def _name(self, value: JsonValue | None) -> str:
        if value is None:
            return ""
        if not (isinstance(value, JsonScalar) and isinstance(value.value, str)):
            self._refuse("E621", f"`name` is {_described(value)} instead of a text", value.span)
            return ""
        return value.value

    def _layer(self, value: JsonValue) -> Layer | None:
        """A list of components, the old form `{"branches": n, "models": […]}`, or one component by itself."""
        listed: JsonValue = value
        if isinstance(value, JsonObject):
            entries = self._entries(value, "this layer")
            if "models" not in entries and "type" in entries:
                help = "put it into a list; Archon's own code raises KeyError here"
                self._diagnostics.report(
                    "W732", "a component stands where a layer is expected", _head(value.span), help=help
                )
                component = self._component(value)
                return None if component is None else Layer((component,), value.span)
            if "models" not in entries:
                help = "a layer is a list of components"
                self._refuse("E622", "this layer has no `models`", _head(value.span), help=help)
                return None
            for key in entries:
                if key == "branches":
                    self._ignored(key, "a layer", entries[key].key_span)
                elif key not in _LAYER_KEYS:
                    self._unknown_key(key, "a layer", _LAYER_KEYS, entries[key].key_span)
            listed = entries["models"].value
        if not isinstance(listed, JsonArray):
            help = "a layer is a list of components"
            self._refuse("E621", f"the layer is {_described(listed)} instead of a list", listed.span, help=help)
            return None
        self._components += len(listed.items)
        if self._components > _MOST_COMPONENTS:
            self._refuse("E621", f"more than {_MOST_COMPONENTS} components", _head(listed.span))
            return None
        if not listed.items:
            self._diagnostics.report("W733", "a layer without components has no effect", listed.span, help="remove it")
        components = [component for item in listed.items if (component := self._component(item)) is not None]
        return Layer(tuple(components), listed.span)

    def _component(self, value: JsonValue) -> Component | None:
        if not isinstance(value, JsonObject):
            help = 'a component is an object: {"type": "generator", "model": …}'
            self._refuse("E621", f"the component is {_described(value)} instead of an object", value.span, help=help)
            return None
        entries = self._entries(value, "this component")
        kind = self._kind(value, entries)
        if kind is None:
            return None
        for key, member in entries.items():
            self._check_key(key, kind, entries, member.key_span)
        fields = _Fields(self, value, entries)
        engine = self._engine(fields)
        model = fields.text("model")
        if model == PAIR_RANKER and kind is Kind.RANKER:
            help = "rank with a language model, or with a reward model"
            message = f"`{PAIR_RANKER}` is no language model that could be asked to rank"
            self._refuse("E626", message, fields.span("model"), "Archon's own code raises NameError here", help)
        samples = fields.whole("samples", 1) if "samples" in MEANINGFUL[kind] else 1
        used = samples
        if kind not in (Kind.GENERATOR, Kind.FUSER) and samples != 1:
            self._ignored("samples", f"a {kind}", entries["samples"].key_span, " above 1: only the first is used")
            used = 1
        component = Component(
            kind=kind,
            model=model,
            engine=engine,
            temperature=fields.temperature(),
            max_tokens=fields.whole("max_tokens"),
            samples=used,
            no_system=kind is Kind.GENERATOR and fields.truth("no_system"),
            length_control=kind is Kind.FUSER and fields.truth("length_control"),
            top_k=self._top_k(kind, fields),
            first_k=self._first_k(kind, fields),
            unit_test_cap=fields.optional("unit_test_cap", 1000) if kind is Kind.TEST_GENERATOR else None,
            span=value.span,
            places={key: member.key_span.to(member.value.span) for key, member in entries.items()},
        )
        if kind is Kind.TEST_EVALUATOR:
            fields.truth("remove_unit_tests_from_prompt")
        return component

    def _top_k(self, kind: Kind, fields: _Fields) -> int | None:
        match kind:
            case Kind.RANKER:
                return fields.whole("top_k")
            case Kind.TEST_EVALUATOR:
                return fields.optional("top_k")
            case _:
                return None

    def _first_k(self, kind: Kind, fields: _Fields) -> int | None:
        if kind not in (Kind.TEST_EVALUATOR, Kind.VERIFIER):
            return None
        first = fields.optional("first_k")
        legacy = kind is Kind.TEST_EVALUATOR and fields.truth("first_pass")
        return 1 if first is None and legacy else first

    def _kind(self, value: JsonObject, entries: _Entries) -> Kind | None:
        given = _value(entries, "type")
        if given is None:
            near = nearest("type", entries)
            help = f"did you mean `type` instead of `{near}`?" if near else f"one of {_listed(Kind)}"
            self._refuse("E622", "the component has no `type`", _head(value.span), help=help)
            return None
        if not (isinstance(given, JsonScalar) and isinstance(given.value, str)):
            self._refuse("E621", f"`type` is {_described(given)} instead of a text", given.span)
            return None
        if given.value in tuple(Kind):
            return Kind(given.value)
        likely = nearest(given.value, list(Kind))
        help = f"did you mean `{likely}`?" if likely else f"the types are {_listed(Kind)}"
        if self._custom and likely is None:
            help = "it is Python of somebody's own (`custom`): write it as an `op`"
        self._refuse("E623", f"`{given.value}` is no type of component", given.span, help=help)
        return None

    def _engine(self, fields: _Fields) -> str:
        engine = fields.text("model_type", empty=True)
        model = _value(fields.entries, "model")
        is_pair_ranker = isinstance(model, JsonScalar) and model.value == PAIR_RANKER
        if engine in ENGINES or (is_pair_ranker and not engine) or "model_type" not in fields.entries:
            return engine
        likely = nearest(engine, ENGINES)
        if self._custom and likely is None:
            message = f"`{engine}` is a generator of somebody's own, which stays behind"
            help = "bind the model to an engine in `pnyx.toml`"
            self._remarks.add("W735", message, fields.span("model_type"), help=help)
            return engine
        help = f"did you mean `{likely}`?" if likely else f"the engines are {_listed(ENGINES)}"
        self._refuse("E624", f"`{engine}` is no `model_type`", fields.span("model_type"), help=help)
        return engine

    def _check_key(self, key: str, kind: Kind, entries: _Entries, span: Span) -> None:
        if key in MEANINGFUL[kind]:
            return
        if key in IGNORED[kind]:
            self._ignored(key, f"a {kind}", span)
        else:
            absent = [known for known in MEANINGFUL[kind] if known not in entries]
            self._unknown_key(key, f"a {kind}", absent, span)

    def _ignored(self, key: str, owner: str, span: Span, what: str = "") -> None:
        message = f"`{key}` of {owner}{what}" if what else f"`{key}` of {owner} has no effect"
        self._remarks.add("W726", message, span, help=None if what else "Archon's own code does not look at it")

    def _unknown_key(self, key: str, owner: str, known: tuple[str, ...] | list[str], span: Span) -> None:
        self._guesses += 1
        likely = nearest(key, known) if self._guesses <= _MOST_GUESSES else None
        help = f"did you mean `{likely}`?" if likely else "remove it"
        self._remarks.add("W727", f"`{key}` is no key of {owner}: it has no effect", span, help=help)

    def _entries(self, value: JsonObject, owner: str) -> _Entries:
        """By key; of a key that is there twice the last one counts, as for every reader of JSON that Archon uses."""
        entries: _Entries = {}
        for member in value.members:
            if (earlier := entries.get(member.key)) is not None:
                message = f"{owner} has `{member.key}` twice, and the last one counts"
                self._remarks.add("W728", message, earlier.key_span, "no effect", help="remove one of them")
            entries[member.key] = member
        return entries

    def missing(self, key: str, value: JsonObject, entries: _Entries) -> None:
        near = nearest(key, [known for known in entries if known not in MEANINGFUL[Kind.GENERATOR]])
        help = f"did you mean `{key}` instead of `{near}`?" if near else f'add `"{key}": …`'
        self._refuse("E622", f"the component has no `{key}`", _head(value.span), help=help)

    def mistyped(self, key: str, value: JsonValue, wanted: str) -> None:
        self._refuse("E621", f"`{key}` is {_described(value)} instead of {wanted}", value.span)


class _Fields:
    """The values of one component. What is wrong is reported, and something harmless given in its place."""

    def __init__(self, reading: _Reading, value: JsonObject, entries: _Entries) -> None:
        self._reading, self._value, self.entries = reading, value, entries

    def span(self, key: str) -> Span:
        return self.entries[key].value.span

    def _get(self, key: str) -> JsonValue | None:
        if key not in self.entries:
            self._reading.missing(key, self._value, self.entries)
        return _value(self.entries, key)

    def text(self, key: str, *, empty: bool = False) -> str:
        value = self._get(key)
        if value is None:
            return ""
        if not (isinstance(value, JsonScalar) and isinstance(value.value, str)):
            self._reading.mistyped(key, value, "a text")
            return ""
        if not (empty or value.value.strip()):
            self._reading.mistyped(key, value, "a name")
        return value.value

    def whole(self, key: str, default: int | None = None, most: int = _MOST) -> int:
        """A count from 1; required where there is no default."""
        if key not in self.entries and default is not None:
            return default
        value = self._get(key)
        if value is None:
            return 1
        number = value.value if isinstance(value, JsonScalar) else None
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
            self._reading.mistyped(key, value, f"a whole number from 1 to {most}")
            return 1
        return number

    def optional(self, key: str, most: int = _MOST) -> int | None:
        """A count that may be absent, or null."""
        value = _value(self.entries, key)
        if value is None or (isinstance(value, JsonScalar) and value.value is None):
            return None
        return self.whole(key, most=most)

    def truth(self, key: str) -> bool:
        value = _value(self.entries, key)
        if value is None:
            return False
        truth = _truth(value)
        if truth is None:
            self._reading.mistyped(key, value, "true or false")
        return bool(truth)

    def temperature(self) -> int | float:
        value = self._get("temperature")
        if value is None:
            return 0
        number = value.value if isinstance(value, JsonScalar) else None
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= _HOTTEST:
            self._reading.mistyped("temperature", value, f"a number from 0 to {_HOTTEST}")
            return 0
        return number


def _value(entries: _Entries, key: str) -> JsonValue | None:
    return entries[key].value if key in entries else None


def _truth(value: JsonValue | None) -> bool | None:
    """None for what is neither true nor false; null is false."""
    if not isinstance(value, JsonScalar):
        return None
    return False if value.value is None else value.value if isinstance(value.value, bool) else None


def _described(value: JsonValue) -> str:
    match value:
        case JsonObject():
            return "an object"
        case JsonArray():
            return "a list"
        case JsonScalar(value=None):
            return "`null`"
        case JsonScalar(value=str() as text):
            return f'"{text[:40]}"' if text else "empty"
        case JsonScalar(value=bool() as truth):
            return f"`{str(truth).lower()}`"
        case _:
            return f"`{value.span.text[:40]}`"


def _head(span: Span) -> Span:
    """The opening bracket, for what may be long."""
    return Span(span.source, span.start, span.start + 1)


def _listed(names: object) -> str:
    return ", ".join(f"`{name}`" for name in names)  # type: ignore[attr-defined]
