"""`pnyx.toml`: what it may say, where it is looked for, and what is said of its faults."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from pnyx.cli.failures import describe
from pnyx.runtime.config import ENGINES, Config, EngineOptions, ModelConfig, check_engine, load_config, override
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.toml_places import key_lines, line_of

FULL = """\
[models.small]
id = "smollm2-135m"
engine = "simulated"
device = "cuda:1"
dtype = "bfloat16"
window = 64
parameters = 135e6
price_in = 0
price_out = 1.5
skill = 0.7
lacks = ["choices"]

[run]
seed = 7
window = 16
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def load(text: str, tmp_path: Path) -> Config:
    path = tmp_path / "pnyx.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, near=None)


def fault(text: str, tmp_path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(text, tmp_path)
    assert caught.value.code == "E604"
    return caught.value


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    config = load(FULL, tmp_path)
    assert config.models == {
        "small": ModelConfig(
            id="smollm2-135m",
            engine="simulated",
            device="cuda:1",
            dtype="bfloat16",
            window=64,
            parameters=135e6,
            price_in=0,
            price_out=1.5,
            skill=0.7,
            lacks=("choices",),
        )
    }
    assert (config.run.seed, config.run.window) == (7, 16)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[models]\n", "[models.a]\n", "run = {}"])
def test_what_is_not_said_has_defaults(text: str, tmp_path: Path) -> None:
    config = load(text, tmp_path)
    assert config.model("any") == ModelConfig()
    assert (config.run.seed, config.run.window, config.run.memory) == (0, None, None)
    assert config.model("any").engine == "transformers"


def test_where_it_is_looked_for(home: Path) -> None:
    def write(folder: Path, seed: int) -> None:
        (folder / "pnyx.toml").write_text(f"[run]\nseed = {seed}\n")

    def seed(near: Path | None = None) -> int:
        return load_config(None, near=near).run.seed

    program = home / "work" / "deep" / "main.pnyx"
    assert seed(program) == 0
    write(home.parent, 9)  # above the home folder: never read
    assert seed(program) == 0
    write(home, 1)
    assert seed(program) == seed() == 1
    write(home / "work", 2)
    assert seed(program) == seed() == 2
    write(home / "work" / "deep", 3)
    assert seed(program) == 3
    assert seed() == 2
    (home.parent / "pnyx.toml").unlink()


def test_a_named_file_must_be_there(home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml` cannot be read: No such file"):
        load_config(home / "nowhere.toml", near=None)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_config(home, near=None)


def test_relative_model_paths_start_from_the_file(tmp_path: Path) -> None:
    config = load('[models]\na.id = "./weights"\nb.id = "org/name"\nc.id = "../x.gguf"\n', tmp_path)
    assert config.model("a").id == str(tmp_path / "weights")
    assert config.model("b").id == "org/name"
    assert Path(config.model("c").id or "").resolve() == tmp_path.parent / "x.gguf"


@pytest.mark.parametrize(
    ("text", "line", "message", "help"),
    [
        ('[models.small]\nengin = "simulated"', 2, "unknown key `models.small.engin`", "did you mean `engine`?"),
        ("[modles.small]", 1, "unknown key `modles`", "did you mean `models`? keys here: `engines`, `models`, `run`"),
        ("[run]\nbatch = 3", 2, "unknown key `run.batch`", "keys here: `seed`, `window`"),
        (
            '\n[models."my model"]\nengine = "llama"',
            3,
            "`models.my model.engine` cannot be 'llama'",
            "`transformers`, `vllm`, `openai`, `replay`, `simulated`",
        ),
        ('models.a.engine = "simulate"', 1, "`models.a.engine` cannot be 'simulate'", "did you mean `simulated`?"),
        (
            '[models]\nb = { dtype = "int4" }',
            2,
            "`models.b.dtype` cannot be 'int4'",
            "`float32`, `bfloat16`, `float16`",
        ),
        ('[models.a]\nlacks = ["x"]', 2, "`models.a.lacks.0` cannot be 'x'", "`choices`, `logprobs`"),
        ('[models.a]\ndevice = "gpu"', 2, "`models.a.device` cannot be 'gpu'", "`cuda:0`"),
        ("[models.a]\nskill = 1.5", 2, "`models.a.skill` cannot be 1.5", "less than or equal to 1"),
        ("[models.a]\nwindow = 0", 2, "`models.a.window` cannot be 0", "greater than or equal to 1"),
        ("[models.a]\nwindow = true", 2, "`models.a.window` cannot be True", "a valid integer"),
        ('[models.a]\nwindow = "3"', 2, "`models.a.window` cannot be '3'", "a valid integer"),
        ("[models.a]\nparameters = nan", 2, "`models.a.parameters` cannot be nan", "finite"),
        ('[models.a]\nid = ""', 2, "`models.a.id` cannot be ''", "not empty"),
        ('[models]\na = "smollm2"', 2, "`models.a` cannot be 'smollm2'", "a table"),
        ('[engines.a]\nurl = "http://127.0.0.1/v1"', 1, "`engines.a.kind` is missing", "`openai`"),
        ('[engines.vllm]\nkind = "vllm"', 1, "an engine of your own cannot be called `vllm`", "kinds"),
        ('[engines.a]\nkind = "opnai"', 2, "`engines.a.kind` cannot be 'opnai'", "did you mean `openai`?"),
        ('[models.a]\nengine = "loacl"\n[engines.local]\nkind = "vllm"', 2, "`models.a.engine` cannot", "`local`"),
        ('[models.a]\napi = "responses"', 2, "`models.a.api` cannot be 'responses'", "`chat`, `completions`"),
        ('[models.a]\nfault = "fire"', 2, "`models.a.fault` cannot be 'fire'", "`busy`"),
        ('[models.a]\nmemory = "much"', 2, "`models.a.memory` cannot be 'much'", "`500 MB` or `10 GB`"),
        ("[run]\nmemory = 20", 2, "`run.memory` cannot be 20", "a valid string"),
        ("[models.a]\ntimeout = 0", 2, "`models.a.timeout` cannot be 0", "greater than 0"),
        ("models = 3", 1, "`models` cannot be 3", "a table"),
        ("[run]\nseed = -1", 2, "`run.seed` cannot be -1", "greater than or equal to 0"),
        ("[run]\nseed = 99999999999999999999999", 2, "`run.seed` cannot be 9999", "less than"),
        ('[models.a]\nid = ["' + "x" * 500 + '"]', 2, "`models.a.id` cannot be ['xxx", "a valid string"),
    ],
)
def test_faults_have_a_place_and_a_way_out(text: str, line: int, message: str, help: str, tmp_path: Path) -> None:
    error = fault(text, tmp_path)
    assert error.place == f"{tmp_path / 'pnyx.toml'}:{line}:1"
    assert error.message.startswith(message)
    assert len(error.message) < 200
    assert help in (error.help or "")


@pytest.mark.parametrize(
    ("line", "message", "help"),
    [
        ('key_env = "sk-123-secret"', "`models.a.key_env` cannot be this", "never the key itself"),
        ('url = "http://me:secret@host/v1"', "`models.a.url` cannot be this", "as `http://127"),
        ('url = "localhost:8000"', "`models.a.url` cannot be this", "as `http://127"),
        ('base_url = "http://me:secret@host/v1"', "unknown key `models.a.base_url`", "called `url` here: write where"),
        ('api_key = "sk-secret"', "unknown key `models.a.api_key`", "called `key_env` here: write the name"),
        ('password = "secret"', "unknown key `models.a.password`", "keys here"),
    ],
)
def test_a_line_that_may_hold_a_key_is_told_and_not_shown(line: str, message: str, help: str, tmp_path: Path) -> None:
    error = fault(f"[models.a]\n{line}\n", tmp_path)
    assert error.place == f"{tmp_path / 'pnyx.toml'}:2"  # without a column nothing of the line is shown
    assert error.message == message
    assert help in (error.help or "")
    described = describe(error)
    assert described is not None
    assert "pnyx.toml:2" in described.text
    assert "secret" not in described.text


