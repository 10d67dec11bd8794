"""No page holds a character that rewrites it, whoever wrote the text; and what a form posts stays exact."""

from __future__ import annotations

import html
import re
import unicodedata
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from annotated_types import Ge
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent, format_time
from hitl.core.text import is_blank
from hitl.errors import InvalidValue
from hitl_webapp import pages
from hitl_webapp.bulk import Result, Seen
from hitl_webapp.fields import chosen, field_for
from hitl_webapp.inbox.queries import Query
from hitl_webapp.problems import BadInput, problem_of
from hitl_webapp.routes.bulk import ConfirmingPage
from tests.library.samples import draft_request
from tests.web.inboxes import inbox_page

NOW = datetime(2026, 11, 26, tzinfo=UTC)
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"]
UNSAFE = set(TURNS) | set(CONTROLS)

hostile = st.text(
    st.one_of(st.sampled_from([*TURNS, *CONTROLS, *"<>&\"'`*[]|\n\t"]), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=60,
).filter(lambda text: not is_blank(text))


def question(**asked: Any) -> RequestDocument:
    content = {"event_name": "name", "data_type": str, "prompt": "?", **asked}
    return draft_request(request_id="q", timeout_seconds=60, now=NOW, **content)


def outcome(request: RequestDocument, **told: Any) -> OutcomeDocument:
    content: dict[str, Any] = {
        "request_id": request.request_id,
        "data_type": request.data_type,
        "status": "completed",
        "outcome": "answered",
        "value": "x",
        "reason": "Answered",
        "submission_id": "s",
        "answered_at": NOW,
        "respondent": Respondent(via="web"),
        "request_sha256": "",
        **told,
    }
    return OutcomeDocument(**content)


def every_page(text: str) -> dict[str, str]:
    """Return all pages that show what other people wrote, with this text wherever it may come from."""
    asked = question(event_name=text[:128], prompt=f"{text}\n\n`{text}`\n\n| {text} |\n|---|\n| x |")
    chosen_of = question(choices=[text, f"not {text}"])
    many = question(choices=[text, *(f"{number}. {text[:200]}" for number in range(20))])
    default = question(data_type=str, default=text, on_timeout="default")
    answered = outcome(asked, value=text, comment=text, respondent=Respondent(via="web", name=text))
    declined = outcome(
        asked, value=None, outcome="rejected", comment=text, respondent=Respondent(via="web", name=text)
    )
    typed = {"value": text, "comment": text, "name": text}
    fault = pages.Fault("value", f"{text} does not fit.", (text, text))
    listed: Any = {"waiting": [asked], "ended": [(asked, answered), (asked, declined)]}
    problem = problem_of(BadInput(text))
    result = Result("q", error=InvalidValue(text))
    forms = {
        f"{name} of {kind}": pages.form_page(
            pages.FormView(
                each, token="t", name=name, typed=typed, fault=fault, step="decline" if declining else "answer"
            )
        )
        for kind, each in {"text": asked, "choice": chosen_of, "many": many, "default": default}.items()
        for name, declining in (("", False), (text, True))
    }
    return {
        **forms,
        "refused": pages.form_page(pages.FormView(asked, name=text, refusal=text)),
        "answered": pages.outcome_page(asked, answered, recorded=False),
        "declined": pages.outcome_page(asked, declined, recorded=True, note="x"),
        "inbox": inbox_page(NOW, **listed, name=text, query=Query(text=text, namespace=text, run=text)),
        "several": ConfirmingPage(
            [Seen("q", asked), Seen("r", asked, text), Seen("s", None, text)], text
        ).render(),
        "several, done": pages.render("bulk_done.html", results=[(asked, result)], saved=0, name=text),
        "message": pages.message_page(problem.title, problem.detail, {"value": text, "comment": text}),
    }


@given(hostile)
def test_no_page_holds_a_control_character_or_one_that_turns_the_writing(text: str) -> None:
    for name, page in every_page(text).items():
        assert not UNSAFE & set(page), name


@pytest.mark.parametrize("name", ["", "argo"])
def test_an_outcome_s_page_says_from_which_commit_it_came(name: str) -> None:
    asked = question()
    answered = outcome(asked, value="1", respondent=Respondent(via="gitops", name=name, commit="4f1d2ab"))
    assert "commit 4f1d2ab" in html.unescape(pages.outcome_page(asked, answered, recorded=False))


@pytest.mark.parametrize("text", ["w" * 16_384, "<b>" * 5_461, "**w** " * 2_730, "\u202ew\x1b[31m\n" * 2_000])
def test_a_list_shows_the_longest_texts_short(text: str) -> None:
    asked = question(event_name=text[:128], prompt=text)
    answered = outcome(asked, value=text, comment=text[:4_096], respondent=Respondent(via="web", name=text[:256]))
    nothing = len(inbox_page(NOW))
    entry = len(inbox_page(NOW, waiting=[asked])) - nothing
    ended = len(inbox_page(NOW, ended=[(asked, answered)])) - nothing
    # Markup takes some characters for each one that is shown.
    assert (entry < 4_000, ended < 6_000) == (True, True), (entry, ended)


@pytest.mark.parametrize(
    "written", ["&#x202e;", "&#8238;", "&rlo;", "\\\u202e", "**\u202e**", "[\u202e](https://a)"]
)
def test_markdown_cannot_write_such_a_character_in_another_way(written: str) -> None:
    page = pages.form_page(pages.FormView(question(prompt=written)))
    shown = inbox_page(NOW, waiting=[question(prompt=written)], name="")

    for each in (page, shown):
        prompt = re.sub(r'(?s)^.*class="(?:prompt|entry-prompt)".*?>(.*?)</(?:div|span)>.*$', r"\1", each)
        assert not UNSAFE & set(html.unescape(prompt))


@given(hostile)
def test_a_field_keeps_what_was_typed_into_it(text: str) -> None:
    # HTML has no way to write a NUL, nor most of C1; a carriage return never reaches the web app alone.
    text = "".join(each for each in text if unicodedata.category(each) != "Cc" or each in "\t\n").lstrip("\n")
    page = pages.form_page(pages.FormView(question(), typed={"value": text}, fault=pages.Fault("value", "No.")))
    found = re.search(r'(?s)<textarea id="value"[^>]*>\n(.*?)</textarea>', page)

    assert found
    assert html.unescape(found[1]) == text


@given(st.lists(hostile, min_size=1, max_size=12, unique=True))
def test_every_choice_posts_its_exact_value(choices: list[str]) -> None:
    request = question(choices=choices)
    field = field_for(request)

    for choice in choices:
        name, posted = field.posted(choice)
        assert not UNSAFE & set(posted)
        assert (chosen(request, posted) if name == "choice" else posted) == choice


@pytest.mark.parametrize("index", ["", "-1", "2", "x", "\u00b2", "0" * 5_000, "1.0", " 1"])
def test_a_place_that_is_none_of_the_choices_chooses_nothing(index: str) -> None:
    assert chosen(question(choices=["a", "\u202eb"]), index) == ""


@pytest.mark.parametrize(
    ("data_type", "schema", "keyboard", "hint"),
    [
        (int, None, "text", "A whole number"),
        (int, {"minimum": 0}, "numeric", "A whole number, at least 0"),
        (int, {"minimum": 1, "maximum": 9}, "numeric", "A whole number from 1 to 9"),
        (int, {"minimum": -1, "maximum": 9}, "text", "A whole number from -1 to 9"),
        (int, {"exclusiveMinimum": 0, "maximum": 9}, "numeric", "A whole number, more than 0, at most 9"),
        (int, {"minimum": 2**60, "multipleOf": 1}, "numeric", f"A whole number, at least {2**60}"),
        (
            int,
            {"minimum": 0, "maximum": 9, "multipleOf": 3},
            "numeric",
            "A whole number from 0 to 9, a multiple of 3",
        ),
        (float, None, "text", "A number. Write decimals after a point, as in 4.5"),
        (
            float,
            {"minimum": 0.123456789, "exclusiveMaximum": 1},
            "decimal",
            "A number, at least 0.123456789, less than 1. Write decimals after a point, as in 4.5",
        ),
        (int, {"minimum": True}, "text", "A whole number"),
    ],
)
def test_a_number_has_the_keys_and_the_hint_that_its_range_needs(
    data_type: type, schema: Any, keyboard: str, hint: str
) -> None:
    field = field_for(question(data_type=data_type).model_copy(update={"json_schema": schema}))

    assert (field.keyboard, field.hint) == (keyboard, hint)


@pytest.mark.parametrize(
    ("data_type", "keyboard", "hint", "enter"),
    [
        (date, "text", "A date such as 2026-02-28", "Enter a date such as 2026-02-28."),
        (
            datetime,
            "text",
            "A date and a time with its zone, such as 2026-02-28 09:30 +01:00",
            "Enter a date and a time with its zone, such as 2026-02-28 09:30 +01:00.",
        ),
        (
            timedelta,
            "text",
            "A duration: 3 days, 4 hours and 30 minutes are written P3DT4H30M",
            "Enter a duration: 3 days, 4 hours and 30 minutes are written P3DT4H30M.",
        ),
        (
            uuid.UUID,
            "text",
            "A UUID such as 123e4567-e89b-42d3-a456-426614174000",
            "Enter a UUID such as 123e4567-e89b-42d3-a456-426614174000.",
        ),
        (
            Decimal,
            "text",
            "A number. Write decimals after a point, as in 4.5",
            "Enter a number, with decimals after a point, as in 4.5.",
        ),
        (
            Annotated[Decimal, Ge(0)],
            "decimal",
            "A number, at least 0. Write decimals after a point, as in 4.5",
            "Enter a number, at least 0, with decimals after a point, as in 4.5.",
        ),
    ],
)
def test_dates_and_the_like_have_one_line_with_an_example(
    data_type: Any, keyboard: str, hint: str, enter: str
) -> None:
    field = field_for(question(data_type=data_type))

    assert (field.widget, field.exact) == ("line", True)
    assert (field.keyboard, field.hint, field.enter) == (keyboard, hint, enter)


@pytest.mark.parametrize(
    ("schema", "keyboard", "widget", "told"),
    [
        ({"format": "email"}, "email", "line", True),
        ({"format": "uri"}, "url", "line", True),
        ({"format": "date", "not": {"const": "2026-01-01"}}, "text", "line", False),
        ({"minLength": 3, "allOf": [True, {"format": "date"}]}, "text", "line", False),
        ({"format": "color"}, "text", "textarea", False),
        ({"anyOf": [True, {"type": "string"}]}, "text", "textarea", False),
    ],
)
def test_only_formats_that_are_checked_have_a_line_of_their_own(
    schema: dict[str, Any], keyboard: str, widget: str, told: bool
) -> None:
    field = field_for(question(json_schema=schema))

    assert (field.widget, field.keyboard, bool(field.enter)) == (widget, keyboard, told)
    assert bool(field.hint) is (widget == "line")


def test_right_to_left_text_stands_apart_from_what_surrounds_it() -> None:
    name = "\u0645\u062d\u0645\u062f"
    asked = question(event_name=name, prompt=name)
    answered = outcome(asked, respondent=Respondent(via="web", name=name), value=name, comment=name)

    form = pages.form_page(pages.FormView(asked, name=name))
    page = pages.outcome_page(asked, answered, recorded=False)
    inbox = inbox_page(NOW, waiting=[asked], ended=[(asked, answered)], name=name)

    for each in (form, page, inbox):
        shown = re.sub(r"(?s)<title>.*?</title>|<h1 class=.visually-hidden.*?</h1>", "", each)
        around = re.findall(rf"<([^<>]*)>{name}", shown)
        assert around
        assert all(tag == "bdi" or 'dir="auto"' in tag for tag in around)
        assert shown.count(name) == len(around)


def test_the_deadline_is_shown_for_what_nobody_settled_yet() -> None:
    asked = question()
    page = inbox_page(NOW + timedelta(seconds=60), ended=[(asked, None)])

    assert "the deadline has passed" in page
    assert format_time(NOW + timedelta(seconds=60)) in page


@pytest.mark.parametrize(
    ("data_type", "schema", "sentence"),
    [
        (int, {"minimum": 1, "maximum": 9}, "Enter a whole number from 1 to 9."),
        (int, {"type": "integer", "exclusiveMinimum": 0}, "Enter a whole number, more than 0."),
        (float, {"type": "number", "maximum": 0.5}, "Enter a number, at most 0.5."),
        (int, {"multipleOf": 5, "title": "Fives"}, "Enter a whole number, a multiple of 5."),
        (int, {"minimum": 1, "not": {"const": 3}}, ""),
        (int, {"allOf": [{"minimum": 1}]}, ""),
        (float, {"type": "integer", "minimum": 1}, ""),
        (float, {"type": ["number", "null"]}, ""),
        (str, {"minLength": 3}, ""),
    ],
)
def test_a_range_is_told_as_what_to_enter_when_it_is_all_that_is_asked(
    data_type: Any, schema: dict[str, Any], sentence: str
) -> None:
    assert field_for(question(data_type=data_type, json_schema=schema)).enter == sentence


@pytest.mark.parametrize(
    ("data_type", "schema", "example"),
    [
        ("json", None, '{"table": "users", "rows": 3}'),
        (list, None, "[1, 2, 3]"),
        (list[str], None, '["some text"]'),
        (list[list[int]], {"minItems": 1}, "[[42]]"),
        (dict[str, int], None, '{"rows": 42}'),
        (dict[str, list[bool]], {"minProperties": 1}, '{"rows": [true]}'),
        (dict, None, '{"table": "users", "rows": 3}'),
        (dict[str, dict[str, Any]], None, '{"table": "users", "rows": 3}'),
        (None, None, "null"),
        ("json", {"type": "boolean"}, "true"),
        ("json", {"type": ["array", "null"]}, '{"table": "users", "rows": 3}'),
    ],
)
def test_the_hint_of_json_is_an_example_of_its_type(data_type: Any, schema: Any, example: str) -> None:
    hint = field_for(question(data_type=data_type, json_schema=schema)).hint

    assert hint == f"A JSON value, such as {example}"
