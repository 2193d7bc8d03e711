"""What the documents show is true: programs check and are formatted, commands and Python run, links lead somewhere.

- ```pnyx is a whole file; ```pnyx fragment the body of a pipeline that has the models `small` and `judge`. Both are
  run, where there is a pipeline, but for ```pnyx norun. ```pnyx faulty has errors. ```pnyx library is a part of the
  library, which is tested elsewhere.
- ```yaml is a whole file too, ```yaml fragment the steps of such a pipeline.
- ```console holds commands of `pnyx`, run in order in a folder with the examples and the document's titled blocks; the
  other lines of the block are among what its commands print, in that order; `…` in them stands for any text. The last
  command of ```console fails ends with an error. ```console norun needs a real model.
- ```python runs, unless it says norun.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from docs.commands import command_lines, run
from docs.markdown import PAGES, ROOT, Block, anchors, blocks, documents, links, program

from pnyx.compiler.diagnostics import Diagnostics, render_all
from pnyx.compiler.format import format_source
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

YAML_FRAGMENT = "models: {{small: smollm2-135m, judge: smollm2-135m}}\npipelines:\n  main:\n{}"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(language: str) -> list[tuple[Path, Block]]:
    """Of that language, in all documents; what a diagnostic's page shows is held against it elsewhere."""
    return [
        (path, block)
        for path in documents()
        if path.parent != PAGES
        for block in blocks(path.read_text())
        if block.language == language
    ]


def _marked(language: str) -> list[object]:
    return [pytest.param(block, id=f"{_name(path)}:{block.line}") for path, block in _blocks(language)]


@pytest.mark.parametrize("block", _marked("yaml"))
def test_a_program_in_yaml_checks_without_errors(block: Block) -> None:
    assert set(block.words) <= {"fragment"}
    text = YAML_FRAGMENT.format(textwrap.indent(block.text, "    ")) if "fragment" in block.words else block.text
    found = [d for d in Program.parse(text, "block.yaml").check() if d.is_error]
    assert not found, render_all(found)


def _programs() -> list[object]:
    found = [(path, block) for path, block in _blocks("pnyx") if "library" not in block.words]
    return [pytest.param(path, block, id=f"{_name(path)}:{block.line}") for path, block in found]


def _lay_out(path: Path, folder: Path) -> None:
    """The examples, and the titled blocks of a document."""
    for example in (ROOT / "examples").iterdir():
        if example.is_file():
            (folder / example.name).write_bytes(example.read_bytes())
    for block in blocks(path.read_text()):
        title = block.option("title")
        if title:
            (folder / title).write_text(block.text)


@pytest.mark.parametrize(("path", "block"), _programs())
def test_a_program_checks_without_errors(path: Path, block: Block, tmp_path: Path) -> None:
    assert set(block.words) <= {"faulty", "fragment", "norun"}
    _lay_out(path, tmp_path)
    found = [d for d in Program.parse(program(block), str(tmp_path / "block.pnyx")).check() if d.is_error]
    assert bool(found) == ("faulty" in block.words), render_all(found)


@pytest.mark.parametrize(("path", "block"), _programs())
def test_a_program_runs(path: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = program(block)
    if not {"faulty", "norun"}.isdisjoint(block.words) or "pipeline " not in text:
        return
    _lay_out(path, tmp_path)
    (tmp_path / "block.pnyx").write_text(text)
    code, printed = run("pnyx run block.pnyx 'What is 17 * 23?' --engine simulated", tmp_path, monkeypatch)
    if "error[E609]" in printed:
        pytest.skip("programs cannot be confined on this machine")
    assert code == 0, printed


def _all_programs() -> list[object]:
    """Diagnostics' pages included, but for faulty syntax, which has no standard form."""
    pages = [(path, b) for path in sorted(PAGES.glob("*.md")) for b in blocks(path.read_text()) if b.language == "pnyx"]
    return [pytest.param(b, id=f"{_name(path)}:{b.line}") for path, b in [*_blocks("pnyx"), *pages]]


@pytest.mark.parametrize("block", _all_programs())
def test_a_program_is_formatted(block: Block) -> None:
    text = program(block)
    formatted = format_source(Source("block.pnyx", text), Diagnostics())
    assert formatted in (None, text)


@pytest.mark.parametrize("path", [p for p in documents() if p.parent != PAGES], ids=_name)
def test_commands_print_what_the_document_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _lay_out(path, tmp_path)
    for block in blocks(path.read_text()):
        if block.language == "console" and "norun" not in block.words:
            _run_console(block, tmp_path, monkeypatch)


def _run_console(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = ""
    code = 0
    for line in command_lines(block.text):
        assert code == 0, printed
        code, text = run(line, folder, monkeypatch)
        printed += f"$ {line}\n{text}"
    assert (code != 0) == ("fails" in block.words), f"it ended with {code}:\n{printed}"
    lines = iter(printed.splitlines())
    for shown in block.text.splitlines():
        if not shown.startswith("$ "):
            assert any(_is_shown(line.rstrip(), shown.rstrip()) for line in lines), f"`{shown}` is not in:\n{printed}"


def _is_shown(line: str, shown: str) -> bool:
    return bool(re.fullmatch(".*".join(re.escape(part) for part in re.split(r"\s*…\s*", shown)), line))


@pytest.mark.parametrize("path", documents(), ids=_name)
def test_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path))
    names: dict[str, object] = {"__name__": "document"}
    for block in blocks(path.read_text()):
        if block.language == "python" and "norun" not in block.words:
            exec(compile(block.text, f"{_name(path)}:{block.line}", "exec"), names)


@pytest.mark.parametrize("path", documents(), ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), f"{target}: there is no such file"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text()), f"{target}: there is no such heading"