def test_all_faults_are_told_in_order(tmp_path: Path) -> None:
    error = fault("[run]\nseed = -1\nseeds = 2\n[models.a]\nskill = 2\n", tmp_path)
    path = tmp_path / "pnyx.toml"
    assert error.place == f"{path}:2:1"
    assert error.message == "`run.seed` cannot be -1"
    told = (error.help or "").split("; ")
    assert len(told) == 3
    assert told[1].startswith("also in line 3: unknown key `run.seeds` (did you mean `seed`?")
    assert told[2].startswith("also in line 5: `models.a.skill` cannot be 2 (it should be less than")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[run\nseed = 1", ":1:5", "not TOML: expected"),
        ("seed = ", ":1:8", "not TOML: "),
        ("[run]\nseed = 1\nseed = 2", ":3:9", "not TOML: cannot overwrite"),
        ("\x00", ":1:1", "not TOML: "),
        ('a = "', "", "not TOML: unterminated string"),
    ],
)
def test_text_that_is_not_toml(text: str, place: str, message: str, tmp_path: Path) -> None:
    error = fault(text, tmp_path)
    assert (error.place or "").startswith(f"{tmp_path / 'pnyx.toml'}{place}")
    assert error.message.startswith(message)


def test_a_hundred_thousand_brackets(tmp_path: Path) -> None:
    assert "nested too deeply" in fault("a = " + "[" * 100_000, tmp_path).message


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "pnyx.toml").write_bytes(b"[run]\n# \xff\n")
    with pytest.raises(ConfigurationError, match="is not UTF-8: byte 9"):
        load_config(tmp_path / "pnyx.toml", near=None)


