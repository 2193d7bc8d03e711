"""What each package offers is a decision: it is pinned in `public_names.txt` (`--update-golden` rewrites it)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("public_names.txt")
FOLDERS = ("grammar", "library", "compiler", "runtime", "cli")


def modules() -> Iterator[str]:
    """Every module, by its import name."""
    yield from ("pnyx", "pnyx.api")
    for folder in FOLDERS:
        for path in sorted((ROOT / "pnyx" / folder).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_package(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").exists()


def test_public_names_are_the_pinned_ones(update_golden: bool) -> None:
    lines = []
    for name in modules():
        if not (is_package(name) or name == "pnyx.api"):
            continue
        offered = getattr(import_module(name), "__all__", [])
        if offered:
            lines.append(f"{name}: {' '.join(sorted(offered))}\n")
    if update_golden:
        GOLDEN.write_text("".join(lines), encoding="utf-8")
    assert "".join(lines) == GOLDEN.read_text(encoding="utf-8")


def test_every_module_says_what_is_public_and_has_it() -> None:
    wrong = {}
    for name in modules():
        module = import_module(name)
        offered = getattr(module, "__all__", None)
        if offered is None:
            if not is_package(name):
                wrong[name] = "no __all__"
        elif missing := [entry for entry in offered if not hasattr(module, entry)]:
            wrong[name] = f"lacks {missing}"
    assert wrong == {}
