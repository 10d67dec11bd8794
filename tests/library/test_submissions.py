"""What a program posts is one thing, an answer or a refusal, and nothing in it is passed over."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hitl.core.submissions import HITLSubmissionTyped


def read(body: Any) -> HITLSubmissionTyped:
    return HITLSubmissionTyped.model_validate_json(json.dumps(body))


OLD = {"request_id": "a", "value": 42, "data_type": "int", "response_path": "s3://b/r/response.json#token"}


@pytest.mark.parametrize(
    "body",
    [
        OLD,
        {"request_id": "a", "value": None},
        {"request_id": "a", "value": 0, "reject": False},
        {"request_id": "a", "reject": True, "comment": "not today"},
        # What serializers write for "no value".
        {"request_id": "a", "reject": True, "value": None},
    ],
    ids=json.dumps,
)
def test_what_is_accepted(body: dict[str, Any]) -> None:
    sent = read(body)

    assert sent.reject is body.get("reject", False)
    assert sent.value == body.get("value")


WORDS: list[Any] = ["true", "false", 1, 0, "yes", None, [], {}]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"value": 1, "rejct": True}, '"rejct" is not known here: use request_id, value,'),
        ({"value": 1, "Reject": True}, '"Reject" is not known here'),
        ({"vlaue": 1}, '"vlaue" is not known here'),
        ({"value": 1, "commment": "x"}, "is not known here"),
        ({"value": 1, "user": "ann"}, "is not known here"),
        ({"value": 1, "x" * 5_000: 1}, "is not known here"),
        ({}, "the value is missing"),
        ({"reject": False}, "the value is missing"),
        ({"comment": "yes"}, "the value is missing"),
        ({"value": 1, "reject": True}, "send one of them"),
        ({"value": "", "reject": True}, "send one of them"),
        ({"value": False, "reject": True}, "send one of them"),
        *[({"reject": word}, "valid boolean") for word in WORDS],
        ({"value": 1, "comment": 5}, "valid string"),
        ({"value": 1, "comment": None}, "valid string"),
        ({"value": 1, "token": ["t"]}, "valid string"),
        ({"value": 1, "request_id": 5}, "valid string"),
    ],
    ids=lambda given: json.dumps(given)[:40],
)
def test_what_is_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read({"request_id": "a", **more})

    said = "; ".join(each["msg"] for each in refused.value.errors())
    assert sentence in said
    assert len(said) < 200


@pytest.mark.parametrize("body", [[], "text", None, 5])
def test_a_submission_is_an_object(body: Any) -> None:
    with pytest.raises(ValidationError):
        read(body)
