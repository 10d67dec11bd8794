"""What lies in the bucket: the old plugin's fields, a round trip without loss, and damage that is named."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.author.report import report_html
from hitl.cluster.mapping import human_input_of
from hitl.core.documents import SCHEMA_VERSION, Origin, OutcomeDocument, RequestDocument, Respondent, format_time
from hitl.core.links import LinkDocument
from hitl.core.respondents import Respondents
from hitl.errors import DocumentDamaged
from tests.library.samples import DEADLINE, NOW, draft_request
from tests.library.test_values import values

NAME = "hitl-requests/a/response.json"


def request(**changes: Any) -> RequestDocument:
    content: dict[str, Any] = {
        "request_id": "a",
        "event_name": "e",
        "data_type": "json",
        "prompt": "Ünï?",
        "timeout_seconds": 600,
        "now": NOW,
        "json_schema": {"type": "object"},
        "default": {"a": 1},
        "on_timeout": "default",
        "respondents": Respondents(users=["ann"]),
        "root": "s3://bucket/root",
    }
    return draft_request(**{**content, **changes})


def outcome(**changes: Any) -> OutcomeDocument:
    content: dict[str, Any] = {
        "request_id": "a",
        "data_type": "int",
        "status": "completed",
        "value": 42,
        "outcome": "answered",
        "reason": "Answered",
        "submission_id": "s",
        "answered_at": NOW,
        "respondent": Respondent(name="ann", via="web", verified=True),
        "request_sha256": "0" * 64,
    }
    return OutcomeDocument(**{**content, **changes})


def test_a_request_keeps_the_old_plugins_fields() -> None:
    stored = json.loads(request(endpoint="http://web").to_bytes())

    old = "request_id event_name scope prompt data_type status app_endpoint request_path response_path"
    assert {name: stored[name] for name in old.split()} == {
        "request_id": "a",
        "event_name": "e",
        "scope": "run",
        "prompt": "Ünï?",
        "data_type": "json",
        "status": "pending",
        "app_endpoint": "http://web",
        "request_path": "s3://bucket/root/hitl-requests/a/request.json",
        "response_path": "s3://bucket/root/hitl-requests/a/response.json",
    }
    assert stored["schema"] == {"type": "object"}
    assert stored["schema_version"] == SCHEMA_VERSION


def test_a_request_names_its_humaninput_and_one_that_does_not_is_readable() -> None:
    asked = request(origin=Origin(namespace="payments", human_input="ship-it"))
    without = json.loads(asked.to_bytes())
    del without["origin"]["human_input"]

    assert RequestDocument.from_bytes(asked.to_bytes(), NAME).human_input == "ship-it"
    assert RequestDocument.from_bytes(json.dumps(without).encode(), NAME).human_input == "a"


def test_the_hash_of_its_link_is_in_the_stored_bytes_of_a_request_and_told_nowhere_else() -> None:
    plain, linked = request(), request().model_copy(update={"link_sha256": "ab" * 32})

    assert RequestDocument.from_bytes(linked.to_bytes(), NAME) == linked
    assert json.loads(linked.to_bytes()) == json.loads(plain.to_bytes()) | {"link_sha256": "ab" * 32}
    # What an earlier release stored, and what programs store, has none.
    assert "link" not in json.loads(plain.to_bytes())
    assert RequestDocument.from_bytes(plain.to_bytes(), NAME).link_sha256 == ""
    assert linked.question_digest() == plain.question_digest()
    shown = [repr(linked), linked.model_dump(), linked.model_dump(mode="json"), human_input_of(linked, 60)]
    shown += [linked.model_dump_json(), report_html(linked, "https://hitl.example/form/a", "", "")]
    for each in shown:
        assert "abab" not in str(each)


@pytest.mark.parametrize("wrong", ["AB" * 32, "ab" * 31, "ab" * 32 + "\n", '"' * 64, "ab" * 33])
def test_a_request_whose_link_is_no_hash_is_damaged(wrong: str) -> None:
    stored = json.loads(request().to_bytes()) | {"link_sha256": wrong}

    with pytest.raises(DocumentDamaged, match="link_sha256"):
        RequestDocument.from_bytes(json.dumps(stored).encode(), NAME)


def test_an_outcome_keeps_the_old_plugins_fields() -> None:
    stored = json.loads(outcome().to_bytes())

    old = ("value", "status", "request_id", "data_type")
    assert [stored[name] for name in old] == [42, "completed", "a", "int"]


def test_documents_read_back_equal() -> None:
    berlin = timezone(timedelta(hours=2))
    for document in (
        request(),
        request(now=NOW.astimezone(berlin) + timedelta(microseconds=7)),
        outcome(),
        LinkDocument(created_at=NOW, label="für Ann", expires_at=DEADLINE),
    ):
        data = document.to_bytes()
        read = type(document).from_bytes(data, NAME)
        assert read == document
        assert read.to_bytes() == data


@pytest.mark.parametrize("data_type", ["int", "float", "bool", "str", "json"])
@given(data=st.data())
def test_every_value_is_kept_as_it_is(data_type: Any, data: st.DataObject) -> None:
    value = data.draw(values[data_type])
    document = outcome(data_type=data_type, value=value)

    read = OutcomeDocument.from_bytes(document.to_bytes(), NAME)

    assert repr(read.value) == repr(value)
    assert read.value_text() == document.value_text()


def test_unknown_fields_of_the_same_version_are_passed_over() -> None:
    stored = {**json.loads(outcome().to_bytes()), "added_later": 1}

    assert OutcomeDocument.from_bytes(json.dumps(stored).encode(), NAME) == outcome()


def changed(**changes: Any) -> bytes:
    stored = {**json.loads(outcome().to_bytes()), **changes}
    return json.dumps({name: value for name, value in stored.items() if value != "gone"}).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "schema_version is 0"),
        (b"null", "schema_version is 0"),
        (b'"text"', "schema_version is 0"),
        (changed(schema_version=2), "schema_version is 2"),
        (changed(schema_version="gone"), "schema_version is 0"),
        (changed(outcome="maybe"), "outcome: "),
        (changed(answered_at="gone"), "answered_at: "),
        (changed(answered_at="2031-01-01T00:00:00"), "answered_at: "),
        (changed(respondent={"via": "pigeon"}), "respondent.via: "),
        (changed(value="maybe"), "not of type|not a whole number"),
        (changed(value="42"), "the value is not of type int"),
        (changed(value=4.0), "is not of type int"),
        (changed(value=None), "is not of type int"),
        (changed(value=2**63), "out of range"),
        (changed(data_type="float", value=float("nan")), "not a finite number"),
        (changed(data_type="json", value=json.loads("[" * 70 + "]" * 70)), "at most 64 levels"),
    ],
)
def test_damage_is_named(data: bytes, why: str) -> None:
    with pytest.raises(DocumentDamaged, match=why) as damaged:
        OutcomeDocument.from_bytes(data, NAME)

    assert damaged.value.name == NAME
    assert str(damaged.value).startswith(f"{NAME} is damaged: ")


def test_the_digest_tells_questions_apart_and_nothing_else() -> None:
    digest = request().question_digest()

    for same in ({"now": DEADLINE}, {"timeout_seconds": 5}, {"endpoint": "x"}, {"event_name": "f"}, {"root": "r"}):
        assert request(**same).question_digest() == digest
    for other in (
        {"prompt": "Other?"},
        {"json_schema": {"type": ["object", "null"]}},
        {"default": {"a": 2}},
        {"respondents": Respondents(users=["bob"])},
        {"respondents": Respondents(groups=["ann"])},
        {"data_type": "str", "json_schema": None, "default": "{}"},
    ):
        assert request(**other).question_digest() != digest
    assert (
        request(data_type=int, json_schema=None, default=1, choices=[1, 2]).question_digest()
        != request(data_type=int, json_schema=None, default=1, choices=[2, 1]).question_digest()
    )


def test_who_may_answer() -> None:
    assert Respondents().allow(None, [])
    named = Respondents(users=["ann"], groups=["ops"])
    assert named.allow("ann", [])
    assert named.allow("bob", ["dev", "ops"])
    assert not named.allow("bob", ["dev"])
    assert not named.allow(None, [])
    assert not Respondents(users=["ann"]).allow(None, [])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "answered by ann via web at 2031-05-06 07:08:09 UTC"),
        ({"respondent": Respondent(name="ann", via="api")}, "answered by ann (unverified) via api at"),
        ({"respondent": Respondent(via="web")}, "answered by somebody (unverified) via web at"),
        ({"reason": "DefaultUsed"}, "nobody answered before the deadline, so the default was used"),
        ({"reason": "DefaultUsed", "expires_at": DEADLINE}, "(2031-05-06 07:18:09 UTC), so the default was used"),
        ({"outcome": "timed_out", "value": None}, "nobody answered before the deadline"),
        (
            {
                "outcome": "timed_out",
                "value": None,
                "answered_at": NOW + timedelta(days=9),
                "expires_at": DEADLINE,
            },
            "nobody answered before the deadline (2031-05-06 07:18:09 UTC)",
        ),
        ({"outcome": "rejected", "value": None, "comment": "too soon"}, "rejected by ann via web at"),
        ({"outcome": "rejected", "value": None, "comment": "too soon"}, "UTC: too soon"),
        ({"outcome": "cancelled", "value": None}, "cancelled by ann via web at"),
        (
            {"respondent": Respondent(name="ann", verified=True, via="gitops", commit="4f1d\n2ab")},
            "answered by ann via gitops (commit 4f1d 2ab) at",
        ),
    ],
)
def test_an_outcome_says_what_was_recorded(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in outcome(**changes).summary()


def test_only_an_answer_has_a_value() -> None:
    assert outcome(data_type="str", value="x").value_text() == "x"
    assert outcome(data_type="json", value=None).value_text() == "null"
    assert outcome(outcome="rejected", value=None).value_text() is None


def test_a_moment_is_shown_in_its_own_zone() -> None:
    assert format_time(datetime(2031, 5, 6, 7, 8, 9, 999, timezone(timedelta(hours=2)))) == (
        "2031-05-06 07:08:09 UTC+02:00"
    )


def test_an_outcome_of_release_0_1_0_is_read_and_claims_no_deadline() -> None:
    old = json.loads(outcome(outcome="timed_out", value=None).to_bytes())
    del old["expires_at"]

    read = OutcomeDocument.from_bytes(json.dumps(old).encode(), NAME)

    assert read.expires_at is None
    assert read.summary() == "nobody answered before the deadline"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON, ascii_only=st.booleans(), blanks=st.booleans(), more=st.dictionaries(st.text(max_size=4), JSON))
def test_reading_at_once_gives_what_reading_in_steps_gives(
    value: Any, ascii_only: bool, blanks: bool, more: dict[str, Any]
) -> None:
    whole = json.loads(outcome(data_type="json", value=None).to_bytes())
    content = {**more, **whole, "value": value}
    data = json.dumps(content, ensure_ascii=ascii_only, indent=2 if blanks else None).encode(
        errors="surrogatepass"
    )

    try:
        expected = OutcomeDocument.model_validate(json.loads(data))
    except ValueError:
        with pytest.raises(DocumentDamaged):
            OutcomeDocument.from_bytes(data, NAME)
    else:
        found = OutcomeDocument.from_bytes(data, NAME)
        # Two that are not numbers are never equal, and 1 equals 1.0.
        assert repr(found) == repr(expected)
