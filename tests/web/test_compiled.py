"""Templates are compiled once, and anew when they or the code that they call have changed."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from hitl_webapp import pages
from hitl_webapp.compiled import CompiledTemplates, compile_all
from hitl_webapp.pages import STATIC, keep_compiled

Start = Callable[[], str]


@pytest.fixture(autouse=True)
def keeps_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "filters.py").write_text("")
    (tmp_path / "page.html").write_text("{{ 'hi' | shown }}")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Start:
    """Return what a new process would: the page, by whatever is kept."""

    def start() -> str:
        kept = CompiledTemplates(folder, (folder / "code",))
        environment = Environment(loader=FileSystemLoader(folder), bytecode_cache=kept, autoescape=True)
        environment.filters["shown"] = shown[0]
        return environment.get_template("page.html").render()

    shown: list[Callable[[str], str]] = [str.upper]
    start.filters = shown  # type: ignore[attr-defined]  # a test swaps the filter
    return start


def test_what_was_compiled_is_not_compiled_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start() == "HI"

    def never(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Environment, "_compile", never)
    assert start() == "HI"


def test_a_template_that_changed_is_compiled_again(start: Start, folder: Path) -> None:
    start()
    (folder / "page.html").write_text("{{ 'ho' | shown }}")
    assert start() == "HO"


def test_code_that_changed_counts_like_the_template(start: Start, folder: Path) -> None:
    start()
    start.filters[0] = str.title  # type: ignore[attr-defined]  # see the fixture
    assert start() == "HI", "what is constant was worked out by the old filter"
    os.utime(folder / "code" / "filters.py", (4e9, 4e9))
    assert start() == "Hi"


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_what_is_kept_and_damaged_is_compiled_again(start: Start, folder: Path, damage: bytes | None) -> None:
    start()
    [kept] = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:-9] if damage is None else damage)
    assert start() == "HI"


def test_a_folder_that_cannot_be_written_costs_a_compilation(start: Start, folder: Path) -> None:
    (folder / "__pycache__").write_text("in the way")
    assert start() == start() == "HI"


def test_nothing_is_kept_where_python_keeps_no_bytecode(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert start() == "HI"
    assert not (folder / "__pycache__").exists()


def test_every_template_of_the_web_app_is_kept_when_an_image_is_built() -> None:
    # What this process rendered before is in its memory.
    pages._environment.cache_clear()
    keep_compiled()
    templates = STATIC.parent / "templates"
    assert len(list((templates / "__pycache__").glob("*.jinja"))) >= len(list(templates.glob("*.html")))


def test_all_templates_are_compiled(folder: Path) -> None:
    (folder / "page.html").write_text("y")
    (folder / "other.html").write_text("x")
    kept = CompiledTemplates(folder, ())
    compile_all(Environment(loader=FileSystemLoader(folder), bytecode_cache=kept, autoescape=True))
    assert len(list((folder / "__pycache__").iterdir())) == 2
