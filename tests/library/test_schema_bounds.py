"""One budget holds whatever a check does, when asked and when answered: nothing stalls a process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl.core.schema import check_schema, check_value
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.hostile_schemas import CASES, ITEMS, NAMES

# A check takes about a second at most; without bounds, many of these take hours.
MAX_CPU_SECONDS = 3.0
MAX_MEBIBYTES = 64


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Any]]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.library.hostile_schemas"],
        cwd=root,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {lines[-1:]}: {done.stderr[-2_000:]}"
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", CASES)
def test_a_check_ends_within_its_budget(measured: dict[str, dict[str, Any]], name: str) -> None:
    result = measured[name]

    assert result["asked"] < MAX_CPU_SECONDS
    assert result["answered"] < MAX_CPU_SECONDS
    assert result["mebibytes"] < MAX_MEBIBYTES
    assert len(result["outcome"]) < 1_000
    assert result["outcome"].isprintable()
    assert "characters: at most" not in result["outcome"], "it is refused before it is checked"


def test_all_of_them_leave_little_behind(measured: dict[str, dict[str, Any]]) -> None:
    assert sum(result["mebibytes"] for result in measured.values()) < 4 * MAX_MEBIBYTES


def test_a_schema_that_takes_too_long_is_refused_with_its_place() -> None:
    schema, _ = CASES["500 patterns"]

    for _ in range(2):
        with pytest.raises(
            InvalidRequest, match=r"takes too long \(given up at \.anyOf\[\d+\]\): use fewer parts"
        ):
            check_schema(schema)


def test_an_answer_that_takes_too_long_is_refused_with_its_place() -> None:
    schema, value = CASES["dates"]

    with pytest.raises(InvalidValue, match=r"takes too long \(given up at \[\d+\]\): give a shorter value"):
        check_value(schema, value)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^[\w .-]{1,80}$", "Ann Example"),
        ("^[a-z ]{1,2000}$", "a " * 1_000),
        ("^.{0,500}$", "é" * 500),
        (r"^(\d{1,3}\.){3}\d{1,3}$", "192.0.2.1"),
        ("a" * 1_000, "a" * 65_000),
        ("^[A-Z]", "A" * 65_000),
        (r"^https://[\w.-]+(/[\w.%-]*)*$", "https://example.com/" + "a/" * 2_000),
    ],
)
def test_patterns_that_people_write_are_within_it(pattern: str, text: str) -> None:
    check_value({"items": {"pattern": pattern}}, [text])


def test_a_table_with_patterns_in_each_column_is_within_it() -> None:
    columns: dict[str, Any] = {f"c{n}": {"pattern": f"^[\\w .-]{{1,{30 + n}}}$"} for n in range(8)}
    row: dict[str, Any] = dict.fromkeys(columns, "Ann Example")

    check_value({"items": {"properties": columns}}, [row] * 300)


references = st.integers(0, 5).map(lambda n: {"$ref": f"#/$defs/a{n}"})


def repeated(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Parts, each of which may stand there a hundred times."""
    count = st.sampled_from([1, 2, 100])
    several = st.builds(lambda part, count: [part] * count, inner, count)
    by_name = st.builds(lambda part, count: {f"p{n}": part for n in range(count)}, inner, count)
    return st.one_of(
        st.builds(
            lambda name, part: {name: part}, st.sampled_from(["items", "not", "contains", "propertyNames"]), inner
        ),
        st.builds(
            lambda name, part: {name: part, "unevaluatedItems": part}, st.sampled_from(["if", "then"]), inner
        ),
        st.builds(lambda name, parts: {name: parts}, st.sampled_from(["allOf", "anyOf", "oneOf"]), several),
        st.builds(lambda name, parts: {name: parts}, st.sampled_from(["properties", "dependentSchemas"]), by_name),
        st.builds(lambda a, b: {"if": a, "then": b, "else": b, "unevaluatedProperties": a}, inner, inner),
        st.builds(
            lambda part, last: {**part, "unevaluatedProperties": last, "additionalProperties": last}, inner, inner
        ),
        st.builds(
            lambda part: {**part, "uniqueItems": True, "enum": [[1], {"p0": 1}], "pattern": "(a|b)*c{90}"}, inner
        ),
    )


hostile = st.recursive(references | st.just({}), repeated, max_leaves=4)
large_values = st.sampled_from([*(value for _, value in CASES.values()), {"p0": {"p0": {"p0": NAMES}}}, [[ITEMS]]])


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(root=hostile, parts=st.lists(hostile, min_size=6, max_size=6), value=large_values)
def test_no_schema_escapes_the_budget(root: dict[str, Any], parts: list[dict[str, Any]], value: Any) -> None:
    schema = {**root, "$defs": {f"a{n}": part for n, part in enumerate(parts)}}
    began = time.process_time()
    try:
        check_value(schema, value)
    except (InvalidRequest, InvalidValue) as refused:
        assert len(str(refused)) < 1_000  # noqa: PT017  # either is right

    # Generous, as coverage and other threads count here.
    assert time.process_time() - began < 5 * MAX_CPU_SECONDS
