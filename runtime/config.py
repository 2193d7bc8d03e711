"""`pnyx.toml`: which engine, weights and prices stand behind the logical models of a program, and how runs are run.

Invariant: a `Config` is checked; every fault of the file was reported with its line, the known names and values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pnyx.compiler.nearest import nearest
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.toml_places import key_lines, line_of

__all__ = [
    "ENGINES", "FILE_NAME", "Config", "EngineConfig", "EngineKind", "EngineOptions", "ModelConfig", "OtelConfig",
    "RunConfig", "StoreConfig", "check_engine", "find_config", "load_config", "override",
]  # fmt: skip

FILE_NAME = "pnyx.toml"
_MORE_FAULTS = 9
EngineKind: TypeAlias = Literal["transformers", "vllm", "openai", "replay", "simulated"]
ENGINES: tuple[EngineKind, ...] = get_args(EngineKind)
_LACKS = Literal["choices", "logprobs", "prefix", "continuations", "top_k", "min_p", "min_tokens"]
_FAULTS = Literal["engine", "server", "busy", "broken", "refused"]

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Positive = Annotated[int, Field(ge=1)]
_Text = Annotated[str, Field(min_length=1)]
_Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[kKmMgGtT]?i?[bB]?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EngineOptions(_Strict):
    """Everything is optional: what is None is left to the engine, or to the table of the engine that a model names.

    `window` in samples at once; `context` in tokens; `memory`, as `6 GB`, what the loaded model takes in this process,
    weights and cache. Of vllm: `batched_tokens`, the most that are computed in one step, prompts and samples together;
    `block`, the tokens of a block of its cache. `url`, where a server's API starts, as `http://127.0.0.1:8000/v1`;
    `key_env` names the environment variable that holds its key; `api`, which of its two ways to ask is used; `timeout`,
    seconds that it may be silent. `guide`: whether replies that must have a form are kept to it, where the engine can.
    Of the replay: `store`, a file or address, and `drawn_by`, whose calls are replayed. Of the simulated engine:
    `skill`, how able the model is, from 0 to 1; `latency`, seconds a call takes, more or less; `lacks`, capabilities to
    do without, to try a program for a poorer engine; `fails`, the share of calls that fail, to see how a program stands
    it, and `fault`, how they do.
    """

    device: Annotated[str, Field(pattern=r"^(cpu|mps|(cuda|xpu)(:\d+)?)$")] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    window: _Positive | None = None
    context: Annotated[int, Field(ge=2)] | None = None
    memory: _Size | None = None
    batched_tokens: _Positive | None = None
    block: _Positive | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")] | None = None
    key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    api: Literal["chat", "completions"] | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    guide: bool | None = None
    store: _Text | None = None
    drawn_by: _Text | None = None
    skill: _Share | None = None
    latency: _Amount | None = None
    fails: _Share | None = None
    fault: _FAULTS | None = None
    lacks: Annotated[tuple[_LACKS, ...], Field(strict=False)] = ()


class EngineConfig(EngineOptions):
    """An engine with options of its own, for several models to name."""

    kind: EngineKind


class ModelConfig(EngineOptions):
    """What a model says counts before what the engine that it names says. `parameters` in weights; prices in dollars
    per million tokens."""

    id: _Text | None = None
    engine: str = "transformers"
    parameters: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    price_in: _Amount | None = None
    price_out: _Amount | None = None

    @field_validator("engine")
    @classmethod
    def _known(cls, engine: str, info: ValidationInfo) -> str:
        """Against the kinds and the file's own engines, which `load_config` hands over."""
        known = (*ENGINES, *((info.context or {}).get("engines", ())))
        if info.context is not None and engine not in known:
            raise PydanticCustomError("literal_error", "no such engine", {"allowed": known})
        return engine


