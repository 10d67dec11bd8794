"""The page of any schema is short, and made with bounded work, whoever wrote the schema."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from hitl.core.forms import PartFault, plan, read
from hitl.core.forms.places import in_order, whole_faults
from hitl.core.forms.plan import _Planner
from hitl.core.forms.weight import _Weight
from hitl.core.question import require_whole
from hitl.core.schema import check_schema, check_value
from hitl.core.schema.check import BUDGET
from hitl.core.schema.work import Work
from hitl.errors import InvalidRequest, InvalidValue
from hitl_webapp import pages, parts
from tests.library.hostile_forms import hostile_schema, long_to_explain
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
        parts._kept.clear()
        steps = 0
        page = pages.form_page(pages.FormView(asked))
        assert len(page.encode()) <= MAX_PAGE_BYTES, number
        assert steps <= MAX_STEPS, number
    assert usable >= 20


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All units that are spent, whatever budget they are of."""
    units: list[int] = []
    before = Work.spend

    def spend(self: Work, count: int) -> None:
        units.append(count)
        before(self, count)

    monkeypatch.setattr(Work, "spend", spend)
    return units


def test_finding_the_alternatives_of_a_long_value_has_one_budget(spent: list[int]) -> None:
    kinds = [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}, {"type": "integer"}]
    schema = {"type": "array", "items": {"anyOf": kinds}}
    asked = question(data_type="json").model_copy(
        update={"json_schema": schema, "proposed": f"[{','.join('1' * 30_000)}]"}
    )

    assert parts.form_of(asked) is None
    assert sum(spent) < 1.2 * BUDGET


def test_finding_what_is_wrong_inside_alternatives_has_one_budget(spent: list[int]) -> None:
    schema, value, sent = long_to_explain()
    form = plan(schema)
    assert read(form, sent) == (value, [])
    with pytest.raises(InvalidValue) as refused:
        check_value(schema, value)
    spent.clear()

    found = whole_faults(form, sent, schema, value, refused.value)

    assert found[0] == PartFault("v/0~1/a", "This does not fit: 9 is what the schema's 'not' excludes.")
    assert found[-1].name == "v/19"
    assert sum(spent) < 1.2 * BUDGET


def test_all_choices_of_a_question_have_one_budget(spent: list[int]) -> None:
    patterns = [{"pattern": f"[01]*1[01]{{{n}}}2"} for n in range(20, 320)]
    choices = [f"{'01' * 100}{n}" for n in range(64)]
    asked = question(data_type="str").model_copy(
        update={"json_schema": {"anyOf": [*patterns, {"type": "string"}]}, "choices": choices}
    )

    with pytest.raises(InvalidRequest, match="takes too long"):
        require_whole(asked)
    # One for the schema, one for the choices.
    assert sum(spent) < 2.2 * BUDGET


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
