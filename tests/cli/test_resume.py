"""`pnyx map` goes on where it was after any stop, and its output does not show it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pnyx.cli import main

PROGRAM = """
model m = "m-7b"

pipeline p(query) {
    query |> generate(m, n = 3) |> critique(m) |> rank(m, keep = 2) |> fuse(m) |> verify(m)
}
"""
ROWS = [{"id": i, "question": f"What is {i} + {i + 3}?"} for i in range(12)]
MAP = ["map", "p.pnyx", "rows.jsonl", "-o", "out.jsonl", "--engine", "simulated"]
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


def write_rows(rows: list[dict[str, object]]) -> None:
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PNYX_STORE", str(tmp_path / "calls.sqlite"))
    Path("p.pnyx").write_text(PROGRAM)
    write_rows(ROWS)
    return tmp_path


@pytest.fixture
def whole(capsys: pytest.CaptureFixture[str]) -> bytes:
    """The output of an undisturbed run, which is there."""
    assert main(MAP) == 0
    capsys.readouterr()
    return Path("out.jsonl").read_bytes()


def test_a_run_that_is_done_is_done(whole: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    stamp = Path("out.jsonl").stat().st_mtime_ns
    assert main(MAP) == 0
    assert "12 results in out.jsonl, 12 of them from before" in capsys.readouterr().err
    assert Path("out.jsonl").read_bytes() == whole
    assert b'"seconds"' not in whole
    assert Path("out.jsonl").stat().st_mtime_ns >= stamp


@pytest.mark.parametrize("store", ["calls.sqlite", "none"])
def test_wherever_it_was_cut_off_the_end_is_the_same(whole: bytes, store: str) -> None:
    chance = random.Random(1)
    for cut in (0, 1, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(4))):
        Path("out.jsonl").write_bytes(whole[:cut])
        assert main([*MAP, "--store", store]) == 0
        assert Path("out.jsonl").read_bytes() == whole


def test_a_torn_name_of_a_row_is_cut_too(whole: bytes) -> None:
    beside = Path(".out.jsonl.resume")
    beside.write_bytes(beside.read_bytes()[:-25])  # the last row's, and half of the one before it
    assert main(MAP) == 0
    assert Path("out.jsonl").read_bytes() == whole


def test_what_a_power_cut_leaves_of_the_names_of_rows_is_cut_too(whole: bytes) -> None:
    beside = Path(".out.jsonl.resume")
    names = beside.read_bytes()
    beside.write_bytes(names[:-60] + bytes(60))
    assert main(MAP) == 0
    assert Path("out.jsonl").read_bytes() == whole
    assert beside.read_bytes() == names


def test_damage_in_the_middle_is_done_again(whole: bytes) -> None:
    lines = whole.split(b"\n")
    Path("out.jsonl").write_bytes(b"\n".join([*lines[:4], b"{oops", *lines[5:]]))
    assert main(MAP) == 0
    assert Path("out.jsonl").read_bytes() == whole


def test_more_rows_go_on(whole: bytes) -> None:
    more = {"id": "new", "question": "What is 1 + 1?"}
    write_rows([*ROWS, more])
    assert main(MAP) == 0
    assert Path("out.jsonl").read_bytes().startswith(whole)
    assert main([*MAP[:4], "other.jsonl", *MAP[5:], "--limit", "5"]) == 0
    assert main([*MAP[:4], "other.jsonl", *MAP[5:]]) == 0
    assert Path("other.jsonl").read_bytes() == Path("out.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: ["--seed", "5"], "not the same seed"),
        (lambda: ["--model", "m=m-70b"], "not the same models"),
        (lambda: ["--per-query", "1000 calls"], "not the same limits of a question"),
        (lambda: Path("p.pnyx").write_text(PROGRAM.replace("3", "4")) and [], "not the same program"),
        (lambda: write_rows([ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]]) or [], "row 2 is not the one"),
        (lambda: ["--limit", "4"], "has 12 results, and there are 4 rows"),
        (lambda: Path(".out.jsonl.resume").unlink() or [], "not by a run that can go on"),
        (lambda: Path(".out.jsonl.resume").write_text("?") and [], "not by a run that can go on"),
    ],
)
def test_results_of_another_run_are_not_touched(
    whole: bytes, change: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = change()  # type: ignore[operator]
    assert main([*MAP, *options]) == 1
    printed = capsys.readouterr().err
    assert "E616" in printed
    assert said in printed
    assert "--overwrite" in printed
    assert Path("out.jsonl").read_bytes() == whole
    assert main([*MAP, *options, "--overwrite"]) == 0


def test_two_runs_never_write_one_output(whole: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    fcntl = pytest.importorskip("fcntl")
    with Path(".out.jsonl.resume").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(MAP) == 1
    assert "another run is writing `out.jsonl`" in capsys.readouterr().err


def test_rows_that_an_engine_failed_on_can_be_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pnyx.toml").write_text('[models.m]\nengine = "simulated"\nfails = 0.05\n')
    assert main(MAP) == 1
    failed = Path("out.jsonl").read_bytes()
    assert "made again with `--retry-failed`" in capsys.readouterr().err
    assert main(MAP) == 1  # what failed has failed
    assert Path("out.jsonl").read_bytes() == failed
    assert 0 < failed.count(b"R807") < 12
    Path("pnyx.toml").unlink()
    assert main([*MAP, "--retry-failed"]) == 0
    again = Path("out.jsonl").read_bytes()
    assert main([*MAP, "--overwrite", "--store", "none"]) == 0
    assert Path("out.jsonl").read_bytes() == again


def test_a_budget_stops_it_and_more_lets_it_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    while len(codes) < 20 and (not codes or codes[-1]):
        codes.append(main([*MAP, "--window", "2", "--budget", "25 calls"]))
        said = capsys.readouterr().err
        assert ("R820" in said) == (codes[-1] == 3)
    assert codes == [3, 3, 3, 0]  # 96 calls
    resumed = Path("out.jsonl").read_bytes()
    assert main([*MAP, "--overwrite", "--store", "none"]) == 0
    assert Path("out.jsonl").read_bytes() == resumed


def test_a_budget_that_cannot_be_read_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MAP, "--budget", "5 bananas"]) == 2
    assert "tokens=2M" in capsys.readouterr().err


def test_a_run_can_be_limited_too(capsys: pytest.CaptureFixture[str]) -> None:
    question = ["run", "p.pnyx", "What is 2 + 2?", "--engine", "simulated"]
    assert main([*question, "--budget", "3 calls"]) == 3
    assert "R820" in capsys.readouterr().err
    assert main([*question, "--per-query", "3 calls"]) == 1
    assert "R821" in capsys.readouterr().err
    assert main(question) == 0
    capsys.readouterr()
    assert main([*question, "--budget", "0 calls"]) == 0  # all of it is stored by now
    assert "were there already and cost nothing" in capsys.readouterr().err


# Processes


def slow(latency: float = 0.1) -> None:
    Path("pnyx.toml").write_text(f'[models.m]\nengine = "simulated"\nlatency = {latency}\nwindow = 4\n')


def pnyx(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pnyx", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_next_run_goes_on(whole: bytes, number: signal.Signals) -> None:
    slow()
    words = ["map", "p.pnyx", "rows.jsonl", "-o", "slow.jsonl", "--store", "slow.sqlite"]
    with pnyx(*words) as process:
        while process.poll() is None and not (Path("slow.jsonl").exists() and Path("slow.jsonl").read_bytes()):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(timeout=30) == 128 + number
    assert "ending: what is under way is kept" in said
    assert "Traceback" not in said
    part = Path("slow.jsonl").read_bytes()
    assert whole.startswith(part)
    assert len(part) < len(whole)
    with pnyx(*words) as process:
        assert process.wait(timeout=120) == 0
    assert Path("slow.jsonl").read_bytes() == whole


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    slow(latency=30)
    with pnyx(*MAP, "--store", "slow.sqlite") as process:
        while process.poll() is None and not Path("slow.sqlite").exists():
            time.sleep(0.01)
        time.sleep(1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - began < 15


def test_two_processes_share_a_store_and_say_the_same(whole: bytes) -> None:
    slow(latency=0.01)
    runs = [pnyx("map", "p.pnyx", "rows.jsonl", "-o", f"{n}.jsonl", "--store", "both.sqlite") for n in range(2)]
    with runs[0], runs[1]:
        assert [process.wait(timeout=120) for process in runs] == [0, 0]
    assert [Path(f"{n}.jsonl").read_bytes() for n in range(2)] == [whole, whole]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_killed_at_random_moments_nothing_is_lost_or_repeated() -> None:
    words = [sys.executable, str(BENCHMARK), "--kills", "4", "--questions", "24", "--seed", "3"]
    done = subprocess.run(words, capture_output=True, timeout=120, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert 1 <= json.loads(done.stdout)["kills"] <= 4  # fewer where the work was done before the last


# The store, looked into


def test_looking_into_the_store(whole: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(["store", *words]) == 0
        return capsys.readouterr().out

    assert said("path").strip().endswith("calls.sqlite")
    info = json.loads(said("info", "--json"))
    assert info["records"] == info["models"][0]["records"] > 100
    assert f"{info['records']} records" in said("info")
    listed = json.loads(said("list", "--json", "--limit", "5"))
    assert len(listed) == 5
    shown = json.loads(said("show", listed[0]["key"][:12], "--json"))
    assert shown["text"] or shown["probabilities"]
    assert f"key: {listed[0]['key']}" in said("show", listed[0]["key"])
    assert listed[0]["key"][:12] in said("list")
    assert said("list", "--model", "other").count("\n") <= 2
    pruned = json.loads(said("prune", "--size", "10 kB", "--json"))
    assert pruned["dropped"] + pruned["records"] == info["records"]
    assert pruned["size"] <= 10_000
    assert json.loads(said("prune", "--older-than", "1d", "--json"))["dropped"] == 0
    assert json.loads(said("prune", "--all", "--json"))["records"] == 0


def test_a_damaged_record_is_named_and_can_be_dropped_alone(whole: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect("calls.sqlite") as database:
        (before,) = database.execute("SELECT count(*) FROM records").fetchone()
        (key,) = database.execute("SELECT hex(key) FROM records ORDER BY made, key LIMIT 1").fetchone()
        database.execute("UPDATE records SET payload = x'00' WHERE hex(key) = ?", [key])
    database.close()
    drop = f"pnyx store prune --key {key.lower()}"
    assert main([*MAP, "--overwrite"]) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "E615" in said
    assert drop in said
    assert main(["store", "list", "--limit", "1000"]) == 0
    assert "(damaged)" in capsys.readouterr().out
    assert main(["store", "show", key]) == 1
    assert drop in " ".join(capsys.readouterr().err.split())
    assert main(drop.split()[1:]) == 0
    assert f"1 record dropped; {before - 1} left" in capsys.readouterr().err
    assert main(MAP) == 0
    assert Path("out.jsonl").read_bytes() == whole


def test_no_password_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psycopg")
    address = "postgresql://me:secret@127.0.0.1:1/calls?password=secret&connect_timeout=1"
    assert main(["store", "path", "--store", address]) == 0
    assert main(["store", "path", "--json", "--store", address]) == 0
    assert main(["store", "info", "--store", address]) == 1
    assert main([*MAP, "--store", address.replace(":1/", ":no/")]) == 1
    said = "".join(capsys.readouterr())
    assert "secret" not in said
    assert said.count("me:***@127.0.0.1") == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["info", "--store", "nowhere.sqlite"], 1, "no call store at"),
        (["info", "--store", "none"], 1, "no call store"),
        (["info", "--store", "p.pnyx"], 1, "damaged"),
        (["prune"], 1, "nothing is said to be dropped"),
        (["show", "abcdef"], 1, "no record has a key that begins"),
        (["prune", "--key", "abcdef"], 1, "no record has a key that begins"),
        (["show", "xyz"], 2, "is no key"),
        (["prune", "--older-than", "soon"], 2, "is no age"),
        (["prune", "--size", "big"], 2, "is no size"),
    ],
)
def test_what_cannot_be_looked_into(
    whole: bytes, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", *words]) == code
    assert said in capsys.readouterr().err


def test_the_store_of_the_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PNYX_STORE")
    Path("pnyx.toml").write_text('[store]\nplace = "./mine.sqlite"\nsize = "50 kB"\n')
    assert main(MAP) == 0
    assert Path("mine.sqlite").exists()
    assert main(["store", "info"]) == 0


def test_a_store_that_cannot_be_opened_stops_it_before_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.sqlite").write_bytes(b"no database" * 100)
    assert main([*MAP, "--store", "bad.sqlite"]) == 1
    said = capsys.readouterr().err
    assert "E613" in said
    assert "--store none" in said
    assert not Path("out.jsonl").exists()
