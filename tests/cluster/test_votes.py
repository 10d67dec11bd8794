"""A question on which several people must agree, with an operator: shown, settled by votes, not by kubectl."""

from datetime import UTC, datetime

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import Origin, Respondent
from hitl.core.votes import VoteDocument
from hitl.records import outcomes
from hitl.records.outcomes import Submission
from hitl.records.records import Records
from hitl.records.requests import StoredRequest
from hitl.records.votes import cast, read_votes
from tests.cluster.operators import Questions, Root, response, run
from tests.library.samples import asked


def ask(root: Root, namespace: str, request_id: str) -> StoredRequest:
    async def stored() -> StoredRequest:
        request = await asked(
            root.store,
            request_id,
            now=datetime.now(UTC),
            origin=Origin(namespace=namespace),
            approval=Approval(required=2),
        )
        await root.store.mark(keys.new_marker(request_id))
        return request

    return run(stored())


def who(name: str) -> Respondent:
    return Respondent(name=name, via="web", verified=True)


def test_kubectl_has_no_vote_yet_and_is_told_so(questions: Questions, root: Root) -> None:
    request = ask(root, questions.namespace, "refuses-kubectl")
    questions.until("refuses-kubectl", "Pending")

    questions.patch("refuses-kubectl", {"response": {"value": "4"}})
    found = questions.until_condition("refuses-kubectl", "ResponseRefused", "NotAllowed")
    assert found["status"]["phase"] == "Pending"
    questions.plane.apply(response(questions.namespace, "by-response", "refuses-kubectl", value="4"))
    questions.until_condition("by-response", "Accepted", "NotAllowed", "HumanInputResponse")

    assert run(read_votes(root.store, request)) == []
    assert root.outcome("refuses-kubectl") is None


def test_an_agreement_whose_last_voter_was_killed_is_settled_within_a_sweep(
    questions: Questions, root: Root
) -> None:
    request = ask(root, questions.namespace, "killed-voter")
    questions.until("killed-voter", "Pending")

    async def vote() -> None:
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

    run(vote())

    status = questions.until("killed-voter", "Answered")["status"]
    assert (status["value"], status["answeredBy"], status["answeredVia"]) == ("4", "bob", "web")
    outcome = root.outcome("killed-voter")
    assert outcome is not None
    assert [each.name for each in outcome.votes] == ["ann", "bob"]
    questions.plane.until("the marker is gone", lambda: "killed-voter" not in root.markers())
