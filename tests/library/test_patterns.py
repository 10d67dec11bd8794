"""What a pattern costs is read off its text: not less than it has, and little more for ordinary ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import SchemaError, SchemaValidator, core_schema

from hitl.core.schema.patterns import Pattern, pattern_size
from hitl.core.schema.work import TooMuchWork, Work
from hitl.errors import InvalidRequest


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("", 0, 0),
        ("abc", 3, 3),
        ("a{10}", 10, 12),
        ("a{2,10}", 10, 12),
        ("a{10,}", 10, 12),
        ("a{ 10 }", 10, 12),
        ("(a{10}){10}", 100, 140),
        ("((a{10}){10}){10}", 1_000, 1_500),
        ("a{10}{10}", 100, 140),
        ("(a|b){10}c", 20, 60),
        ("[a-z]{10}", 10, 12),
        ("[]a]{10}", 10, 12),
        ("[^]a]{10}", 10, 12),
        (r"[\]a]{10}", 10, 12),
        ("[a[b-c]]{10}", 10, 12),
        (r"\{10}", 1, 10),
        (r"\({10}", 10, 12),
        (r"\p{Greek}{10}", 10, 12),
        (r"\pL{10}", 10, 12),
        (r"\x{41}{10}", 10, 12),
        ("(?:a){10}", 10, 60),
        ("(?P<name>a){10}", 10, 160),
        ("(?i)a{10}", 10, 20),
        ("(?x)(a{10} # )\n){10}", 100, 5_000),
        (r"(?m-x:(a{10}){10})", 100, 5_000),
        ("(a{10}", 10, 200),
        ("a)){10}", 10, 200),
        ("x{", 1, 2),
        ("\\", 1, 1),
    ],
)
def test_states_are_bounded(pattern: str, least: int, most: int) -> None:
    states, _ = pattern_size(pattern)

    assert least <= states <= most


def test_classes_of_letters_are_dear() -> None:
    assert pattern_size(r"\w{40}")[1] > 100 * pattern_size("[a-z]{40}")[1] / 10
    assert pattern_size(r"[\w\s]{40}")[1] > 10_000


pieces = st.sampled_from(
    [
        "a",
        "(",
        ")",
        "[",
        "]",
        "^",
        "{3}",
        "{2,4}",
        "{,3}",
        "*",
        "?",
        "|",
        "\\",
        "w",
        "p",
        "{L}",
        "-",
        "#",
        " ",
        "\n",
        "(?x)",
        "(?:",
        "&&",
        "é",
    ]
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        SchemaValidator(core_schema.str_schema(pattern=text))
        usable = True
    except SchemaError:
        usable = False
    try:
        Pattern.of(text, Work(1_000_000))
        taken = True
    except InvalidRequest:
        taken = False
    except TooMuchWork:
        return

    assert taken == usable


def test_matching_is_paid_before_it_is_done() -> None:
    pattern = Pattern.of("[01]*1[01]{800}2", Work(1_000_000))

    with pytest.raises(TooMuchWork):
        pattern.found("01" * 30_000, Work(10_000))