def test_lines_of_keys() -> None:
    text = '[models.small]\nid = """\nengine = 1\n[run]\n"""\nengine = "x"\n\n[run] # end\nseed.x = 1\n'
    lines = key_lines(text)
    assert line_of(lines, ("models",)) == line_of(lines, ("models", "small")) == 1
    assert line_of(lines, ("models", "small", "id")) == 2
    assert line_of(lines, ("run", "seed", "x")) == line_of(lines, ("run", "seed", "x", "y")) == 9
    assert line_of(lines, ("other",)) is None


@pytest.mark.no_cover
def test_a_large_file_of_faults_is_told_soon(tmp_path: Path) -> None:
    text = "".join(f"[models.m{i}]\nskill = 2\n" for i in range(400))
    start = time.perf_counter()
    told = (fault(text, tmp_path).help or "").split("; ")
    assert (len(told), told[-1]) == (11, "and 390 more faults")
    assert time.perf_counter() - start < 5


def test_models_bound_on_the_command_line(tmp_path: Path) -> None:
    config = load(FULL, tmp_path)
    bound = override(config, ["small=org/name", "other = ./x=y", "other=last"])
    small = bound.model("small")
    assert (small.id, small.engine, small.window, small.skill) == ("org/name", "simulated", 64, 0.7)
    shared = load('[engines.e]\nkind = "vllm"\nmemory = "9 GB"\n[models.a]\nengine = "e"\nmemory = "6 GB"', tmp_path)
    said = [config.options(config.model("a"), "e").memory for config in (shared, override(shared, ["a=other"]))]
    assert said == ["6 GB", "9 GB"]  # what the model takes went with the model
    assert (small.parameters, small.price_in, small.price_out) == (None, None, None)
    assert bound.model("other").id == "last"
    assert config.model("small").id == "smollm2-135m"
    assert override(config, []) == config


@pytest.mark.parametrize("binding", ["small", "small=", "=x", "", " = "])
def test_bindings_that_bind_nothing(binding: str) -> None:
    with pytest.raises(ConfigurationError, match="binds nothing") as caught:
        override(Config(), [binding])
    assert (caught.value.help or "").startswith("write `--model NAME=ID`")


