"""What the operator keeps of objects and questions is bounded by the memory that it takes, whatever is in them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import JsonValue

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.documents import RequestDocument
from hitl.core.question import Question
from hitl.records.requests import StoredRequest
from hitl_operator.memory import Fresh, KnownRequests
from tests.library.samples import NOW

MOST = 2**20
# More of them than fit.
COUNT = 150
_LISTS: list[JsonValue] = [[] for _ in range(1_000)]


def taken(keep: Callable[[int], None], count: int) -> int:
    """Return how many bytes are kept of so many objects."""
    tracemalloc.start()
    for number in range(count):
        keep(number)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"prompt": "\N{GRINNING FACE}" * 16_000},
        {"proposed": "x" * 65_000},
        {"refused": ["\N{GRINNING FACE}" * 4_096] * 64},
        {"choices": ["a"], "choiceLabels": {"a": "x" * 256}, "respondents": {"users": ["u" * 200] * 64}},
        {"evidence": [{"name": "n", "url": f"https://example.org/{'x' * 2_000}"}] * 32},
        {"schema": {"enum": _LISTS}},
    ],
    ids=["small", "prompt", "proposed", "refused", "named", "evidence", "schema"],
)
def test_fresh_objects_take_no_more_memory_than_they_may(spec: dict[str, Any]) -> None:
    fresh: Fresh[HumanInput] = Fresh(most=MOST)

    def keep(number: int) -> None:
        metadata = {"name": f"n-{number}", "namespace": "team", "uid": f"uid-{number}"}
        content = {"metadata": metadata, "spec": {"prompt": "Ship it?", "dataType": "str", **spec}}
        fresh.put(HumanInput.from_object(content))

    assert taken(keep, COUNT) < 2 * MOST
    assert len(fresh) > 0 or "refused" in spec


def test_fresh_responses_take_no_more_memory_than_they_may() -> None:
    fresh: Fresh[HumanInputResponse] = Fresh(most=MOST)

    def keep(number: int) -> None:
        metadata = {"name": f"n-{number}", "namespace": "team", "uid": f"uid-{number}"}
        groups = [f"{each:03d}{'g' * 200}" for each in range(200)]
        respondent = {"username": "bo", "groups": groups}
        content = {"requestRef": {"name": "n"}, "value": "1", "respondent": respondent}
        fresh.put(HumanInputResponse.from_object({"metadata": metadata, "spec": content}))

    assert taken(keep, COUNT) < 2 * MOST
    assert len(fresh) > 0


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"refused": ["x" * 4_000] * 60},
        {"proposed": "\N{GRINNING FACE}" * 60_000},
        {"schema": {"enum": _LISTS}},
    ],
    ids=["small", "refused", "proposed", "schema"],
)
def test_known_questions_take_no_more_memory_than_they_may(asked: dict[str, Any]) -> None:
    known = KnownRequests(most=MOST)

    def keep(number: int) -> None:
        data_type = "json" if "schema" in asked else "str"
        question = Question.of("n", data_type, "Ship it?", timeout_seconds=60, **asked)
        document = RequestDocument.asking(question, request_id=f"q-{number:08d}", asked_at=NOW)
        known.put("root", StoredRequest(document, "0" * 64))

    assert taken(keep, COUNT) < 2 * MOST
    assert known.get("root", f"q-{COUNT - 1:08d}") is not None
