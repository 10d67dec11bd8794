"""A form that is sent as it came records what was filled in, to the last character."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from hitl.core.documents import RequestDocument
from hitl.core.forms import plan, read
from hitl.core.forms.names import Sent
from hitl_webapp import pages, parts
from hitl_webapp.bodies import Form
from hitl_webapp.sent import sent_form
from tests.web.serving import WebApp
from tests.web.test_form_fields import Fields
from tests.web.test_pages import question

TEXTS = [
    "x\ny",
    "\nx",
    "x\n",
    "x\r\ny",
    "x\ry",
    "a\x01b",
    "a\x85b",
    "a\x0bb",
    "a\x7f",
    "a\u202eb",
    "a\u2028b",
    "\ufeffa",
    "a\ufffdb\x85",
]
SHORT = {"type": "string", "maxLength": 50}
LONG = {"type": "string"}


def by_browser(sent: Sent) -> dict[str, list[str]]:
    """Return fields as a browser sends them: with one kind of line end."""
    return {
        name: [text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n") for text in texts]
        for name, texts in sent.items()
    }


class Browser(Fields):
    """The fields of a page, with what a browser drops of a field of one line."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "text":
            given["value"] = (given.get("value") or "").replace("\r", "").replace("\n", "")
        super().handle_starttag(tag, list(given.items()))


def sent_untouched(asked: RequestDocument, form: parts.PartsForm | None = None) -> Form:
    """Return the answer's fields of a page that nobody touched, as the app reads them."""
    page = Browser(pages.form_page(pages.FormView(asked, parts=form)))
    fields = by_browser(page.sent)
    return Form(
        {name: texts[0] for name, texts in fields.items() if name == "value"},
        {name: texts for name, texts in fields.items() if name.startswith(("v/", "v~"))},
    )


@pytest.mark.parametrize("schema", [None, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("text", [*TEXTS, "a\x00b"], ids=ascii)
def test_a_text_that_is_filled_in_and_left_untouched_is_recorded_as_it_is(
    shared_app: WebApp, text: str, schema: Any
) -> None:
    asked = shared_app.ask(
        f"sent-back-{TEXTS.index(text) if text in TEXTS else 'nul'}-{'long' if schema is None else 'short'}",
        data_type=str,
        json_schema=schema,
        proposed=text,
    )
    page = Browser(httpx.get(asked.url).text)

    [value] = by_browser({"value": page.sent["value"]})["value"]
    reply = asked.form(value)

    assert reply.status_code == 200
    outcome = asked.stored()
    assert outcome is not None
    assert outcome["value"] == text


@pytest.mark.parametrize("schema", [SHORT, LONG, {}], ids=["short", "long", "any"])
@pytest.mark.parametrize("text", [*TEXTS, "\n", "a\x00b"], ids=ascii)
def test_a_part_that_is_filled_in_and_left_untouched_is_recorded_as_it_is(text: str, schema: Any) -> None:
    whole = {"type": "object", "properties": {"part": schema}, "required": ["part"]}
    asked = question(data_type="json", schema=whole, proposed={"part": text})
    form = parts.parts_form(asked)
    if form is None:
        # All of it is JSON as text.
        assert json.loads(sent_form(sent_untouched(asked)).value) == {"part": text}
        return
    assert read(form.part, sent_form(sent_untouched(asked)).parts) == ({"part": text}, [])


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_default_that_a_button_fills_in_is_recorded_as_it_is(text: str) -> None:
    inside = {"type": "object", "properties": {"note": {**SHORT, "default": text}, "n": {"type": "integer"}}}
    asked = question(
        data_type="json", schema={"type": "object", "properties": {"more": {"anyOf": [inside, {"type": "null"}]}}}
    )
    form = parts.stepped(asked, {"v~form": ["1"]}, "fill v/more")
    assert form is not None

    assert read(form.part, sent_form(sent_untouched(asked, form)).parts) == ({"more": {"note": text}}, [])


@pytest.mark.parametrize("name", ["a\x01b", "a\x85b", "a\rb", "a\nb", "a\x7f"], ids=ascii)
def test_a_name_that_a_field_cannot_have_makes_json_of_its_part(name: str) -> None:
    part = plan({"type": "object", "properties": {name: {"type": "integer"}}})
    assert parts.shape(part) == "raw"
