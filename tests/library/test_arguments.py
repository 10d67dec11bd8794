"""What an author writes is read strictly: wrong shapes are refused as questions, never guessed at."""

from collections import deque
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import hitl
from hitl.errors import InvalidRequest
from tests.library.samples import NOW, draft_request


def draft(**changes: Any) -> Any:
    content: dict[str, Any] = {
        "request_id": "a",
        "event_name": "e",
        "data_type": str,
        "prompt": "Which?",
        "timeout_seconds": 600,
        "now": NOW,
    }
    return draft_request(**{**content, **changes})


@pytest.mark.parametrize(
    ("default", "on_timeout", "wanted"),
    [
        (None, None, "fail"),
        ("red", None, "default"),
        ("red", "default", "default"),
        # Said in so many words, a default is only what the form begins with.
        ("red", "fail", "fail"),
        (None, "fail", "fail"),
    ],
)
def test_a_default_is_used_at_the_deadline_unless_it_says_otherwise(
    default: Any, on_timeout: Any, wanted: str
) -> None:
    assert draft(default=default, on_timeout=on_timeout).on_timeout == wanted


@pytest.mark.parametrize("falsy", [(int, 0), (float, 0.0), (bool, False), (dict, {}), (list, [])])
def test_a_default_that_is_false_to_python_is_a_default(falsy: tuple[Any, Any]) -> None:
    data_type, default = falsy

    asked = draft(data_type=data_type, default=default)

    assert asked.on_timeout == "default"
    assert asked.default is not None


@pytest.mark.parametrize("on_timeout", ["", "Default", "UseDefault", True, "later"])
def test_another_word_for_on_timeout_is_refused(on_timeout: Any) -> None:
    with pytest.raises(InvalidRequest, match="on_timeout"):
        draft(default="red", on_timeout=on_timeout)


def test_default_needs_a_default() -> None:
    with pytest.raises(InvalidRequest, match="on_timeout='default' needs a default"):
        draft(on_timeout="default")


@pytest.mark.parametrize("choices", [["red", "green"], ("red", "green"), deque(["red", "green"])])
def test_choices_keep_their_order(choices: Any) -> None:
    assert draft(choices=choices).choices == ["red", "green"]