class RunConfig(_Strict):
    """`window`: examples in flight. `memory`, as `20 GB`: what the models in this process may take together; those that
    do not fit take turns. `deadline`: seconds that one try of a call may take. `hedge`: a call that takes this many
    times as long as nine in ten do is made a second time."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    window: _Positive | None = None
    memory: _Size | None = None
    deadline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    hedge: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None


class StoreConfig(_Strict):
    """`place`: a file, a PostgreSQL address, or `none`. `size`: of the records, as `10 GB`; those of least worth go."""

    place: _Text | None = None
    size: _Size | None = None


class OtelConfig(_Strict):
    """Where spans of runs are sent: `endpoint`, the address of a collector of OpenTelemetry that speaks HTTP;
    `service`, the name that it knows the run by; `content`, whether prompts and replies go there too. Environment
    variables of OpenTelemetry count before it."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")] | None = None
    service: _Text | None = None
    content: bool = False


class Config(_Strict):
    engines: dict[str, EngineConfig] = Field(default_factory=dict)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    run: RunConfig = Field(default_factory=RunConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    otel: OtelConfig = Field(default_factory=OtelConfig)

    def model(self, name: str) -> ModelConfig:
        """What is said of a logical model; the defaults where nothing is."""
        return self.models.get(name) or ModelConfig()

    def engine(self, name: str) -> EngineConfig:
        """The engine of this name: a table of the file, or a kind. Raises ConfigurationError that lists them."""
        found = self.engines.get(name)
        return found if found is not None else EngineConfig(kind=check_engine(name, self.engines))

    def options(self, model: ModelConfig, engine: str) -> EngineOptions:
        """The options of `model` on the engine of this name."""
        said = self.engine(engine).model_dump(exclude_unset=True)
        said |= model.model_dump(exclude_unset=True, exclude_none=True)
        return EngineOptions(**{key: said[key] for key in said.keys() & EngineOptions.model_fields.keys()})

    @field_validator("engines")
    @classmethod
    def _not_a_kind(cls, engines: dict[str, EngineConfig]) -> dict[str, EngineConfig]:
        for name in engines:
            if name in ENGINES:
                raise PydanticCustomError("shadowed", "name", {"name": name})
        return engines


def load_config(path: Path | None, *, near: Path | None) -> Config:
    """The configuration in the file `path`; or else in the `pnyx.toml` beside the program file `near`; or else in the
    first one in the working directory and its parents, up to the home folder; or else the defaults.

    Raises ConfigurationError with every fault of the file.
    """
    found = path or find_config(near)
    if found is None:
        return Config()
    text = _read(found)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(found, text, str(error)) from None
    except RecursionError:
        raise ConfigurationError(f"`{found}` is nested too deeply") from None
    try:
        named = data.get("engines")
        config = Config.model_validate(data, context={"engines": tuple(named) if isinstance(named, dict) else ()})
    except ValidationError as error:
        raise _faulty(found, text, error) from None
    return _with_paths_from(config, found.parent.absolute())


def override(config: Config, bindings: Sequence[str], *, known: Collection[str] | None = None) -> Config:
    """The configuration with models bound as the command line says (`--model`); the last one of a name counts.

    A binding is `NAME=ID`, `NAME=ENGINE:ID`, or `NAME=ENGINE:ID@URL` for a server. Without an engine the model keeps
    its own and that one's options; size, memory and prices go, being those of the model that was replaced. With
    `known`, a name that is not among the program's models is an error. Raises ConfigurationError.
    """
    models = dict(config.models)
    for binding in bindings:
        name, equals, bound = (part.strip() for part in binding.partition("="))
        if not (name and equals and bound):
            raise ConfigurationError(f"`--model {binding}` binds nothing", help=_BINDING)
        if known is not None and name not in known:
            near = nearest(name, known)
            listed = ", ".join(f"`{model}`" for model in sorted(known)) or "none"
            help = f"did you mean `{near}`?" if near else f"its models: {listed}"
            raise ConfigurationError(f"the program has no model `{name}`", help=help)
        changed = _bound(config, config.model(name).engine, bound)
        if not changed["id"]:
            raise ConfigurationError(f"`--model {binding}` names no model", help=_BINDING)
        changed |= {"parameters": None, "memory": None, "price_in": None, "price_out": None}
        models[name] = config.model(name).model_copy(update=changed)
    return config.model_copy(update={"models": models})


_BINDING = "write `--model NAME=ID`, `NAME=ENGINE:ID`, or `NAME=openai:ID@http://…/v1` for a server"


def _bound(config: Config, engine: str, bound: str) -> dict[str, Any]:
    """`ENGINE:ID@URL`, of which only the id must be there."""
    prefix, colon, rest = bound.partition(":")
    changed: dict[str, Any] = {}
    if colon and (prefix in config.engines or prefix in ENGINES):
        engine, bound = prefix, rest
        changed["engine"] = engine
    if (at := re.search(r"@(?=https?://)", bound)) is not None:
        if config.engine(engine).kind != "openai":
            raise ConfigurationError(f"the engine `{engine}` asks no server, but a binding names one", help=_BINDING)
        try:
            changed["url"] = EngineOptions(url=bound[at.end() :]).url
        except ValidationError:  # the address may hold a password, so it is not shown
            raise ConfigurationError("a binding's address is not that of a server's API", help=_URL) from None
        bound = bound[: at.start()]
    return changed | {"id": bound.strip()}


def check_engine(name: str, named: Collection[str] = ()) -> EngineKind:
    """The kind of engine with this name. Raises ConfigurationError that lists what there is, with `named`."""
    for engine in ENGINES:
        if engine == name:
            return engine
    known = (*ENGINES, *named)
    near = nearest(name, known)
    raise ConfigurationError(
        f"unknown engine `{name}`", help=(f"did you mean `{near}`? " if near else "") + f"engines: {_listed(known)}"
    )


def find_config(near: Path | None) -> Path | None:
    """The file that `load_config` reads where none is named; None where there is none."""
    if near is not None and _is_file(beside := near.parent / FILE_NAME):
        return beside
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return None
    home = Path("~").expanduser()
    for folder in (here, *here.parents):
        if _is_file(candidate := folder / FILE_NAME):
            return candidate
        if folder == home:
            break
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a parent folder that may not be looked into
        return False


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigurationError(f"`{path}` cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"`{path}` is not UTF-8: byte {error.start + 1} is not part of any character"
        ) from None


def _with_paths_from(config: Config, folder: Path) -> Config:
    """Model ids and the place of the store that are relative paths (`./…`, `../…`) start from the folder of the file
    they stand in."""

    def placed(path: str) -> str:
        return str(folder / path) if path.replace("\\", "/").startswith(("./", "../")) else path

    models = {
        name: model.model_copy(update={"id": placed(model.id)}) if model.id else model
        for name, model in config.models.items()
    }
    place = config.store.place
    store = config.store.model_copy(update={"place": placed(place)}) if place else config.store
    return config.model_copy(update={"models": models, "store": store})


def _not_toml(path: Path, text: str, reason: str) -> ConfigurationError:
    """The parser tells the place inside its message: `… (at line 2, column 3)` or `… (at end of document)`."""
    what, _, where = reason.removesuffix(")").partition(" (at ")
    line, _, column = where.removeprefix("line ").partition(", column ")
    if not column:
        line, column = str(text.count("\n") + 1), str(len(text) - text.rfind("\n"))
    return ConfigurationError(f"not TOML: {what[:1].lower()}{what[1:]}", place=f"{path}:{line}:{column}")


def _faulty(path: Path, text: str, error: ValidationError) -> ConfigurationError:
    """The first fault as the error; the others, with their lines, in its help. A place without a column is told and not
    shown, where somebody may have written a key or a password."""
    faults, lines = [], key_lines(text)
    for fault in error.errors():
        keys = tuple(str(part) for part in fault["loc"])
        line = line_of(lines, keys)
        message, help = _explain(keys, dict(fault))
        faults.append((line or 0, message, help, _SECRET.search(keys[-1]) is not None))
    faults.sort(key=lambda fault: fault[0])
    (line, message, help, secret), *rest = faults
    further = [f"also in line {at}: {what} ({way_out})" for at, what, way_out, _ in rest[:_MORE_FAULTS]]
    if len(rest) > _MORE_FAULTS:
        further.append(f"and {len(rest) - _MORE_FAULTS} more faults")
    place = f"{path}:{line}" + ":1" * (not secret) if line else str(path)
    return ConfigurationError(message, place=place, help="; ".join([help, *further]))


_SECRET = re.compile("url|endpoint|base|key|token$|secret|pass|auth|header", re.IGNORECASE)
_MEANT = {"base_url": "url", "api_base": "url", "api_key": "key_env", "key": "key_env", "token": "key_env"}
"""As other programs call them."""
_URL = "write where its API starts, as `http://127.0.0.1:8000/v1`; a key goes into the variable that `key_env` names"
_PATTERNS = {
    "endpoint": "write the address of a collector, as `http://127.0.0.1:4318`; keys go into OTEL_EXPORTER_OTLP_HEADERS",
    "size": "write it as `500 MB` or `10 GB`",
    "memory": "write it as `500 MB` or `10 GB`",
    "device": "allowed: `cpu`, `mps`, `cuda`, `cuda:0`, `xpu`, `xpu:0`",
    "url": _URL,
    "key_env": "write the name of an environment variable in capitals, as `OPENAI_API_KEY`; never the key itself",
}


def _explain(keys: tuple[str, ...], fault: dict[str, Any]) -> tuple[str, str]:
    key = ".".join(keys)
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(keys)
        if (meant := _MEANT.get(keys[-1])) in known:
            return f"unknown key `{key}`", f"it is called `{meant}` here: {_PATTERNS[meant]}"
        near = nearest(keys[-1], known)
        return f"unknown key `{key}`", f"did you mean `{near}`? " * bool(near) + f"keys here: {_listed(known)}"
    value = repr(fault["input"])
    shown = value if len(value) <= 60 else value[:57] + "…"
    if fault["type"] == "shadowed":
        name = fault["ctx"]["name"]
        return f"an engine of your own cannot be called `{name}`", "the kinds of engines have these names"
    if fault["type"] == "missing":
        return f"`{key}` is missing", f"allowed: {_listed(ENGINES)}"
    if fault["type"] == "literal_error":
        allowed = fault["ctx"].get("allowed") or _allowed(keys)
        near = nearest(str(fault["input"]), allowed)
        return (
            f"`{key}` cannot be {shown}",
            f"did you mean `{near}`? " * bool(near) + f"allowed: {_listed(allowed)}",
        )
    if fault["type"] == "string_pattern_mismatch":
        return f"`{key}` cannot be {'this' if _SECRET.search(keys[-1]) else shown}", _PATTERNS[keys[-1]]
    reason = fault["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"`{key}` cannot be {shown}", f"it should be {_in_words(fault['type'], reason)}"


def _in_words(type: str, reason: str) -> str:
    tables = {"model_type": "a table", "dict_type": "a table of tables", "string_too_short": "a text that is not empty"}
    return tables.get(type, reason if reason.startswith(("a ", "an ", "greater", "less")) else f"a valid {reason}")


def _keys_beside(keys: tuple[str, ...]) -> tuple[str, ...]:
    match keys:
        case ("models", _, _, *_):
            return tuple(ModelConfig.model_fields)
        case ("engines", _, _, *_):
            return tuple(EngineConfig.model_fields)
        case ("run", _, *_):
            return tuple(RunConfig.model_fields)
        case ("store", _, *_):
            return tuple(StoreConfig.model_fields)
        case ("otel", _, *_):
            return tuple(OtelConfig.model_fields)
        case _:
            return tuple(Config.model_fields)


def _allowed(keys: tuple[str, ...]) -> tuple[str, ...]:
    return {
        "kind": ENGINES,
        "dtype": ("float32", "bfloat16", "float16"),
        "api": ("chat", "completions"),
        "fault": get_args(_FAULTS),
    }.get(keys[2], get_args(_LACKS))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
