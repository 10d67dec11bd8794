"""What users can set, call or watch is documented; a test fails when a page misses one such thing."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import hitl
from docs.tools import python_api
from hitl.author import events
from hitl.author.options import AnyOptions
from hitl.cluster.conditions import HumanInputCondition

REPO = Path(__file__).parents[2]
DOCS = REPO / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(REPO / "examples").rglob("*.md"), *REPO.glob("*.md")])


def test_every_setting_is_on_the_settings_page() -> None:
    generator = DOCS / "tools" / "settings.py"
    subprocess.run([sys.executable, str(generator), "--check"], check=True)


def test_every_field_condition_and_reason_is_on_the_pages_of_the_custom_resources() -> None:
    generator = DOCS / "tools" / "spec.py"
    subprocess.run([sys.executable, str(generator), "--check"], check=True)
    page = (DOCS / "spec" / "humaninput.md").read_text()
    for condition in HumanInputCondition:
        assert f"| `{condition}` |" in page


def test_every_public_name_and_each_of_its_parameters_is_on_the_page_of_the_python_api() -> None:
    # The generator refuses a name, a field or a parameter that no docstring explains.
    generator = DOCS / "tools" / "python_api.py"
    subprocess.run([sys.executable, str(generator), "--check"], check=True)
    page = (DOCS / "python.md").read_text()
    parts = dict(re.findall(r"(?ms)^### ([\w.]+)$(.*?)(?=^##|\Z)", page))
    assert {f"hitl.{name}" for name in hitl.__all__} <= parts.keys()
    functions: dict[str, Any] = {"ask": events._ask, "new_event": events._new_event, "escape": hitl.escape}
    for name, function in functions.items():
        named = set(inspect.signature(function).parameters) - {"options"}
        named |= set(AnyOptions.__annotations__) if name != "escape" else set()
        assert not sorted(each for each in named if f"| `{each}` |" not in parts[f"hitl.{name}"])


def test_the_page_of_the_python_api_shows_types_without_their_annotations() -> None:
    assert python_api._kind("dict[str, Annotated[int, Field(strict=True)]]") == "dict[str, int]"
    assert python_api._kind("typing.Annotated[str, Field(pattern='[a]')]") == "str"


def test_every_metric_of_the_operator_is_on_its_page() -> None:
    from hitl_operator import metrics

    page = (DOCS / "operator.md").read_text()
    named = {family.name for family in metrics.REGISTRY.collect()}
    assert named
    assert not sorted(name for name in named if f"`{name}" not in page)


def test_every_condition_of_what_the_operator_writes_is_one_that_is_documented() -> None:
    from hitl.cluster import conditions

    reasons = [each for each in vars(conditions).values() if isinstance(each, type) and issubclass(each, StrEnum)]
    written = {word for each in reasons for word in each} | {conditions.ACCEPTED, conditions.AWAITING_ANSWER}
    pages = "".join(path.read_text() for path in (DOCS / "spec").glob("*.md"))
    assert len(written) >= 20
    assert not sorted(name for name in written if f"`{name}`" not in pages)


def test_every_route_is_on_the_http_page() -> None:
    from hitl_webapp.main import create_app
    from hitl_webapp.settings import WebSettings

    page = (DOCS / "http-api.md").read_text()
    app = create_app(WebSettings(storage_root="memory://documented"))
    paths = set(app.openapi()["paths"]) | {
        str(path) for route in app.routes if (path := getattr(route, "path", None))
    }
    missing = sorted(path for path in paths if not path.startswith("/static") and f"`{path}`" not in _bare(page))
    assert not missing


def test_every_metric_of_the_web_app_is_on_the_http_page() -> None:
    import hitl_webapp

    page = (DOCS / "http-api.md").read_text()
    sources = Path(hitl_webapp.__file__).parent.rglob("*.py")
    named = {name for source in sources for name in re.findall(r"\"(hitl_web[a-z_]+)\"", source.read_text())}
    named -= {"hitl_webapp"}
    assert named
    assert not sorted(name for name in named if name not in page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_to_a_heading_find_it(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)", page.read_text())
    assert [
        f"{path}#{name}" for path, name in targets if name not in _headings(page.parent / path if path else page)
    ] == []


def _headings(page: Path) -> set[str]:
    """Return a page's headings, as links name them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def _bare(page: str) -> str:
    """Return the page with methods taken out of its code spans, so that `GET /x` counts as `/x`."""
    return re.sub(r"`(?:GET|POST|PUT|DELETE|HEAD) (/[^`]*)`", r"`\1`", page)


def test_every_table_is_whole() -> None:
    # A blank line within one shows the rest of it as text.
    table = re.compile(r"(?m)^\|.*\n(?!\|[ :|-]+\|$)")
    beginnings = re.compile(r"(?m)(?:\A|(?<=\n\n))\|.*\n")
    found = 0
    for page in PAGES:
        text = re.sub(r"(?ms)^```.*?^```", "", page.read_text())
        for beginning in beginnings.finditer(text):
            found += 1
            assert not table.match(text, beginning.start()), f"{page.name}: {beginning[0]}"
    assert found > 20