def test_bindings_of_models_that_the_program_has_not() -> None:
    with pytest.raises(ConfigurationError, match="no model `smal`") as caught:
        override(Config(), ["smal=x"], known=["small", "judge"])
    assert caught.value.help == "did you mean `small`?"
    with pytest.raises(ConfigurationError) as caught:
        override(Config(), ["xyz=x"], known=["small", "judge"])
    assert caught.value.help == "its models: `judge`, `small`"
    assert override(Config(), ["small=x"], known=["small"]).model("small").id == "x"


def test_engines_by_name() -> None:
    assert [check_engine(name) for name in ENGINES] == list(ENGINES)
    with pytest.raises(ConfigurationError, match="unknown engine `simulator`") as caught:
        check_engine("simulator")
    assert (
        caught.value.help
        == "did you mean `simulated`? engines: `transformers`, `vllm`, `openai`, `replay`, `simulated`"
    )
    with pytest.raises(ConfigurationError) as caught:
        check_engine("xyz", ["my server"])
    assert caught.value.help == "engines: `transformers`, `vllm`, `openai`, `replay`, `simulated`, `my server`"


SERVERS = """\
[engines.local]
kind = "openai"
url = "http://127.0.0.1:8000/v1"
key_env = "LOCAL_KEY"
window = 8

[models.small]
engine = "local"
id = "smollm2"

[models.judge]
engine = "local"
window = 16
guide = false
"""


def test_engines_with_options_of_their_own(tmp_path: Path) -> None:
    config = load(SERVERS, tmp_path)
    small, judge = (config.options(config.model(name), "local") for name in ("small", "judge"))
    assert (small.url, small.key_env, small.window, small.guide) == (config.engines["local"].url, "LOCAL_KEY", 8, None)
    assert (judge.url, judge.key_env, judge.window, judge.guide) == (
        config.engines["local"].url,
        "LOCAL_KEY",
        16,
        False,
    )
    assert config.engine("local").kind == "openai"
    assert config.options(config.model("small"), "simulated").url is None
    with pytest.raises(ConfigurationError, match="unknown engine `locl`") as caught:
        config.engine("locl")
    assert "did you mean `local`?" in (caught.value.help or "")


def test_engines_bound_on_the_command_line(tmp_path: Path) -> None:
    config = load(SERVERS, tmp_path)
    bound = override(
        config,
        ["small=vllm:org/name", "judge=openai:gpt@https://api.example.com/v1", "a=local:x:y@1", "b=C:\\weights.gguf"],
    )
    assert (bound.model("small").engine, bound.model("small").id) == ("vllm", "org/name")
    judge = bound.model("judge")
    assert (judge.engine, judge.id, judge.url) == ("openai", "gpt", "https://api.example.com/v1")
    assert (bound.model("a").engine, bound.model("a").id) == ("local", "x:y@1")
    assert (bound.model("b").engine, bound.model("b").id) == ("transformers", "C:\\weights.gguf")
    here = override(config, ["small=other@http://127.0.0.1:9/v1"]).model("small")
    assert (here.engine, here.id, here.url) == ("local", "other", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("a=simulated:x@http://127.0.0.1:9/v1", "the engine `simulated` asks no server"),
        ("a=openai:x@http://me:secret@127.0.0.1/v1", "a binding's address is not that of a server's API"),
        ("a=openai:x@http://", "a binding's address is not that of a server's API"),
        ("a=openai:@http://127.0.0.1/v1", "names no model"),
        ("a=openai:", "names no model"),
    ],
)
def test_bindings_of_engines_that_cannot_be(binding: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        override(Config(), [binding])
    assert "secret" not in f"{caught.value.message} {caught.value.help}" or "secret" not in binding


@pytest.mark.parametrize("page", ["engines.md", "running.md"])
def test_the_documents_show_sound_configurations(page: str, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    for block in found:
        load(block, tmp_path)


def test_every_option_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")
    assert [option for option in EngineOptions.model_fields if f"`{option}`" not in text] == []
