"""A HumanInputPolicy counts as it was when the question was asked, with an operator."""

import json
from pathlib import Path
from typing import Any

from hitl.core.documents import Respondent
from hitl.records import outcomes
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.records.submissions import Submission
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Object, OperatorProcess, Questions, Root, conditions, question, run


def policy(questions: Questions, name: str, **approval: Any) -> Object:
    return {
        **question(questions.namespace),
        "kind": "HumanInputPolicy",
        "metadata": {"name": name, "namespace": questions.namespace},
        "spec": {"approval": approval},
    }


def vote(root: Root, request_id: str, name: str) -> str:
    """Vote as a program does; return the kind of the result."""

    async def vote() -> str:
        request = await read_request(root.store, request_id)
        submission = Submission("answered", Respondent(name=name, via="cli"), "4")
        return (await outcomes.settle(Records(root.store, announce=True), request, submission)).kind

    return run(vote())


def test_a_question_waits_for_its_policy_and_keeps_it_when_the_policy_changes_or_goes(
    questions: Questions, root: Root
) -> None:
    plane, namespace = questions.plane, questions.namespace
    plane.apply(question(namespace, "first", policyRef={"name": "production"}))
    waits = questions.until_condition("first", "Stalled", "PolicyNotFound")
    assert "requestID" not in waits["status"]
    [why] = [each["message"] for each in waits["status"]["conditions"] if each["type"] == "Stalled"]
    assert f"there is no HumanInputPolicy production in namespace {namespace}" in why

    plane.apply(policy(questions, "production", requiredResponses=2, allowLinks=True))
    status = questions.until("first", "Pending")["status"]
    digest = status["policy"].pop("approvalSha256")
    assert status["policy"] == {"name": "production", "generation": 1}
    rule = "2 people must give the same answer."
    assert status["approval"] == {"requires": rule, "progress": "0/2", "needed": "2 more"}
    assert "Stalled" not in conditions({"status": status})

    plane.apply(policy(questions, "production", requiredResponses=1, allowLinks=True))
    questions.ask("second", policyRef={"name": "production"})
    later = questions.get("second")
    assert later is not None
    assert later["status"]["policy"].pop("approvalSha256") != digest
    assert later["status"]["policy"] == {"name": "production", "generation": 2}
    plane.delete(namespace, "HumanInputPolicy", "production")
    assert vote(root, status["requestID"], "ann") == "voted"
    plane.until("one vote", lambda: (questions.get("first") or {})["status"]["approval"]["progress"] == "1/2")
    assert vote(root, status["requestID"], "bob") == "recorded"
    settled = questions.until("first", "Answered")["status"]
    assert settled["policy"] == {"name": "production", "generation": 1, "approvalSha256": digest}
    assert settled["approval"] == {
        "requires": rule,
        "progress": "2/2",
        "agreed": ["ann (unverified)", "bob (unverified)"],
    }


def test_who_must_agree_may_be_worded_otherwise_by_hand_and_its_digest_is_never_changed(
    questions: Questions, root: Root
) -> None:
    plane, namespace = questions.plane, questions.namespace
    plane.apply(policy(questions, "production", requiredResponses=1, allowLinks=True))
    request_id = questions.ask("asked", policyRef={"name": "production"})
    edit = ("patch", "hi", "asked", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    plane.kubectl(*edit, '{"status": {"approval": {"requires": "As somebody says it."}}}')
    forged = {"status": {"policy": {"approvalSha256": "0" * 64}}}
    refused = plane.kubectl(*edit, json.dumps(forged), check=False)
    assert "was copied when the question was asked, and never changes" in refused.err
    assert vote(root, request_id, "ann") == "recorded"
    settled = questions.until("asked", "Answered")["status"]
    assert settled["approval"]["requires"] == "1 person must give the same answer."


def test_a_question_waits_for_its_policy_beyond_a_restart_of_the_operator(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, questions = quiet_control_plane, Questions(quiet_control_plane, quiet_namespace)
    operator = OperatorProcess(plane, s3_backend, tmp_path, namespaces=quiet_namespace, lease="")
    operator.start()
    plane.apply(question(quiet_namespace, "early", policyRef={"name": "later"}))
    questions.until_condition("early", "Stalled", "PolicyNotFound")
    operator.terminate()

    operator.start()
    plane.apply(policy(questions, "later", requiredResponses=2, allowLinks=True))
    questions.until("early", "Pending")
    operator.terminate()


def test_a_policy_that_nobody_could_fulfil_here_is_said_to_be_none(questions: Questions) -> None:
    questions.plane.apply(policy(questions, "by-name", requiredResponses=2))
    questions.plane.apply(question(questions.namespace, "by-name", policyRef={"name": "by-name"}))
    found = questions.until_condition("by-name", "Stalled", "InvalidRequest")
    [why] = [each["message"] for each in found["status"]["conditions"] if each["type"] == "Stalled"]
    assert "this cluster cannot verify who votes: set allowLinks" in why
