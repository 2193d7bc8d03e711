"""`pnyx import archon` and `pnyx export archon`, as a person uses them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archon.archon_files import FIXTURES

from pnyx.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ensemble", "stray_text"):
        shutil.copy(FIXTURES / f"{name}.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_import_writes_a_program_and_says_what_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "archon", "ensemble.json", "-o", "new/ensemble.pnyx"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-2:] == [
        "imported ensemble.json as ensemble.pnyx: 5 layers, 7 components",
        "`critique` asks about each candidate by itself, where Archon asks about all at once",
    ]
    assert (folder / "new" / "ensemble.pnyx").read_text() == (FIXTURES / "ensemble.pnyx").read_text()
    assert main(["fmt", "--check", "new/ensemble.pnyx"]) == 0
    assert main(["check", "new/ensemble.pnyx"]) == 0


def test_import_prints_the_program_where_no_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "archon", "ensemble.json"]) == 0
    assert capsys.readouterr().out == (FIXTURES / "ensemble.pnyx").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["ensemble.json", "stray_text.json"]


def test_a_refused_file_gives_no_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "archon", "stray_text.json", "-o", "out.pnyx"]) == 1
    printed = capsys.readouterr()
    assert "error[E620]: `,` or `}` is expected here\n  --> stray_text.json:5:33" in printed.err
    assert printed.err.endswith("not imported: 1 error\n")
    assert not (folder / "out.pnyx").exists()


def test_a_file_that_is_not_utf_8_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "latin.json").write_bytes(b'{"name": "\xe9"}')
    assert main(["import", "archon", "latin.json"]) == 1
    assert "error[E602]: `latin.json` is not UTF-8: byte 0xe9 on line 1" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_fault(folder: Path) -> None:
    text = (folder / "ensemble.json").read_bytes()
    (folder / "ensemble.json").write_bytes(b"\xef\xbb\xbf" + text)
    assert main(["import", "archon", "ensemble.json", "-o", "out.pnyx"]) == 0


def test_export_writes_what_import_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "archon", "ensemble.json", "-o", "ensemble.pnyx"]) == 0
    assert main(["export", "archon", "ensemble.pnyx", "-o", "back.json", "--model-type", "qwen2_72b=vLLM"]) == 0
    assert capsys.readouterr().err.endswith("exported pipeline archon\n")
    data = json.loads((folder / "back.json").read_text())
    assert data["name"] == "back"
    assert {c["model_type"] for layer in data["layers"] for c in layer if "Qwen2" in c["model"]} == {"vLLM"}


@pytest.mark.parametrize(
    ("given", "message"),
    [("nobody=vLLM", "the pipeline has no model `nobody`"), ("qwen2_72b=VLM", "`VLM` is no `model_type`")],
)
def test_an_unknown_engine_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], given: str, message: str
) -> None:
    assert main(["import", "archon", "ensemble.json", "-o", "ensemble.pnyx"]) == 0
    assert main(["export", "archon", "ensemble.pnyx", "-o", "back.json", "--model-type", given]) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "back.json").exists()


def test_export_points_at_what_archon_lacks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = "    query\n    |> generate(a, n = 3)\n    |> extract(number)\n    |> vote\n"
    (folder / "test.pnyx").write_text(f'model a = "a"\n\npipeline test(query) {{\n{stages}}}\n')
    assert main(["export", "archon", "test.pnyx"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error[E630]: Archon has nothing like `extract`\n  --> test.pnyx:6:8" in printed.err
