"""The examples of the page for authors say what happens: each type is asked for, answered and returned."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import pydantic
import pytest

from hitl.core.pythontypes import typed
from hitl.core.question import Question, parse_answer

PAGE = (Path(__file__).parents[2] / "docs" / "authors.md").read_text()
[DEFINITIONS] = re.findall(
    r"<!-- checked by tests/docs/test_authors\.py -->\n```python\n(.*?)```", PAGE, re.DOTALL
)
[TABLE] = re.findall(r"^\| `data_type` \| the answer, as JSON .*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
ROWS = [
    [cell.replace("\\|", "|") for cell in re.findall(r"`((?:[^`\\]|\\.)+)`", row)] for row in TABLE.splitlines()
]
NAMES: dict[str, Any] = {
    **{each.__name__: each for each in (date, datetime, time, timedelta, Decimal, UUID)},
    "dataclasses": dataclasses,
    "enum": enum,
    "pydantic": pydantic,
    "UTC": UTC,
    "Annotated": Annotated,
    "Literal": Literal,
    "NotRequired": NotRequired,
    "TypedDict": TypedDict,
}
# As written: without the future annotations of this module.
exec(compile(DEFINITIONS, "authors.md", "exec", dont_inherit=True), NAMES)


def test_there_is_an_example_of_each_kind() -> None:
    assert len(ROWS) >= 25
    assert all(len(row) == 3 for row in ROWS), ROWS


@pytest.mark.parametrize(("data_type", "answer", "returned"), ROWS, ids=[row[0] for row in ROWS])
def test_the_example_of_a_type_is_right(data_type: str, answer: str, returned: str) -> None:
    kind, wanted = eval(data_type, NAMES), eval(returned, NAMES)

    recorded = parse_answer(Question.of("example", kind, "Which?", 60), json.loads(answer), text=False)
    found = typed(kind, recorded)

    assert found == wanted
    assert type(found) is type(wanted)
