"""What programs declare beside pipelines: limits, state, operators of Python, benchmarks and searches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from elaborate.programs import MODELS, body, check, errors

from pnyx.compiler import syntax
from pnyx.compiler.declarations import (
    F1,
    ChoiceScore,
    CodeScore,
    Exact,
    ExternScore,
    HubDataset,
    HumanEval,
    Judge,
    MathScore,
    Normalized,
    Numeric,
    Objective,
    OwnScore,
    Pairwise,
    ReasoningGym,
    RegexScore,
    Rows,
)
from pnyx.compiler.elaborate.kinds import Base
from pnyx.compiler.elaborate.states import chunk_of
from pnyx.compiler.limits import NO_LIMITS, Limits, limits_of
from pnyx.compiler.program import Program

PIPELINES = f"{MODELS}pipeline main(query) {{ query |> generate([small, judge], n = tune(1, 2)) }}\n"
EXTERN = 'extern op rate(answer: Text, target: Text) -> Float = "scores:rate"\n'


def _limited(limit: str) -> str:
    return f"{MODELS}pipeline main(query) limit {limit} {{ query |> generate([small, judge]) }}\n"


def _found(text: str) -> list[tuple[str, str]]:
    return [(d.code, d.span.text) for d in check(text) if d.span]


# Limits


def test_limits_are_read_with_their_units() -> None:
    (*_, pipeline) = Program.parse(
        _limited("20 calls, 1 sample, 40k tokens, 1.5e12 flops, $0.01, 5m")
    ).module.declarations
    assert isinstance(pipeline, syntax.PipelineDecl)
    assert limits_of(pipeline) == Limits(
        calls=20, samples=1, tokens=40_000, flops=1_500_000_000_000, money=0.01, seconds=300
    )
    assert check(_limited("20 calls, 40k tokens, $0.01, 30s")) == ()
    (*_, pipeline) = Program.parse(PIPELINES).module.declarations
    assert isinstance(pipeline, syntax.PipelineDecl)
    assert limits_of(pipeline) == NO_LIMITS


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("20", [("E512", "20")]),
        ("20 cals", [("E512", "20 cals")]),
        ("1 calls, 2 call", [("E513", "2 call")]),
        ("30s, 1m, $1, $2", [("E513", "1m"), ("E513", "$2")]),
        ("0 calls, $0", [("E514", "0 calls"), ("E514", "$0")]),
        ("1.5 calls", [("E514", "1.5 calls")]),
    ],
)
def test_faulty_limits(limit: str, found: list[tuple[str, str]]) -> None:
    assert _found(_limited(limit)) == found
    assert all(d.help for d in errors(_limited(limit)))


# State


def test_a_state_is_read_and_updated_by_pipelines() -> None:
    text = body("count = count + 1\nquery |> generate([small, judge])", "state count: Int = 0 { chunk = 8 }")
    assert not [d for d in errors(text) if d.code.startswith("E2")]
    state = Program.parse(text).module.declarations[2]
    assert isinstance(state, syntax.StateDecl)
    assert chunk_of(state) == 8
    assert chunk_of(replace(state, options=())) == 1


@pytest.mark.parametrize(
    ("declaration", "found"),
    [
        ("state s = 0", [("E515", "s")]),
        ("state s: Model = small", [("E515", "Model")]),
        ("state s: Int? = none", [("E515", "Int?")]),
        ("state s: Number = 1", [("E201", "Number")]),
        ("state s: Pool{text} = 1", [("E515", "Pool{text}")]),
        ("state s: Pool[1..]{text} = 1", [("E515", "Pool[1..]{text}")]),
        ("state s: Int = 0 { chunks = 8 }", [("E209", "chunks")]),
        ("state s: Int = 0 { chunk = 0 }", [("E401", "0")]),
        ("state s: Int = 0 { chunk = 1.5 }", [("E401", "1.5")]),
        ("state s: Int = 0 { chunk = 8 calls }", [("E301", "8 calls")]),
        ('state s: Int = 0 { chunk = "8" }', [("E301", '"8"')]),
        ("state s: Int = 0 { chunk = 8, chunk = 9 }", [("E205", "chunk")]),
        ("state s: Int = nothing", [("E201", "nothing")]),
        ("state s: Int = t\nstate t: Int = 0", [("E211", "t")]),
        ("state s: Int = 0\nlet t = s", [("E211", "s")]),
        ("state s: Int = 0\nop f(query: Chat) { query |> generate(small, n = s) }", [("E211", "s")]),
        ("state s: Int = 0\nop f(query: Chat, n: Int = s) { query |> generate(small, n = n) }", [("E211", "s")]),
    ],
)
def test_faulty_states(declaration: str, found: list[tuple[str, str]]) -> None:
    text = body("query |> generate([small, judge])", declaration)
    assert [(d.code, d.span.text) for d in errors(text) if d.span and d.code in dict(found)] == found
    assert all(d.help for d in errors(text))


def test_a_state_that_nothing_reads_is_unused() -> None:
    assert ("W702", "s") in _found(body("query |> generate([small, judge])", "state s: Int = 0"))


# Operators of Python


def test_an_extern_op_is_an_operator_with_a_signature() -> None:
    program = Program.parse(f'{PIPELINES}extern op f(pool: Pool{{text}}, most: Int = 3) -> Pool{{score}} = "a.b:c"\n')
    assert program.check() == ()
    signature = program._scope.signature("f")
    assert signature is not None
    assert [(p.name, p.kind.base) for p in signature.parameters] == [("pool", Base.POOL), ("most", Base.INT)]
    assert signature.returns is not None
    assert signature.returns.fields == ("score",)
    assert isinstance(signature.declaration, syntax.ExternDecl)


@pytest.mark.parametrize(
    ("declaration", "found"),
    [
        ('extern op f(pool: Pool) -> Pool = "a.b"', [("E510", '"a.b"')]),
        ('extern op f(pool: Pool) -> Pool = "a b:c"', [("E510", '"a b:c"')]),
        ('extern op f(pool: Pool) -> Pool = "a:"', [("E510", '"a:"')]),
        ('extern op f(pool: Pool) = "a:b"', [("E511", "f")]),
        ('extern op f(pool) -> Pool = "a:b"', [("E511", "pool")]),
        ('extern op f(m: Model?) -> List[Int] = "a:b"', [("E511", "Model"), ("E511", "List")]),
        ('extern op f(q: Chat) -> Chat = "a:b"', [("E511", "Chat")]),
        ('extern op f(q: Chta, q: Text) -> Text = "a:b"', [("E202", "q"), ("E201", "Chta")]),
        ('extern op f(n: Int = many) -> Int = "a:b"', [("E201", "many")]),
    ],
)
def test_faulty_extern_ops(declaration: str, found: list[tuple[str, str]]) -> None:
    text = PIPELINES + declaration
    assert sorted((d.code, d.span.text) for d in errors(text) if d.span) == sorted(found)
    assert all(d.help for d in errors(text))


def test_calls_of_an_extern_op_are_held_against_its_signature() -> None:
    text = body("query |> generate([small, judge]) |> rate(1, 2, targt = 3)", EXTERN)
    assert ("E210", "2") in [(d.code, d.span.text) for d in errors(text) if d.span]


# Benchmarks


def _benchmark(settings: str, before: str = "") -> str:
    return f"{PIPELINES}{before}benchmark b {{\n{settings}\n}}\n"


FULL = 'data = jsonl("q.jsonl")\nquery = question\ntarget = answer\n'


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ('jsonl("q.jsonl")', Rows("jsonl", "folder/q.jsonl")),
        ('csv(path = "../q.csv")', Rows("csv", "q.csv")),
        ('parquet("/q.parquet")', Rows("parquet", "/q.parquet")),
        ('dataset("gsm8k")', HubDataset("gsm8k", "test", None)),
        ('dataset("gsm8k", split = "train", config = "main")', HubDataset("gsm8k", "train", "main")),
        ('reasoning_gym("sums", size = 20, seed = 3)', ReasoningGym("sums", 20, 3)),
        ("humaneval()", HumanEval()),
        ("humaneval", HumanEval()),
    ],
)
def test_data_of_a_benchmark(data: str, read: object) -> None:
    program = Program.parse(_benchmark(f"data = {data}\nquery = q\ntarget = t\nscore = exact"), "folder/main.pnyx")
    assert program.check() == ()
    assert program.benchmarks["b"].data == read


@pytest.mark.parametrize(
    ("score", "read"),
    [
        ("exact", Exact()),
        ("normalized", Normalized()),
        ("f1", F1()),
        ("numeric", Numeric(1e-6)),
        ("numeric(tolerance = 0.5)", Numeric(0.5)),
        ("math()", MathScore()),
        ("choice", ChoiceScore()),
        ('regex("(\\\\d+)")', RegexScore(r"(\d+)")),
        ("code", CodeScore()),
        ("judge(judge)", Judge("judge", None)),
        ("pairwise(judge, baseline = main, prompt = ask_both)", Pairwise("judge", "main", "ask_both")),
        ("rate", ExternScore("rate", "scores:rate", (("answer", "Text"), ("target", "Text")))),
    ],
)
def test_scores_of_a_benchmark(score: str, read: object) -> None:
    before = EXTERN + 'prompt ask_both(query, a, b) = "{{ query }}{{ a.text }}{{ b.text }}"\n'
    used = "let kept = 1\n"
    program = Program.parse(_benchmark(f"{FULL}choices = choices\nscore = {score}", before + used))
    unused = {d.span.text for d in program.check() if d.span}
    assert unused == {"kept"} | (set() if "ask_both" in score else {"ask_both"})
    assert program.benchmarks["b"].score == read


def test_data_that_score_themselves_need_no_score() -> None:
    text = f"{PIPELINES}benchmark b {{\n    data = DATA\n}}\n"
    assert Program.parse(text.replace("DATA", 'reasoning_gym("gsm_symbolic")')).benchmarks["b"].score == OwnScore()
    assert Program.parse(text.replace("DATA", "humaneval()")).benchmarks["b"].score == CodeScore()


def test_the_other_settings_of_a_benchmark() -> None:
    text = f'{FULL}choices = "the choices"\nid = key\nscore = choice\nsplit = 0.2\nlimit = 100\nseed = 7'
    benchmark = Program.parse(_benchmark(text)).benchmarks["b"]
    assert (benchmark.query, benchmark.target, benchmark.choices, benchmark.id) == (
        "question", "answer", "the choices", "key",
    )  # fmt: skip
    assert (benchmark.split, benchmark.limit, benchmark.seed) == (0.2, 100, 7)
    benchmark = Program.parse(_benchmark("data = humaneval\nscore = code")).benchmarks["b"]
    assert (benchmark.query, benchmark.split, benchmark.limit, benchmark.seed) == (None, 0.3, None, 0)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("score = exact", [("E212", "b"), ("E212", "b"), ("E212", "b")]),
        ('data = jsonl("q.jsonl")\nquery = q', [("E212", "b")]),
        ('data = jsonl("q.jsonl")\nquery = q\nscore = exact', [("E212", "b")]),
        (f"{FULL}score = choice", [("E212", "b")]),
        (f"{FULL}score = exact\nscroe = exact", [("E209", "scroe")]),
        (f"{FULL}score = exact\nseed = 1\nseed = 2", [("E205", "seed")]),
        (f"{FULL}score = exakt", [("E401", "exakt")]),
        (f"{FULL}score = 3", [("E301", "3")]),
        (f"{FULL}score = numeric(tolerance = -1)", [("E401", "-1")]),
        (f"{FULL}score = numeric(tolerance = 30s)", [("E301", "30s")]),
        (f"{FULL}score = numeric(toll = 1)", [("E203", "toll")]),
        (f"{FULL}score = numeric(1, 2)", [("E210", "2")]),
        (f"{FULL}score = judge", [("E204", "judge")]),
        (f"{FULL}score = judge(jugde)", [("E201", "jugde")]),
        (f"{FULL}score = judge(main)", [("E301", "main")]),
        (f'{FULL}score = judge("small")', [("E301", '"small"')]),
        (f"{FULL}score = pairwise(small, baseline = mian)", [("E201", "mian")]),
        (f'{FULL}score = regex("(")', [("E401", 'regex("(")')]),
        (f"{FULL}score = regex(answer)", [("E301", "answer")]),
        (f"{FULL}score = main", [("E401", "main")]),
        ("data = json(1)\nquery = q\ntarget = t\nscore = exact", [("E401", "json")]),
        ("data = jsonl(file)\nquery = q\ntarget = t\nscore = exact", [("E301", "file")]),
        ('data = reasoning_gym("sums", size = 0)\nscore = exact', [("E401", "0")]),
        (f"{FULL}score = exact\nsplit = 1.5", [("E401", "1.5")]),
        (f"{FULL}score = exact\nsplit = half", [("E301", "half")]),
        (f"{FULL}score = exact\nlimit = 2.5\nseed = -1", [("E401", "2.5"), ("E401", "-1")]),
        (f"{FULL}score = exact\nlimit = 20 calls", [("E301", "20 calls")]),
        (f"{FULL}score = exact\nid = 3", [("E301", "3")]),
    ],
)
def test_faulty_benchmarks(settings: str, found: list[tuple[str, str]]) -> None:
    program = Program.parse(_benchmark(settings))
    reported = [d for d in program.check() if d.is_error]
    assert sorted((d.code, d.span.text) for d in reported if d.span) == sorted(found)
    assert all(d.help for d in reported)
    assert program.benchmarks == {}


def test_a_score_of_python_gives_a_number() -> None:
    extern = 'extern op rate(answer: Text) -> Text = "scores:rate"\n'
    assert [d.code for d in errors(_benchmark(f"{FULL}score = rate", extern))] == ["E301"]


# Searches

BENCHMARK = f"benchmark b {{\n{FULL}score = numeric\n}}\n"


def _search(settings: str) -> str:
    return f"{PIPELINES}{BENCHMARK}search s {{\n{settings}\n}}\n"


LEAST = "pipeline = main\nbenchmark = b\nbudget = 2M tokens\n"


def test_a_search_with_every_setting() -> None:
    text = (
        "pipeline = [main]\nbenchmark = b\nmaximize = accuracy\nminimize = [tokens, money]\n"
        "budget = [2M tokens, $5, 1h]\nper query = 20 calls\nalgorithm = tpe\nseed = 4\nbaseline = main\n"
        "held out = 0.25"
    )
    program = Program.parse(_search(text))
    assert program.check() == ()
    search = program.searches["s"]
    assert (search.pipelines, search.benchmark, search.baselines) == (("main",), "b", ("main",))
    assert search.objectives == (Objective("accuracy", True), Objective("tokens", False), Objective("money", False))
    assert search.budget == Limits(tokens=2_000_000, money=5, seconds=3600)
    assert search.per_query == Limits(calls=20)
    assert (search.algorithm, search.seed, search.held_out) == ("tpe", 4, 0.25)


def test_a_search_with_several_baselines() -> None:
    other = "pipeline other(query) { query |> generate(small) }\n"
    search = Program.parse(other + _search(f"{LEAST}baseline = [main, other]")).searches["s"]
    assert search.baselines == ("main", "other")


def test_what_a_search_does_when_nothing_is_said() -> None:
    search = Program.parse(_search(LEAST)).searches["s"]
    assert search.objectives == (Objective("accuracy", True),)
    assert (search.algorithm, search.seed, search.baselines) == ("rms", 0, ())
    assert search.held_out is None
    assert search.per_query == NO_LIMITS


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("", [("E212", "s"), ("E212", "s"), ("E212", "s")]),
        (LEAST.replace("main", "mian"), [("E201", "mian")]),
        (LEAST.replace("main", "small"), [("E301", "small")]),
        (LEAST.replace("main", '"main"'), [("E301", '"main"')]),
        (LEAST.replace("= b\n", "= s\n"), [("E301", "s")]),
        (LEAST.replace("= b\n", "= c\n"), [("E201", "c")]),
        (LEAST.replace("= b\n", "= [b]\n"), [("E301", "[b]")]),
        (LEAST.replace("2M tokens", "2M"), [("E512", "2M")]),
        (LEAST.replace("2M tokens", "[2M tokens, 1k tokens]"), [("E513", "1k tokens")]),
        (LEAST.replace("2M tokens", "[]"), [("E301", "[]")]),
        (LEAST.replace("2M tokens", "plenty"), [("E301", "plenty")]),
        (f"{LEAST}per query = 0 calls", [("E514", "0 calls")]),
        (f"{LEAST}maximize = acuracy", [("E401", "acuracy")]),
        (f"{LEAST}maximize = [accuracy, accuracy]", [("E205", "accuracy")]),
        (f"{LEAST}minimize = accuracy", [("E401", "accuracy")]),
        (f"{LEAST}maximize = tokens", [("E401", "tokens")]),
        (f"{LEAST}minimize = 3", [("E301", "3")]),
        (f"{LEAST}algorithm = [rms, tpe]", [("E301", "[rms, tpe]")]),
        (f"{LEAST}algorithm = rsm", [("E401", "rsm")]),
        (f"{LEAST}held out = 1", [("E401", "1")]),
        (f"{LEAST}per_query = 20 calls", [("E209", "per_query")]),
    ],
)
def test_faulty_searches(settings: str, found: list[tuple[str, str]]) -> None:
    program = Program.parse(_search(settings))
    reported = [d for d in program.check() if d.is_error]
    assert sorted((d.code, d.span.text) for d in reported if d.span) == sorted(found)
    assert all(d.help for d in reported)
    assert program.searches == {}


def test_a_search_of_a_faulty_pipeline_says_nothing_of_its_own() -> None:
    text = _search(LEAST.replace("main", "other")) + "pipeline other(query) {\n    query |> |>\n}\n"
    assert [d.code for d in errors(text)] == ["E101"]


def test_an_imported_benchmark_serves_a_search_and_an_imported_search_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shared").mkdir()
    Path("shared/parts.pnyx").write_text(_search(LEAST))
    Path("main.pnyx").write_text(f"import shared.parts\nsearch mine {{ {LEAST.replace(chr(10), ', ')} }}\n")
    program = Program.load("main.pnyx")
    assert program.check() == ()
    assert list(program.searches) == ["mine"]
    assert program.benchmarks["b"].data == Rows("jsonl", "shared/q.jsonl")


# `let`


def test_a_circle_of_lets_is_reported_once() -> None:
    other = "pipeline other(query) { query |> generate(small, n = b) }"
    text = f"{PIPELINES}let a = b\nlet b = [c, 1]\nlet c = a\n{other}\n"
    (found,) = errors(text)
    assert (found.code, found.span and found.span.text) == ("E206", "a")
    assert [label.span.text for label in found.secondary] == ["b", "c"]


def test_each_circle_of_lets_is_reported_once() -> None:
    lets = "let a = [b, b, c]\nlet b = [a, c]\nlet c = d\nlet d = [a, c, e]\nlet e = e\nlet f = [e, g]\nlet g = 1\n"
    assert [(d.code, d.span.text) for d in errors(PIPELINES + lets) if d.span] == [
        ("E206", "a"),
        ("E206", "c"),
        ("E206", "e"),
    ]
