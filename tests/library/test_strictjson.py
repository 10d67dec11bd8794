"""JSON is read as it stands, or refused: nothing that Python's own reader would change gets through."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.strictjson import MAX_JSON_DEPTH, read_json
from hitl.errors import InvalidValue
from tests.library.test_values import json_values, same


@given(value=json_values)
def test_what_is_written_reads_back_as_text_and_as_bytes(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert same(read_json(text), value)
        assert same(read_json(text.encode()), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (" [1 ,2.50]\r\n", [1, 2.5]),
        ('"\\ud83d\\ude00"', "😀"),
        ("0e-999", 0.0),
        ("-0.0", -0.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        (
            '{"value": ' + "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH + "}",
            {"value": json.loads("[" * 64 + "]" * 64)},
        ),
    ],
)
def test_what_is_read(text: str | bytes, value: Any) -> None:
    assert same(read_json(text), value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "This is not JSON"),
        (b'{"a": "\xe9"}', "byte 8 is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "This is not JSON"),
        (b"\xef\xbb\xbf\xef\xbb\xbf1", "This is not JSON"),
        (b"\xed\xa0\x80", "is not UTF-8"),
        ('{"a": 1, "a": 1}', '"a" twice in one object'),
        ('[{"b": {"reject": false, "reject": true}}]', '"reject" twice'),
        ('{"\\u0061": 1, "a": 2}', '"a" twice'),
        ("NaN", "NaN is not JSON"),
        ('{"a": [-Infinity]}', "-Infinity is not JSON"),
        ("1e-400", "too close to zero"),
        ("[-4.9e-325]", "too close to zero"),
        ('{"a": 1e309}', "not a finite number"),
        ("1" * 5_000, "cannot be kept|can be kept"),
        ('"\\ud800"', "half a character"),
        ('"\ud800"', "half a character"),
        ('{"\\uDFFF": 1}', "half a character"),
        ("[" * 66 + "]" * 66, "at most 64 levels"),
        ("[" * 500_000, "at most 64 levels|not JSON"),
        ('{"a": 1} x', "This is not JSON"),
        ("{'a': 1}", "line 1, column 2"),
        ("// note\n1", "This is not JSON"),
        ("01", "This is not JSON"),
        (".5", "This is not JSON"),
        ("\u00a01", "This is not JSON"),
    ],
    ids=lambda given: ascii(given)[:24],
)
def test_what_is_refused(text: str | bytes, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence) as refused:
        read_json(text)

    message = str(refused.value)
    assert message.endswith(".")
    assert len(message) < 200
    message.encode()


@given(data=st.binary() | st.text(st.characters()).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes_are_a_value_or_a_sentence_and_nothing_else(data: bytes) -> None:
    try:
        value = read_json(data)
    except InvalidValue:
        return
    assert same(read_json(json.dumps(value)), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # As %.17g, a double's exact expansion, or zeros behind it, write what a double is.
        ("0.10000000000000001", 0.1),
        ("0.1000000000000000055511151231257827", 0.1),
        ("1.50000000000000000000", 1.5),
        ("100000000000000000000000.0", 1e23),
        ("4.9406564584124654e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_a_double_that_is_written_with_many_digits_is_read(text: str, value: float) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "0.1000000000000000055511151231257828",
        "12345678901234567.89",
        "3.14159265358979323846",
        "1.1" + "0" * 900 + "1",
    ],
)
def test_a_number_that_a_double_would_round_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="has more digits than can be kept: write "):
        read_json(text)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(17, 40))
def test_whatever_program_writes_a_double_it_is_read(number: float, digits: int) -> None:
    assert read_json(repr(number)) == number
    assert read_json(f"{number:.{digits}e}") == number


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("eu", "Put double quotes around a text."),
        ("['eu']", "Put double quotes around a text."),
        ("{region: 1}", "Put double quotes around a text."),
        ("[1, None]", "JSON has true, false and null."),
        ("True", "JSON has true, false and null."),
        ("[1,]", "column 4."),
    ],
)
def test_what_a_person_types_as_python_or_without_quotes_is_told_how_json_has_it(text: str, instead: str) -> None:
    with pytest.raises(InvalidValue, match=f"{re.escape(instead)}$"):
        read_json(text)
