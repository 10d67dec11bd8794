"""Several people vote by kubectl, each known by the name that the API server knows, over all channels."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission
from hitl.records.votes import read_votes
from tests.chart.installed import Installed
from tests.chart.running import Running
from tests.cluster.operators import run
from tests.library.samples import asked

POLICY = Approval(required=2, groups={"sre": 1}, exclude_requester=True)


def ask(running: Running, namespace: str) -> StoredRequest:
    request_id = f"voted-{uuid.uuid4().hex[:8]}"

    async def stored() -> StoredRequest:
        store = running.root.store
        request = await asked(
            store,
            request_id,
            now=datetime.now(UTC),
            origin=Origin(namespace=namespace),
            approval=POLICY,
            requester="ruth",
        )
        await store.mark(keys.new_marker(request_id))
        return request

    request = run(stored())
    running.questions.until(request_id, "Pending")
    return request


def vote_in_the_web_app(running: Running, request: StoredRequest, name: str, value: str) -> Settled:
    submission = Submission("answered", Respondent(name=name, via="web", verified=True), value)
    return run(outcomes.settle(Records(running.root.store, announce=True), request, submission))


@pytest.fixture(scope="module")
def voters(stamped: Installed) -> Installed:
    for each in ("ruth", "sam", "liz"):
        stamped.bind(each, "responder")
    return stamped


def respond(installed: Installed, running: Running, question: str, user: str, reason: str, **spec: Any) -> str:
    """Respond by kubectl, and return what the status says of it."""
    name = f"vote-{uuid.uuid4().hex[:8]}"
    groups = ("sre",) if user == "sam" else ()
    installed.create(installed.response(name, question, **spec), user, *groups)
    found = running.questions.until_condition(name, "Accepted", reason, "HumanInputResponse")
    [accepted] = found["status"]["conditions"]
    good = ("Accepted", "Voted", "Withdrawn", "Delegated")
    assert accepted["status"] == ("True" if reason in good else "False")
    return str(accepted["message"])


def vote(installed: Installed, running: Running, question: str, user: str, reason: str, value: str) -> str:
    return respond(installed, running, question, user, reason, value=value)


def test_each_person_has_one_vote_over_all_channels_and_the_requester_has_none(
    voters: Installed, running: Running
) -> None:
    request = ask(running, voters.namespace)
    question = request.request_id
    spec = voters.seen(question)["spec"]
    policy = {"requiredResponses": 2, "groups": [{"name": "sre", "required": 1}], "excludeRequester": True}
    assert (spec["approval"], spec["requester"]) == (policy, {"username": "ruth"})

    refused = vote(voters, running, question, "ruth", "NotAllowed", "42")
    assert refused == "This question is asked for ruth, so others must decide: your vote does not count."
    for _ in range(2):
        told = vote(voters, running, question, "ada", "Voted", "42")
        assert told == "1/2 agree so far. Still needed: 1 more of sre."
    assert "You answered 42 before" in vote(voters, running, question, "ada", "VotedBefore", "41")
    assert vote_in_the_web_app(running, request, "ada", "42").kind == "voted"
    assert vote_in_the_web_app(running, request, "ada", "7").kind == "voted_before"
    [only] = run(read_votes(running.root.store, request))
    assert (only.vote.respondent.name, only.vote.respondent.via) == ("ada", "kubectl")

    vote(voters, running, question, "sam", "Accepted", "42")
    outcome = running.root.outcome(question)
    assert outcome is not None
    assert [(each.name, each.verified, each.via) for each in outcome.votes] == [
        ("ada", True, "kubectl"),
        ("sam", True, "kubectl"),
    ]
    assert running.questions.until(question, "Answered")["status"]["value"] == "42"
    vote(voters, running, question, "liz", "Superseded", "42")


def test_a_manifest_asks_several_people_and_kubectl_shows_how_many_agree(
    voters: Installed, running: Running
) -> None:
    voters.bind("ruth", "requester")
    voters.bind("eva", "editor")
    policy = {"requiredResponses": 2, "groups": [{"name": "sre", "required": 1}], "excludeRequester": True}
    questions, plane = running.questions, voters.plane
    # Who asks and who answers cannot say who must agree; whose name counts as the requester's is nobody's choice.
    for user in ("ruth", "eva"):
        assert "forbidden" in voters.create(voters.policy("two", **policy), user, check=False).err
    voters.bind("pam", "policy-admin")
    voters.create(voters.policy("two", **policy), "pam")
    forged = voters.question("forged", policyRef={"name": "two"}, requester={"username": "eva"})
    assert "the requester of a question is who creates it" in voters.create(forged, "ruth", check=False).err
    voters.create(voters.question("ship", policyRef={"name": "two"}), "ruth")
    asked = questions.until("ship", "Pending")
    assert asked["spec"]["requester"] == {"username": "ruth"}
    assert asked["status"]["approval"]["progress"] == "0/2"
    assert len(asked["status"]["policy"].pop("approvalSha256")) == 64
    assert asked["status"]["policy"] == {"name": "two", "generation": 1}

    assert "is asked for ruth" in vote(voters, running, "ship", "ruth", "NotAllowed", "42")
    patched = voters.patch("ship", {"spec": {"response": {"value": "42"}}}, "eva", check=False)
    assert patched.code == 0
    questions.until_condition("ship", "ResponseRefused", "NotAllowed")
    vote(voters, running, "ship", "ada", "Voted", "42")

    def shown(progress: str) -> bool:
        return progress in plane.kubectl("get", "hi", "ship", "-n", voters.namespace).out.split()

    plane.until("1/2", lambda: shown("1/2"))
    pending = questions.get("ship")
    assert pending is not None
    requires = "2 people must give the same answer, among them 1 of sre."
    assert pending["status"]["approval"] == {
        "requires": requires,
        "progress": "1/2",
        "needed": "1 more of sre",
        "agreed": ["ada"],
    }
    vote(voters, running, "ship", "sam", "Accepted", "42")

    status = questions.until("ship", "Answered")["status"]
    assert status["approval"] == {"requires": requires, "progress": "2/2", "agreed": ["ada", "sam"]}
    assert shown("2/2")
    outcome = running.root.outcome(asked["status"]["requestID"])
    assert outcome is not None
    assert [each.name for each in outcome.votes] == ["ada", "sam"]


def test_a_seat_is_handed_over_and_taken_back_by_kubectl_as_the_names_that_are_stamped(
    voters: Installed, running: Running
) -> None:
    question = ask(running, voters.namespace).request_id

    def said(user: str, reason: str, **spec: Any) -> str:
        return respond(voters, running, question, user, reason, **spec)

    assert "others must decide" in said("ruth", "NotAllowed", delegateTo="ada")
    assert "cannot be handed over to ruth" in said("sam", "NotAllowed", delegateTo="ruth")
    assert said("sam", "Delegated", delegateTo="liz") == "liz may answer on behalf of this user"
    assert said("sam", "Withdrawn", withdraw=True) == "0/2 agree so far. Still needed: 1 more of sre, 1 more."
    said("sam", "Delegated", delegateTo="ada")
    assert "You handed this question over to ada" in said("sam", "NotAllowed", value="42")
    assert said("ada", "Voted", value="42") == "1/2 agree so far. Still needed: 1 more."
    assert "who has acted on it: that stands" in said("sam", "NotAllowed", withdraw=True)
    said("liz", "Accepted", value="42")

    status = running.questions.until(question, "Answered")["status"]
    assert status["approval"]["agreed"] == ["ada on behalf of sam", "liz"]
    assert "the question was answered by" in said("liz", "Superseded", withdraw=True)
