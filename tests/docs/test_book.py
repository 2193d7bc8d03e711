"""The book builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.markdown import DOCS, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    # The theme tells of its successor at every build.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_every_document_is_a_page_that_the_navigation_leads_to(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert pages == {path.relative_to(site) for path in site.rglob("*.html")} - {Path("404.html")}
    listed = set(re.findall(r'<a href="([^"#:]+)" class="md-nav__link', (site / "index.html").read_text()))
    assert {str(page) for page in pages} <= listed


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe)[^>]* src="https?://|<link[^>]* rel="(?:stylesheet|preconnect)"[^>]*//')
    assert [path.name for path in site.rglob("*.html") if loads.search(path.read_text())] == []


def test_programs_are_highlighted_and_found(site: Path) -> None:
    page = (site / "operators" / "generate.html").read_text()
    assert '<span class="kd">pipeline</span>' in page
    assert '<span class="o">|&gt;</span>' in page
    assert "operators/generate.html" in (site / "search" / "search_index.json").read_text()
