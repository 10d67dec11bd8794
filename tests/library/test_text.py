"""What other people wrote cannot rewrite a terminal, forge a line or change what data say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.text import ascii_controls, is_blank
from hitl.errors import DocumentDamaged, EventRejected, one_line, printable

HOSTILE = "no\x1b]0;pwn\x07\nCRITICAL forged line \x9b31m\u202e\u2066\ud800 end"


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\ud800"])
def test_a_character_that_rewrites_is_replaced(char: str) -> None:
    assert printable(f"a{char}b") == "a\ufffdb"


def test_joiners_marks_and_lines_stay() -> None:
    assert printable("a\u200db\u200f\tc\nd") == "a\u200db\u200f\tc\nd"


def test_one_line_is_one_line() -> None:
    assert one_line("  a\n\tb\x1b \u2028c ") == "a b\ufffd c"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "\u200b",
        "\ufeff\u2060\u00ad",
        "\u3164",
        "\u115f\u1160",
        "\u2800",
        "\ufe0f",
        "\u202e\u202c",
        "\x00\x1b",
    ],
)
def test_what_nobody_sees_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text", ["-", "\u200ba", "\u0301", "\u0645\u200c", "\u2764\ufe0f", "\ufffd", "\u200b" * 65_535 + "."]
)
def test_what_anybody_sees_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@given(st.text())
def test_json_keeps_its_data(text: str) -> None:
    written = ascii_controls(json.dumps([text], ensure_ascii=False))
    assert json.loads(written) == [text]
    assert written == printable(written)


def test_an_exception_about_an_outcome_is_one_printable_line() -> None:
    outcome = OutcomeDocument(
        request_id="q",
        data_type="str",
        status="rejected",
        outcome="rejected",
        reason="Rejected",
        submission_id="1",
        answered_at=datetime(2026, 1, 1, tzinfo=UTC),
        respondent=Respondent(name="mal\nlory", via="web"),
        comment=HOSTILE.replace("\ud800", ""),
        request_sha256="",
    )
    said = str(EventRejected(outcome))
    assert said == one_line(said)
    assert "CRITICAL forged line" in said


def test_an_exception_says_what_lies_there_by_the_same_rule() -> None:
    # Persian words need the joiner between their letters.
    name, why = "a/\u0645\u06cc\u200c\u062e", "it is \x1b[2J\u202e\n gone"

    said = str(DocumentDamaged(name, why))

    assert said == f"{one_line(name)} is damaged: {one_line(why)}"
    assert name in said
    assert said == printable(said)
