"""What a browser sends from a page's own form is read whole, also after each of the form's buttons."""

from __future__ import annotations

import json
import types
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from hitl.core.documents import RequestDocument
from hitl.core.forms import MISSING, PartFault, read
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question
from hitl_webapp import pages, parts
from tests.library.test_forms import Consent, Order
from tests.library.test_pythontypes import TYPES
from tests.web.test_pages import question


class Fields(HTMLParser):
    """The fields of the answer in a page, as HTML says which of them a browser sends, and its buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self.steps: list[str] = []
        self._area: str | None = None
        self._select = ""
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "button" and name == "step":
            self.steps.append(value)
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            # Without one that is selected, a browser sends the first.
            if "selected" in given or self._select not in self.sent:
                self.sent[self._select] = [value]
        elif tag == "input" and (given["type"] not in ("radio", "checkbox") or "checked" in given):
            self.sent.setdefault(name, []).append(value)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self.sent[self._area] = [self._text.removeprefix("\n")]
            self._area = None
        elif tag == "select":
            self._select = ""


def shown(asked: RequestDocument, form: parts.PartsForm | None) -> Fields:
    fields = Fields(pages.form_page(pages.FormView(asked, parts=form)))
    fields.sent = {name: texts for name, texts in fields.sent.items() if name.startswith("v")}
    return fields


def asked_for(data_type: Any, proposed: JsonValue = None) -> RequestDocument:
    schema = Question.of("typed", data_type, "Which?", 60).json_schema
    return question(data_type="json", schema=schema, proposed=proposed)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
@settings(max_examples=10)
def test_what_a_page_shows_of_a_value_is_sent_back_as_the_value(name: str, data: st.DataObject) -> None:
    data_type, values = TYPES[name]
    some = [data.draw(values) for _ in range(2)]
    # In a list, as scalars have a form of their own.
    several: Any = types.GenericAlias(list, (data_type,))
    asked = asked_for(several, json.loads(json.dumps([as_json(data_type, each) for each in some])))
    part = parts.form_of(asked)
    # What a form would not send back is JSON as text.
    assume(part is not None)
    assert part is not None

    value, wrong = read(part, shown(asked, parts.parts_form(asked)).sent)

    assert wrong == []
    assert value is not MISSING
    assert typed(several, value) == some


VALUE: JsonValue = {
    "region": "eu",
    "tags": ["a", "c"],
    "several": ["a", "b"],
    "home": {"title": "t"},
    "size": [["x"], {"size": 2}],
    "pair": [1, 2],
    "many": "q3",
}


@pytest.mark.parametrize("proposed", [None, VALUE, {}, {"tags": [], "several": [], "note": ""}])
def test_what_a_page_sends_after_one_of_its_buttons_is_read_whole(proposed: JsonValue) -> None:
    asked = asked_for(Order, proposed)
    part = parts.form_of(asked)
    assert part is not None
    first = shown(asked, None)
    assert read(part, first.sent)[1] == []

    pressed = 0
    for step in first.steps:
        form = parts.stepped(asked, first.sent, step)
        if form is None:
            # It leads to the form of declining.
            continue
        then = shown(asked, form)
        for again in then.steps:
            twice = parts.stepped(asked, then.sent, again)
            last = then if twice is None else shown(asked, twice)
            faults = read(part, last.sent)[1]
            assert not any("no place" in why or "times" in why or "left out" in why for _, why in faults), faults
            pressed += 1
    assert pressed >= 20


def test_consent_is_a_box_that_is_not_ticked() -> None:
    asked = asked_for(Consent)
    page = pages.form_page(pages.FormView(asked))
    part = parts.form_of(asked)
    assert part is not None

    assert '<input type="checkbox" name="v/i_agree" value="0">' in page
    assert read(part, shown(asked, None).sent)[1] == [PartFault("v/i_agree", "Choose one.")]
    assert read(part, shown(asked, None).sent | {"v/i_agree": ["0"]})[1] == []
