"""Who may answer is named without mistake, or the question is refused: never is everybody let in by accident."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hitl
from hitl.core.documents import RequestDocument
from hitl.core.respondents import Respondents
from hitl.errors import DocumentDamaged, InvalidRequest
from tests.library.samples import NOW, draft_request

WRONG: dict[str, Any] = {
    "a misspelt users": {"user": ["ann"]},
    "a misspelt groups": {"group": ["sre"]},
    "another case": {"Users": ["ann"]},
    "another name": {"emails": ["ann@example.org"]},
    "one right and one misspelt": {"users": ["ann"], "grups": ["sre"]},
    "a name that is no text": {1: ["ann"]},
    "no users found": {"users": []},
    "no groups found": {"groups": []},
    "one list of two empty": {"users": ["ann"], "groups": []},
    "nothing found": {},
    "nothing found, as a model": Respondents(),
    "users without a list": {"users": "ann"},
    "groups without a list": {"groups": "sre"},
    "a mapping of groups": {"groups": {"sre": True}},
    "a set, which has no order": {"users": {"ann", "bob"}},
    "a generator": {"users": (name for name in ["ann"])},
    "None for users": {"users": None},
    "None among users": {"users": [None]},
    "a number among users": {"users": [5]},
    "bytes among users": {"users": [b"ann"]},
    "a list in the list": {"users": [["ann"]]},
    "an empty name": {"users": [""]},
    "a blank name": {"users": [" \t"]},
    "a no-break blank": {"users": ["\u00a0"]},
    "a line feed behind the name": {"users": ["ann\n"]},
    "a blank before the name": {"groups": [" sre"]},
    "an invisible character": {"users": ["ann\u200b"]},
    "another direction": {"users": ["\u202enna"]},
    "a name too long": {"users": ["a" * 257]},
    "too many": {"users": [f"user-{n}" for n in range(65)]},
    "the same twice": {"users": ["ann", "ann"]},
    "a list of names": ["ann"],
    "a name": "ann",
    "no names": [],
    "nothing": "",
    "False": False,
    "0": 0,
    "a pair": (("users", ["ann"]),),
}


def draft(respondents: Any) -> RequestDocument:
    return draft_request(
        request_id="a",
        event_name="e",
        data_type=bool,
        prompt="Pay?",
        timeout_seconds=600,
        now=NOW,
        respondents=respondents,
    )


@pytest.mark.parametrize("what", WRONG)
def test_what_names_nobody_for_sure_is_refused_with_what_to_write(what: str) -> None:
    with pytest.raises(InvalidRequest, match="respondents") as refused:
        draft(WRONG[what])

    message = str(refused.value)
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    "what", ["a misspelt users", "no users found", "nothing found", "None among users", "a name"]
)
def test_the_sentence_shows_how_it_is_written(what: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        draft(WRONG[what])

    assert '{"users": ["ann@example.org"]}, {"groups": ["finance"]} or both' in str(refused.value)
    assert "None to let everybody answer" in str(refused.value)


@pytest.mark.parametrize(
    ("given_", "users", "groups"),
    [
        ({"users": ["ann"]}, ["ann"], []),
        ({"groups": ("sre", "Finance Team")}, [], ["sre", "Finance Team"]),
        (
            {"users": ["ann@example.org", "Zoë Åström"], "groups": ["sre"]},
            ["ann@example.org", "Zoë Åström"],
            ["sre"],
        ),
        (Respondents(users=["ann"]), ["ann"], []),
        (Respondents(groups=["sre"]), [], ["sre"]),
    ],
)
def test_who_is_named_may_answer(given_: Any, users: list[str], groups: list[str]) -> None:
    named = draft(given_).respondents

    assert (named.users, named.groups) == (users, groups)
    assert not named.allow("mallory", ["everybody"])


def test_only_none_lets_everybody_answer() -> None:
    assert draft(None).respondents.allow(None, [])


everything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["users", "groups", "ann", "sre"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["users", "groups", "user", ""]) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(respondents=everything.filter(lambda given: given is not None))
def test_whatever_is_given_somebody_is_named_or_the_question_is_refused(respondents: Any) -> None:
    try:
        named = draft(respondents).respondents
    except InvalidRequest:
        return
    assert named
    assert {"users": named.users, "groups": named.groups} == {"users": [], "groups": [], **respondents}


def test_new_event_and_ask_refuse_alike() -> None:
    for asked in (
        lambda respondents: hitl.new_event("pay", bool, respondents=respondents),
        lambda respondents: hitl.ask("Pay?", bool, respondents=respondents),
    ):
        with pytest.raises(hitl.InvalidRequest, match="has no field 'user'"):
            asked({"user": ["ann"]})


def stored(respondents: Any) -> bytes:
    content = json.loads(draft(None).to_bytes())
    return json.dumps({**content, "respondents": respondents}).encode()


def test_a_stored_question_that_names_nobody_is_still_everybodys() -> None:
    nobody: Any
    for nobody in ({"users": [], "groups": []}, {}):
        read = RequestDocument.from_bytes(stored(nobody), "request.json")
        assert read.respondents.allow(None, [])


def test_a_stored_field_that_is_not_known_is_damage_and_lets_nobody_in() -> None:
    with pytest.raises(DocumentDamaged, match=r"respondents\.teams"):
        RequestDocument.from_bytes(stored({"teams": ["sre"]}), "request.json")


def test_where_nobody_can_sign_in_the_asker_is_told_that_nobody_can_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = hitl.new_event("pay", bool, respondents={"users": ["ann"]})
    assert "nobody can answer it there: leave out respondents" in caplog.text
    event.cancel()

    caplog.clear()
    hitl.new_event("pay", bool).cancel()
    assert "nobody can answer" not in caplog.text
