"""A question that was asked through storage is shown as what it is: its deadline and who may answer it too."""

from typing import Any

import pytest

from hitl.cluster.mapping import human_input_of
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.documents import RequestDocument
from hitl.core.respondents import Respondents
from tests.library.samples import NOW, draft_request


def shown(**changes: Any) -> dict[str, Any]:
    request = draft_request(
        **{
            "request_id": "a",
            "event_name": "e",
            "data_type": int,
            "prompt": "How many?",
            "timeout_seconds": 600,
            "now": NOW,
            **changes,
        }
    )
    return spec_of(request)


def spec_of(request: RequestDocument) -> dict[str, Any]:
    content = human_input_of(request, 60).to_object()
    assert HumanInput.from_object(content).spec.at_deadline() == content["spec"]["onTimeout"]
    spec: dict[str, Any] = content["spec"]
    return spec


@pytest.mark.parametrize(
    ("asked", "on_timeout"),
    [
        ({}, "Fail"),
        ({"default": 3}, "UseDefault"),
        ({"default": 3, "on_timeout": "default"}, "UseDefault"),
        # Left out, it would be the default that is used.
        ({"default": 3, "on_timeout": "fail"}, "Fail"),
    ],
)
def test_what_the_deadline_does_is_always_written(asked: dict[str, Any], on_timeout: str) -> None:
    assert shown(**asked)["onTimeout"] == on_timeout


def test_only_lists_with_names_are_written() -> None:
    assert "respondents" not in shown()
    assert shown(respondents={"users": ["ann"]})["respondents"] == {"users": ["ann"]}
    assert shown(respondents=Respondents(groups=["sre"]))["respondents"] == {"groups": ["sre"]}


def test_who_may_answer_later_is_shown_as_it_was_asked() -> None:
    steps = [(60, {"groups": ["oncall"]}), (90, {"users": ["eve"]})]
    spec = shown(respondents={"users": ["ann"]}, escalate=steps, reminders=[30])
    assert spec["escalation"] == [
        {"afterSeconds": 60, "respondents": {"groups": ["oncall"]}},
        {"afterSeconds": 90, "respondents": {"users": ["eve"]}},
    ]
    assert spec["reminders"] == {"beforeDeadlineSeconds": [30]}
    assert {"escalation", "reminders"}.isdisjoint(shown())


def test_the_schema_of_the_type_is_shown() -> None:
    assert shown(data_type=list[str])["schema"] == {"type": "array", "items": {"type": "string"}}
