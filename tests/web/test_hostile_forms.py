"""The page of any schema is short, and made with bounded work, whoever wrote the schema."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from hitl.core.forms import PartFault
from hitl.core.forms.places import in_order
from hitl.core.forms.plan import _Planner
from hitl.core.forms.weight import _Weight
from hitl.core.schema import check_schema
from hitl.core.schema.work import Work
from hitl.errors import InvalidRequest
from hitl_webapp import pages, parts
from tests.library.hostile_forms import hostile_schema
from tests.web.test_pages import question

MAX_PAGE_BYTES = 1_000_000
# About a fifth of a second: a unit of work is about a microsecond, and a part of a form takes some ten.
MAX_STEPS = 20_000


@pytest.mark.parametrize("first", range(0, 1_000, 50))
def test_each_page_is_short_and_its_work_is_bounded(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def counted(made: Any, name: str, cost: Any) -> None:
        before = getattr(made, name)

        def count(self: Any, *given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += cost(*given)
            return before(self, *given, **named)

        monkeypatch.setattr(made, name, count)

    counted(_Planner, "_resolved", lambda *_: 1)
    counted(_Planner, "part", lambda *_, **__: 1)
    counted(_Weight, "add", lambda *_: 1)
    counted(Work, "spend", lambda units: units / 10)
    usable = 0
    for number in range(first, first + 50):
        schema = hostile_schema(number)
        try:
            check_schema(schema)
        except InvalidRequest:
            continue
        usable += 1
        asked = question(data_type="json").model_copy(update={"json_schema": schema})
        parts._planned.cache_clear()
        steps = 0
        page = pages.form_page(pages.FormView(asked))
        assert len(page.encode()) <= MAX_PAGE_BYTES, number
        assert steps <= MAX_STEPS, number
    assert usable >= 20


def test_a_value_that_no_form_could_hold_is_json_as_text() -> None:
    long = [{"a": number} for number in range(100)]
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    page = pages.form_page(pages.FormView(question(data_type="json", schema=schema, default=long)))

    assert '<textarea id="value" name="value"' in page
    assert (
        pages.form_page(pages.FormView(question(data_type="json", schema=schema, default=long[:60]))).count(
            'type="text"'
        )
        == 61
    )
    assert json.dumps(long[-1]["a"]) in page


def test_rows_that_were_never_shown_make_no_long_page() -> None:
    row = {"type": "array", "items": {"type": "array", "items": {"type": "string", "title": "t" * 200}}}
    asked = question(data_type="json", schema={"type": "array", "items": row})
    sent = {"v~rows": ["64"]} | {f"v/{n}~rows": ["64"] for n in range(64)}
    sent |= {f"v/{n}/{m}~rows": ["64"] for n in range(64) for m in range(60)}

    with pytest.raises(Exception, match="more than a page can show"):
        parts.parts_form(asked, sent)


def test_the_name_of_a_field_costs_no_more_than_its_length() -> None:
    tracemalloc.start()

    faults = in_order([PartFault("v/a", "first"), PartFault("v", "second")], {"v" + "/" * 6_000: ["x"]})

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [each.name for each in faults] == ["v", "v/a"]
    assert peak < 1024 * 1024
