"""A policy of who must agree: checked when made, refused when it never could be fulfilled, stored as it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hitl.core.approval import Approval, needs_verified, policy_sentence, refusal
from hitl.core.documents import RequestDocument
from hitl.core.question import Question
from hitl.errors import DocumentDamaged, InvalidRequest
from tests.library.samples import NOW, number_question

TWO = Approval(required=2)
POLICY = Approval(
    required=2, groups={"sre": 1, "security": 1}, exclude_requester=True, comment_required="OnReject"
)


def stored(**changes: Any) -> bytes:
    question = number_question(approval=POLICY, requester="ann")
    content = json.loads(RequestDocument.asking(question, request_id="a", asked_at=NOW).to_bytes())
    return json.dumps({**content, **changes}).encode()


def _misspelt() -> Approval:
    given: dict[str, Any] = {"required": 2, "group": {"sre": 1}}
    return Approval(**given)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Approval(), "required: Field required"),
        (lambda: Approval(required=0), "required: Input should be greater than or equal to 1"),
        (lambda: Approval(required=65), "required: Input should be less than or equal to 64"),
        (lambda: Approval(required=True), "required: Input should be a valid integer"),
        (lambda: Approval(required=1, rejections=0), "rejections: "),
        (lambda: Approval(required=1, groups={"sre": 0}), "groups: 0 of sre"),
        (lambda: Approval(required=1, groups={" sre": 1}), "is no name of a group"),
        (lambda: Approval(required=2, groups={}), "groups: it names no group, so anybody could decide"),
        (lambda: Approval(required=2, groups={"sre": True}), "groups.sre: Input should be a valid integer"),
        (lambda: Approval(required=2, groups={"sre": "1"}), "groups.sre: Input should be a valid integer"),
        (_misspelt, "group: there is no such field"),
        (lambda: Approval(required=1, comment_required="Sometimes"), "comment_required: "),
        (lambda: Approval(required=1, groups={"a": 1, "b": 1}), "the groups need 2 people.* give required=2"),
        (lambda: Approval(required=2, groups={"a": 1}, allow_links=True), "leave out allow_links, or groups"),
        (lambda: Approval(required=2, exclude_requester=True, allow_links=True), "or exclude_requester"),
        (lambda: number_question(approval={"required": 2}), "approval is of type dict: give hitl.Approval"),
        (lambda: number_question(requester="ann"), "requester is whose vote may not count"),
        (lambda: number_question(approval=TWO, requester=" ann"), "requester is ' ann': give the name of a user"),
        (lambda: number_question(approval=POLICY), "exclude_requester needs requester"),
        (
            lambda: number_question(
                approval=Approval(required=2, allow_links=True), respondents={"users": ["ann", "bob"]}
            ),
            "leave one of them out",
        ),
        (
            lambda: number_question(approval=TWO, respondents={"users": ["ann"]}),
            "2 people must agree, and respondents names 1: name more, or a group",
        ),
        (
            lambda: number_question(
                approval=Approval(required=1, exclude_requester=True),
                requester="ann",
                respondents={"users": ["ann"]},
            ),
            "1 person must agree, and respondents names 0 without the requester",
        ),
        (
            lambda: number_question(
                approval=Approval(required=2, groups={"sre": 2}),
                respondents={"users": ["ann"], "groups": ["security"]},
            ),
            "2 people must be of 'sre', and respondents names no such group, and 1 users",
        ),
    ],
)
def test_what_never_could_be_fulfilled_is_refused_when_it_is_asked(
    build: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        build()


@pytest.mark.parametrize(
    "asked",
    [
        {"approval": TWO},
        {"approval": TWO, "respondents": {"groups": ["sre"]}},
        {"approval": TWO, "respondents": {"users": ["ann", "bob"]}},
        {"approval": POLICY, "requester": "ann"},
        {"approval": POLICY, "requester": "ann", "respondents": {"groups": ["sre", "security"]}},
        {"approval": POLICY, "requester": "ann", "respondents": {"users": ["bob"], "groups": ["sre"]}},
        {"approval": Approval(required=1, allow_links=True)},
    ],
    ids=repr,
)
def test_a_policy_is_part_of_the_question_and_of_what_is_stored(asked: dict[str, Any]) -> None:
    question = number_question(**asked)
    document = RequestDocument.asking(question, request_id="a", asked_at=NOW)
    read = RequestDocument.from_bytes(document.to_bytes(), "a")

    assert read == document
    assert (read.approval, read.requester) == (question.approval, question.requester)
    assert question.asks_the_same_as(read)
    assert not question.asks_the_same_as(number_question(respondents=asked.get("respondents")))
    assert not question.asks_the_same_as(
        number_question(**{**asked, "approval": asked["approval"].model_copy(update={"rejections": 3})})
    )


def test_it_is_stored_in_the_words_of_kubernetes() -> None:
    assert json.loads(stored())["approval"] == {
        "requiredResponses": 2,
        "groups": [{"name": "security", "required": 1}, {"name": "sre", "required": 1}],
        "rejections": 1,
        "excludeRequester": True,
        "commentRequired": "OnReject",
        "allowLinks": False,
    }


def test_the_order_in_which_groups_are_written_makes_no_other_question() -> None:
    one, other = ({"sre": 1, "security": 1}, {"security": 1, "sre": 1})
    digests = {
        number_question(approval=Approval(required=2, groups=each)).question_digest() for each in (one, other)
    }

    assert len(digests) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"approval": None}, "schema_version is 2 with an approval"),
        ({"schema_version": 1}, "schema_version is 2 with an approval"),
        ({"schema_version": 3}, "this release reads 1 and 2"),
        ({"approval": {"requiredResponses": 2, "majority": True}}, "majority"),
        ({"approval": {"requiredResponses": 2, "groups": [{"name": "a", "required": 1}] * 2}}, "twice"),
        ({"approval": {"requiredResponses": 2, "groups": ["sre"]}}, "each group has a name"),
    ],
)
def test_a_policy_that_was_changed_by_hand_is_damage(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(DocumentDamaged, match=why):
        RequestDocument.from_bytes(stored(**changes), "hitl-requests/a/request.json")


def test_a_release_that_lets_one_person_decide_refuses_to_read_the_question() -> None:
    # Such a release reads version 1 only.
    assert json.loads(stored())["schema_version"] == 2
    plain = RequestDocument.asking(number_question(), request_id="a", asked_at=NOW)
    assert json.loads(plain.to_bytes())["schema_version"] == 1


@pytest.mark.parametrize(
    ("approval", "name", "verified", "sentence"),
    [
        (TWO, "ann", True, ""),
        (TWO, "ann", False, "sign in"),
        (TWO, "", True, "sign in"),
        (Approval(required=1), "", False, ""),
        (Approval(required=2, allow_links=True), "", False, ""),
        (POLICY, "ann", True, "asked for ann, so others must decide"),
        (POLICY, "bob", True, ""),
    ],
)
def test_whose_vote_counts(approval: Approval, name: str, verified: bool, sentence: str) -> None:
    assert sentence in (told := refusal(approval, "ann", name=name, verified=verified))
    assert bool(told) is bool(sentence)


def test_a_question_says_who_must_agree_by_its_type() -> None:
    asked: Question = number_question(approval=POLICY, requester="ann")

    assert asked.approval == POLICY
    assert needs_verified(POLICY)
    assert policy_sentence(POLICY) == "2 people must give the same answer, among them 1 of security and 1 of sre."