@pytest.mark.parametrize("choices", [None, ()])
def test_no_choices_leave_the_answer_free(choices: Any) -> None:
    assert draft(choices=choices).choices == []


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ([], "choices is empty"),
        ("red", "type str"),
        (b"red", "type bytes"),
        ({"red": 5}, "the label of .red. is 5: give some text"),
        ({"red", "green"}, "type set"),
        (frozenset({"red"}), "type frozenset"),
        ((each for each in ["red"]), "type generator"),
        ({"red": 1}.keys(), "type dict_keys"),
        (5, "type int"),
        (True, "type bool"),
        ([""], "An answer is needed"),
        ([" \u00a0"], "An answer is needed"),
        ([None], "nothing is not of type str"),
        ([["red"]], "not of type str"),
        ([("red", "Red"), ["green", "Green"]], "choices holds pairs: give a mapping"),
        ([1], "not of type str"),
        (["red", "red"], "same value twice"),
        ([str(n) for n in range(65)], "65 values: give at most 64"),
        (["x" * 257], "choices"),
        (["half \ud800"], "half a character"),
    ],
    ids=lambda given: ascii(given)[:24],
)
def test_choices_of_another_shape_are_refused(choices: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        draft(choices=choices)


@pytest.mark.parametrize(
    "content",
    [
        {"data_type": int, "choices": [True]},
        {"data_type": int, "choices": [1, 2.0]},
        {"data_type": int, "default": True},
        {"data_type": float, "choices": [False]},
        {"data_type": float, "default": True},
        {"data_type": bool, "default": 1},
        {"data_type": str, "default": 5},
        {"data_type": str, "default": ["red"]},
        {"data_type": int, "default": [1]},
        {"data_type": dict, "default": {1: "a"}},
        {"data_type": dict, "default": {"a": {1}}},
        {"data_type": dict, "default": [1]},
        {"data_type": list, "default": "[1]"},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_no_default_and_no_choice(content: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        draft(**content)


@pytest.mark.parametrize("argument", ["timeout_seconds", "poll_interval_seconds"])
@pytest.mark.parametrize(
    "seconds",
    [
        0,
        -1,
        float("nan"),
        float("inf"),
        "60",
        None,
        True,
        timedelta(0),
        timedelta(days=367),
        [1],
        Decimal(5),
        10**400,
    ],
)
def test_a_span_is_a_number_of_seconds(argument: str, seconds: Any) -> None:
    with pytest.raises(hitl.InvalidRequest, match=f"{argument} is"):
        hitl.new_event("spans", int, **{argument: seconds})


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        (0.5, 0.5),
        (60, 60),
        (Fraction(1, 2), 0.5),
        (366 * 86_400, 366 * 86_400),
        (timedelta(minutes=1), 60),
        (timedelta(days=366), 366 * 86_400),
    ],
)
def test_any_span_over_zero_is_taken(span: Any, seconds: float) -> None:
    asked = draft(timeout_seconds=span)

    assert (asked.expires_at - asked.created_at).total_seconds() == seconds
    assert hitl.new_event("spans", int, poll_interval_seconds=span).poll_interval_seconds == seconds


class _Numpy:
    """A stand-in for a value or an array of numpy, and for a Series of pandas: none of them is installed here."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def tolist(self) -> Any:
        return self._held


class _Polars:
    """A stand-in for a Series of polars."""

    def __init__(self, held: list[Any]) -> None:
        self._held = held

    def to_list(self) -> list[Any]:
        return self._held


class _Nanoseconds(_Numpy):
    """A stand-in for `numpy.timedelta64` of a unit that a `timedelta` cannot hold: it becomes a bare number."""

    class dtype:  # noqa: N801 - numpy's name
        kind = "m"


class _Broken:
    def tolist(self) -> Any:
        raise RuntimeError("this tensor is on another device")


@pytest.mark.parametrize("series", [_Numpy, _Polars])
def test_arrays_and_series_are_taken_as_lists(series: Any) -> None:
    assert draft(choices=series(["b", "a"])) == draft(choices=["b", "a"])
    assert draft(data_type=list, default=series([1, 2])) == draft(data_type=list, default=[1, 2])
    assert draft(respondents={"users": series(["ann"])}) == draft(respondents={"users": ["ann"]})


def test_values_of_numpy_are_taken_wherever_a_value_may_be() -> None:
    three = _Numpy(3)

    assert draft(data_type=int, default=three) == draft(data_type=int, default=3)
    assert draft(data_type=int, choices=(three, 4)) == draft(data_type=int, choices=[3, 4])
    assert draft(data_type=dict, default={"a": [three]}) == draft(data_type=dict, default={"a": [3]})
    assert draft(data_type=int, json_schema={"maximum": three}) == draft(data_type=int, json_schema={"maximum": 3})
    assert draft(timeout_seconds=three) == draft(timeout_seconds=3)


def _in_itself() -> list[Any]:
    items: list[Any] = []
    items += [items, items]
    return items


@pytest.mark.parametrize(
    "content",
    [
        {"data_type": int, "default": _Numpy(3.5)},
        {"data_type": int, "choices": _Numpy(3)},
        {"data_type": int, "choices": _Numpy([[1], [2]])},
        {"data_type": int, "choices": _Polars([])},
        {"data_type": int, "choices": _Broken()},
        {"data_type": int, "default": _Numpy},
        {"data_type": list, "default": _in_itself()},
        {"timeout_seconds": _Numpy([3])},
        {"timeout_seconds": _Numpy(True)},
        {"timeout_seconds": _Nanoseconds(5)},
        {"respondents": _Numpy(["ann"])},
        {"respondents": {"users": _Numpy("ann")}},
    ],
    ids=str,
)
def test_what_such_a_value_holds_must_fit(content: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        draft(**content)


def test_a_comment_is_a_text() -> None:
    event = hitl.new_event("comments", int)

    with pytest.raises(hitl.InvalidRequest, match="comment is of type int"):
        event.cancel(5)  # type: ignore[arg-type]  # what a caller without a type checker may write


class _Model:
    @staticmethod
    def model_json_schema() -> dict[str, Any]:
        return {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (_Model, r"give _Model\.model_json_schema\(\)"),
        ('{"type": "object"}', "schema is of type str"),
        ([], "schema is of type list"),
        ("", "schema is of type str"),
        (True, "schema is of type bool"),
        ({1: 2}, "schema"),
    ],
)
def test_a_schema_is_a_mapping(schema: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        draft(data_type="json", json_schema=schema)


@pytest.mark.parametrize(
    "content",
    [
        {"key": ""},
        {"key": " "},
        {"key": 5},
        {"scope": "all"},
        {"name": 5},
        {"name": None},
        {"prompt": None},
        {"prompt": 5},
        {"data_type": "integer"},
    ],
    ids=str,
)
def test_other_arguments_of_another_kind_are_refused_as_questions(content: dict[str, Any]) -> None:
    with pytest.raises(hitl.InvalidRequest):
        hitl.new_event(**{"name": "n", "data_type": int, **content})
