"""`pnyx.toml`: which engine, weights and prices stand behind the logical models of a program, and how runs are run.

Invariant: a `Config` is checked; every fault of the file was reported with its line, the known names and values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pnyx.compiler.nearest import nearest
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.toml_places import key_lines, line_of

__all__ = ["ENGINES", "Config", "EngineName", "ModelConfig", "RunConfig", "check_engine", "load_config", "override"]

FILE_NAME = "pnyx.toml"
_MORE_FAULTS = 9
EngineName: TypeAlias = Literal["transformers", "simulated"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelConfig(_Strict):
    """Everything is optional: what is None is left to the program, the registry, and the engine, in this order.

    `parameters` in weights; prices in dollars per million tokens; `window` in samples at once. Of the simulated engine
    alone: `skill`, how able the model is, from 0 to 1; `lacks`, capabilities to do without, to try a program for a
    poorer engine; `fails`, the share of calls that fail, to see how a program stands it.
    """

    id: Annotated[str, Field(min_length=1)] | None = None
    engine: EngineName = "transformers"
    device: Annotated[str, Field(pattern=r"^(cpu|mps|(cuda|xpu)(:\d+)?)$")] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    window: _Positive | None = None
    parameters: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    price_in: _Amount | None = None
    price_out: _Amount | None = None
    skill: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    fails: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    lacks: Annotated[tuple[Literal["choices", "logprobs"], ...], Field(strict=False)] = ()


class RunConfig(_Strict):
    """`window`: examples in flight."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    window: _Positive = 32


class Config(_Strict):
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    run: RunConfig = Field(default_factory=RunConfig)

    def model(self, name: str) -> ModelConfig:
        """What is said of a logical model; the defaults where nothing is."""
        return self.models.get(name) or ModelConfig()


def load_config(path: Path | None, *, near: Path | None) -> Config:
    """The configuration in the file `path`; or else in the `pnyx.toml` beside the program file `near`; or else in the
    first one in the working directory and its parents, up to the home folder; or else the defaults.

    Raises ConfigurationError with every fault of the file.
    """
    found = path or _search(near)
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
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _faulty(found, text, error) from None
    return _with_paths_from(config, found.parent.absolute())


def override(config: Config, bindings: Sequence[str], *, known: Collection[str] | None = None) -> Config:
    """The configuration with models bound as the command line says, `NAME=ID` each (`--model`); the last one counts.

    The engine and its options stay; size and prices do not, being those of the model that was replaced. With `known`,
    a name that is not among the program's models is an error. Raises ConfigurationError.
    """
    models = dict(config.models)
    for binding in bindings:
        name, equals, id = (part.strip() for part in binding.partition("="))
        if not (name and equals and id):
            raise ConfigurationError(f"`--model {binding}` binds nothing", help="write `--model NAME=ID`")
        if known is not None and name not in known:
            near = nearest(name, known)
            listed = ", ".join(f"`{model}`" for model in sorted(known)) or "none"
            help = f"did you mean `{near}`?" if near else f"its models: {listed}"
            raise ConfigurationError(f"the program has no model `{name}`", help=help)
        models[name] = config.model(name).model_copy(
            update={"id": id, "parameters": None, "price_in": None, "price_out": None}
        )
    return config.model_copy(update={"models": models})


def check_engine(name: str) -> EngineName:
    """The engine with this name. Raises ConfigurationError that lists the ones there are."""
    for engine in ENGINES:
        if engine == name:
            return engine
    near = nearest(name, ENGINES)
    raise ConfigurationError(
        f"unknown engine `{name}`", help=(f"did you mean `{near}`? " if near else "") + f"engines: {_listed(ENGINES)}"
    )


def _search(near: Path | None) -> Path | None:
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
    """Model ids that are relative paths (`./…`, `../…`) start from the folder of the file they stand in."""
    models = {
        name: model.model_copy(update={"id": str(folder / model.id)})
        if model.id and model.id.replace("\\", "/").startswith(("./", "../"))
        else model
        for name, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def _not_toml(path: Path, text: str, reason: str) -> ConfigurationError:
    """The parser tells the place inside its message: `… (at line 2, column 3)` or `… (at end of document)`."""
    what, _, where = reason.removesuffix(")").partition(" (at ")
    line, _, column = where.removeprefix("line ").partition(", column ")
    if not column:
        line, column = str(text.count("\n") + 1), str(len(text) - text.rfind("\n"))
    return ConfigurationError(f"not TOML: {what[:1].lower()}{what[1:]}", place=f"{path}:{line}:{column}")


def _faulty(path: Path, text: str, error: ValidationError) -> ConfigurationError:
    """The first fault as the error; the others, with their lines, in its help."""
    faults, lines = [], key_lines(text)
    for fault in error.errors():
        keys = tuple(str(part) for part in fault["loc"])
        line = line_of(lines, keys)
        message, help = _explain(keys, dict(fault))
        faults.append((line or 0, message, help))
    faults.sort(key=lambda fault: fault[0])
    (line, message, help), *rest = faults
    further = [f"also in line {at}: {what} ({way_out})" for at, what, way_out in rest[:_MORE_FAULTS]]
    if len(rest) > _MORE_FAULTS:
        further.append(f"and {len(rest) - _MORE_FAULTS} more faults")
    place = f"{path}:{line}:1" if line else str(path)
    return ConfigurationError(message, place=place, help="; ".join([help, *further]))


def _explain(keys: tuple[str, ...], fault: dict[str, Any]) -> tuple[str, str]:
    key = ".".join(keys)
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(keys)
        near = nearest(keys[-1], known)
        return f"unknown key `{key}`", f"did you mean `{near}`? " * bool(near) + f"keys here: {_listed(known)}"
    value = repr(fault["input"])
    shown = value if len(value) <= 60 else value[:57] + "…"
    if fault["type"] == "literal_error":
        allowed = _allowed(keys)
        near = nearest(str(fault["input"]), allowed)
        return (
            f"`{key}` cannot be {shown}",
            f"did you mean `{near}`? " * bool(near) + f"allowed: {_listed(allowed)}",
        )
    if fault["type"] == "string_pattern_mismatch":
        return f"`{key}` cannot be {shown}", "allowed: `cpu`, `mps`, `cuda`, `cuda:0`, `xpu`, `xpu:0`"
    reason = fault["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"`{key}` cannot be {shown}", f"it should be {_in_words(fault['type'], reason)}"


def _in_words(type: str, reason: str) -> str:
    tables = {"model_type": "a table", "dict_type": "a table of tables", "string_too_short": "a text that is not empty"}
    return tables.get(type, reason if reason.startswith(("a ", "an ", "greater", "less")) else f"a valid {reason}")


def _keys_beside(keys: tuple[str, ...]) -> tuple[str, ...]:
    match keys:
        case ("models", _, _, *_):
            return tuple(ModelConfig.model_fields)
        case ("run", _, *_):
            return tuple(RunConfig.model_fields)
        case _:
            return tuple(Config.model_fields)


def _allowed(keys: tuple[str, ...]) -> tuple[str, ...]:
    return {"engine": ENGINES, "dtype": ("float32", "bfloat16", "float16")}.get(keys[2], ("choices", "logprobs"))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
