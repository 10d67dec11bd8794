"""A question on which several people must agree, with an operator: shown, and settled by votes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.cli.cluster_backend import InCluster, Target
from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.core.votes import VoteDocument
from hitl.errors import AlreadyVoted, ClusterConflict, NotAllowed
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.submissions import Settled, Submission
from hitl.records.votes import cast, read_votes
from hitl.records.voting import withdraw
from tests.cluster.operators import Questions, Root, conditions, question, response, run
from tests.library.samples import asked


def ask(root: Root, namespace: str, request_id: str, approval: Approval, **more: Any) -> StoredRequest:
    async def stored() -> StoredRequest:
        request = await asked(
            root.store,
            request_id,
            now=datetime.now(UTC),
            origin=Origin(namespace=namespace),
            approval=approval,
            **more,
        )
        await root.store.mark(keys.new_marker(request_id))
        return request

    return run(stored())


def who(name: str) -> Respondent:
    return Respondent(name=name, via="web", verified=True)


def vote(root: Root, request: StoredRequest, name: str, value: str) -> Settled:
    submission = Submission("answered", who(name), value)
    return run(outcomes.settle(Records(root.store, announce=True), request, submission))


def test_spec_response_and_unverified_names_are_no_votes(questions: Questions, root: Root) -> None:
    # As an older release shows it: the API server does not know yet that it has an approval.
    questions.plane.apply(question(questions.namespace, "refuses-kubectl", request={"id": "refuses-kubectl"}))
    request = ask(root, questions.namespace, "refuses-kubectl", Approval(required=2))
    questions.until("refuses-kubectl", "Pending")

    questions.patch("refuses-kubectl", {"response": {"value": "4"}})
    found = questions.until_condition("refuses-kubectl", "ResponseRefused", "NotAllowed")
    assert found["status"]["phase"] == "Pending"
    [why] = [each["message"] for each in found["status"]["conditions"] if each["type"] == "ResponseRefused"]
    assert "vote by a HumanInputResponse" in why
    # Nobody stamps names here.
    ada = {"username": "ada"}
    questions.plane.apply(response(questions.namespace, "by-ada", "refuses-kubectl", value="4", respondent=ada))
    refused = questions.until_condition("by-ada", "Accepted", "NotAllowed", "HumanInputResponse")
    assert "nobody has verified yours" in refused["status"]["conditions"][0]["message"]

    assert run(read_votes(root.store, request)) == []
    assert root.outcome("refuses-kubectl") is None


def test_an_agreement_whose_last_voter_was_killed_is_settled_within_a_sweep(
    questions: Questions, root: Root
) -> None:
    request = ask(root, questions.namespace, "killed-voter", Approval(required=2))
    questions.until("killed-voter", "Pending")

    async def voted() -> None:
        records = Records(root.store, announce=True)
        told = await outcomes.settle(records, request, Submission("answered", who("ann"), "4"))
        assert told.kind == "voted"
        # The process of this one ends right after its vote.
        last = VoteDocument(
            request_id=request.request_id,
            request_sha256=request.sha256,
            data_type="int",
            outcome="answered",
            value=4,
            submission_id="last",
            voted_at=datetime.now(UTC),
            respondent=who("bob"),
        )
        await cast(records, request, last, None)

    run(voted())

    status = questions.until("killed-voter", "Answered")["status"]
    assert (status["value"], status["answeredBy"], status["answeredVia"]) == ("4", "bob", "web")
    outcome = root.outcome("killed-voter")
    assert outcome is not None
    assert [each.name for each in outcome.votes] == ["ann", "bob"]
    questions.plane.until("the marker is gone", lambda: "killed-voter" not in root.markers())


def test_the_command_votes_and_tells_how_many_agree(questions: Questions, root: Root) -> None:
    request = ask(root, questions.namespace, "by-command", Approval(required=2, allow_links=True))
    questions.until("by-command", "Pending")
    cluster = InCluster(Target(str(questions.plane.kubeconfig), namespace=questions.namespace))

    voted = run(cluster.answer("by-command", "4", text=True, comment=""))
    assert (voted.phase, voted.standing) == ("Pending", "1/2 agree so far. Still needed: 1 more.")
    with pytest.raises(AlreadyVoted, match="You answered 4 before"):
        run(cluster.answer("by-command", "5", text=True, comment=""))
    withdrawn = run(cluster.withdraw("by-command"))
    assert (withdrawn.phase, withdrawn.standing) == ("Pending", "0/2 agree so far. Still needed: 2 more.")
    with pytest.raises(NotAllowed, match="Nobody has verified your name"):
        run(cluster.delegate("by-command", "bob"))
    assert run(cluster.answer("by-command", "4", text=True, comment="")).phase == "Pending"

    assert vote(root, request, "bob", "4").kind == "recorded"
    assert questions.until("by-command", "Answered")["status"]["value"] == "4"
    with pytest.raises(ClusterConflict, match="nothing was changed: the question was answered by"):
        run(cluster.withdraw("by-command"))


def test_a_quorum_that_cannot_be_reached_any_more_is_said_so_until_a_vote_is_withdrawn(
    questions: Questions, root: Root
) -> None:
    named = {"users": ["ann", "bob"]}
    request = ask(root, questions.namespace, "split", Approval(required=2), respondents=named)
    requires = "2 people must give the same answer."
    asked_of = questions.until("split", "Pending")["status"]["approval"]
    assert asked_of == {"requires": requires, "progress": "0/2", "needed": "2 more"}
    vote(root, request, "ann", "4")
    vote(root, request, "bob", "5")

    status = questions.until_condition("split", "QuorumUnreachable", "TooFewLeft")["status"]
    assert status["approval"] == {
        "requires": requires,
        "progress": "1/2",
        "needed": "1 more",
        "agreed": ["ann"],
    }
    assert status["phase"] == "Pending"
    questions.until_events("split", "QuorumUnreachable", "Requested")

    run(withdraw(Records(root.store), request, who("bob"), now=datetime.now(UTC)))

    def passed() -> bool:
        return "QuorumUnreachable" not in conditions(questions.get("split"))

    questions.plane.until("it can be reached again", passed)
    vote(root, request, "bob", "4")
    settled = questions.until("split", "Answered")["status"]
    assert settled["approval"] == {"requires": requires, "progress": "2/2", "agreed": ["ann", "bob"]}
