"""What Git holds, applied by those who apply from Git: nothing drifts, nothing loops, an answer is an answer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cel
import lupa
import pytest
import yaml

from tests.cluster.guide import manifests, snippet
from tests.cluster.operators import Object, Questions, Root, conditions, question, response
from tests.docs.commands import run_block


def _kstatus(content: Object) -> str:
    """Return what kstatus makes of an object, by its rules for objects that it does not know.

    https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
    """
    status = content.get("status", {})
    if content["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", content["metadata"]["generation"]) != content["metadata"]["generation"]:
        return "InProgress"
    found = {kind: state for kind, (state, _) in conditions(content).items()}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    if found.get("Ready") in ("False", "Unknown"):
        return "InProgress"
    return "Current"


def _apply(questions: Questions, content: Object, manager: str = "kustomize-controller") -> Object:
    done = questions.plane.apply(content, manager)
    found: Object = json.loads(done.out)
    return found


def test_the_guides_question_is_answered_and_its_commands_say_so(questions: Questions) -> None:
    for each in yaml.safe_load_all(snippet("yaml")):
        each["metadata"]["namespace"] = questions.namespace
        questions.plane.apply(each, "kustomize-controller")
    questions.until_condition("ship-it-yes", "Accepted", "Accepted", "HumanInputResponse")
    here = {"payments": questions.namespace}
    there = questions.plane.environment()

    listed = run_block("docs/gitops.md", "kubectl get hir", here, **there)
    waited = run_block("docs/gitops.md", "kubectl wait", here, **there)

    assert [line.split()[:4] for line in listed.splitlines()] == [
        ["NAME", "QUESTION", "VALUE", "ACCEPTED"],
        ["ship-it-yes", "ship-it", "true", "Accepted"],
    ]
    assert waited == "humaninput.hitl.flyte.org/ship-it condition met\n"


def test_the_guides_question_with_several_parts_says_what_was_edited(questions: Questions, root: Root) -> None:
    for each in manifests("parts"):
        each["metadata"]["namespace"] = questions.namespace
        questions.plane.apply(each, "kustomize-controller")

    status = questions.until("rollout", "Answered")["status"]
    assert status["edited"] == [{"path": "/replicas", "proposed": "3", "answered": "5"}]
    assert status["answeredVia"] == "gitops"
    questions.until("region", "Pending")
    refused = response(questions.namespace, "elsewhere", "region", value="Frankfurt")
    questions.plane.apply(refused)
    questions.until_condition("elsewhere", "Accepted", "Invalid", "HumanInputResponse")
    questions.patch("region", {"response": {"value": "eu-1"}})
    outcome = root.outcome(questions.until("region", "Answered")["status"]["requestID"])
    assert outcome is not None
    assert outcome.value == "eu-1"


def test_an_answer_committed_to_the_question_is_recorded_with_its_commit(questions: Questions, root: Root) -> None:
    content = question(questions.namespace, "asked")
    _apply(questions, content)
    request_id = questions.until("asked", "Pending")["status"]["requestID"]
    content["spec"]["response"] = {"value": "42", "comment": "as agreed"}
    content["metadata"]["annotations"] = {"hitl.flyte.org/commit": "4f1d2ab"}
    _apply(questions, content)
    status = questions.until("asked", "Answered")["status"]
    assert (status["answeredVia"], status["commit"]) == ("gitops", "4f1d2ab")
    [told] = [each["message"] for each in status["conditions"] if each["type"] == "Answered"]
    assert "via gitops (commit 4f1d2ab)" in told
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert (outcome.value, outcome.respondent.commit) == (42, "4f1d2ab")
    stored = {"HITL_STORAGE_ROOT": root.backend.url, "HITL_STORAGE_OPTIONS": json.dumps(root.backend.options)}
    in_cluster = {"KUBECONFIG": str(questions.plane.kubeconfig)}
    for command, environment in (
        (["hitl", "show", request_id], stored),
        (["kubectl-hitl", "show", "asked", "-n", questions.namespace], in_cluster),
    ):
        shown = subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert re.search(r"(?m)^Commit: +4f1d2ab$", shown.stdout), shown


def test_a_pipeline_that_calls_kubectl_is_told_from_a_person_by_its_commit(
    questions: Questions, root: Root
) -> None:
    content = question(questions.namespace, "asked")
    content["metadata"]["annotations"] = {"hitl.flyte.org/commit": "4f1d2ab"}
    questions.plane.kubectl("apply", "-f", "-", stdin=json.dumps(content))
    by_hand = questions.until("asked", "Pending")["status"]["requestID"]
    # The commit is that of the question: whoever answers by hand has none.
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    given = response(questions.namespace, "given", "second", value="2")
    given["metadata"]["annotations"] = {"hitl.flyte.org/commit": "5e2a1bc"}
    by_pipeline = questions.ask("second")
    questions.plane.kubectl("apply", "-f", "-", stdin=json.dumps(given))
    questions.until("second", "Answered")
    said = [
        (outcome.respondent.via, outcome.respondent.commit)
        for request_id in (by_hand, by_pipeline)
        if (outcome := root.outcome(request_id)) is not None
    ]
    assert said == [("kubectl", ""), ("kubectl", "5e2a1bc")]


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller", "my-own-pipeline"])
def test_nothing_drifts_and_nothing_loops_over_fifty_rounds_with_an_answer_in_the_middle(
    questions: Questions, manager: str
) -> None:
    content = question(questions.namespace, "asked", default="1", choices=["1", "2"])
    versions = set()
    for round_ in range(50):
        found = _apply(questions, content, manager)
        if round_ == 5:
            questions.until("asked", "Pending")
        if round_ == 25:
            questions.patch("asked", {"response": {"value": "2"}})
            questions.until("asked", "Answered")
        if round_ > 30:
            versions.add(found["metadata"]["resourceVersion"])
        for field, value in content["spec"].items():
            assert found["spec"][field] == value
    assert len(versions) == 1, "applying it changed it, or the operator went on writing"
    assert questions.until("asked", "Answered")["status"]["value"] == "2"


def test_replace_or_a_client_side_apply_of_the_same_manifest_after_the_answer_changes_nothing(
    questions: Questions,
) -> None:
    content = question(questions.namespace, "asked")
    text = json.dumps(content)
    questions.plane.kubectl("apply", "-f", "-", stdin=text)
    questions.until("asked", "Pending")
    questions.patch("asked", {"response": {"value": "42"}})
    answered = questions.until("asked", "Answered")
    questions.plane.kubectl("apply", "-f", "-", stdin=text)
    questions.plane.kubectl("replace", "-f", "-", stdin=text)
    # The response is gone with the replacement, and the outcome stands.
    questions.plane.until("it was seen", lambda: _kstatus(questions.get("asked") or {}) == "Current")
    after = questions.get("asked")
    assert after is not None
    changing = ("observedGeneration", "conditions")
    assert {k: v for k, v in after["status"].items() if k not in changing} == {
        k: v for k, v in answered["status"].items() if k not in changing
    }


def test_the_commit_that_answered_is_reverted_and_made_again(questions: Questions, root: Root) -> None:
    content = question(questions.namespace, "asked")
    _apply(questions, content)
    request_id = questions.until("asked", "Pending")["status"]["requestID"]
    with_answer = {**content, "spec": {**content["spec"], "response": {"value": "42"}}}
    _apply(questions, with_answer)
    questions.until("asked", "Answered")
    first = root.outcome(request_id)
    assert "response" not in _apply(questions, content)["spec"]
    _apply(questions, with_answer)
    questions.plane.until("it was seen", lambda: _kstatus(questions.get("asked") or {}) == "Current")
    assert root.outcome(request_id) == first
    assert questions.until("asked", "Answered")["status"]["value"] == "42"


def test_a_late_humaninputresponse_never_fails_a_sync_and_pruning_it_deletes_nothing_else(
    questions: Questions, root: Root
) -> None:
    request_id = questions.ask("asked")
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    _apply(questions, response(questions.namespace, "late", "asked", value="2"))
    late = questions.until_condition("late", "Accepted", "Superseded", "HumanInputResponse")
    assert _kstatus(late) == "Current"
    questions.plane.delete(questions.namespace, "HumanInputResponse", "late")
    assert questions.until("asked", "Answered")["status"]["value"] == "1"
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert outcome.value == 1


def _lives(questions: Questions) -> dict[str, Object]:
    """Lead one question to each of the ends that GitOps tools tell apart."""
    new = _apply(questions, question(questions.namespace, "new"))
    for name, given in (("pending", None), ("answered", {"value": "1"}), ("rejected", {"reject": True})):
        questions.ask(name)
        if given:
            questions.patch(name, {"response": given})
    _apply(questions, question(questions.namespace, "broken", schema={"type": "no-such-type"}))
    return {
        "new": new,
        "pending": questions.until("pending", "Pending"),
        "answered": questions.until("answered", "Answered"),
        "rejected": questions.until("rejected", "Rejected"),
        "broken": questions.until_condition("broken", "Stalled", "InvalidRequest"),
    }


def test_the_health_of_each_state_is_what_kstatus_argo_cd_and_flux_say(questions: Questions) -> None:
    lives = _lives(questions)
    assert {name: _kstatus(content) for name, content in lives.items()} == {
        "new": "InProgress",
        "pending": "InProgress",
        "answered": "Current",
        "rejected": "Failed",
        "broken": "Failed",
    }
    assert {name: _argo_cd(content) for name, content in lives.items()} == {
        "new": "Progressing",
        "pending": "Suspended",
        "answered": "Healthy",
        "rejected": "Degraded",
        "broken": "Degraded",
    }
    assert {name: _flux(content) for name, content in lives.items()} == {
        "new": "InProgress",
        "pending": "InProgress",
        "answered": "Current",
        "rejected": "Failed",
        "broken": "Failed",
    }


def test_the_health_check_of_argo_cd_copes_with_an_object_that_nobody_has_looked_at_yet() -> None:
    new = question("anywhere", "new")
    assert _argo_cd({**new, "metadata": {**new["metadata"], "generation": 1}}) == "Progressing"


def _argo_cd(content: Object) -> str:
    """Run the guide's Lua, as Argo CD does."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(content, recursive=True)
    health: Any = lua.execute(snippet("lua"))
    assert health["message"]
    return str(health["status"])


def _flux(content: Object) -> str:
    """Evaluate the guide's expressions as Flux does: in this order, once the status is about this generation."""
    if content["status"]["observedGeneration"] != content["metadata"]["generation"]:
        return "InProgress"
    [kustomization] = manifests("flux")
    [check] = kustomization["spec"]["healthCheckExprs"]
    assert (check["apiVersion"], check["kind"]) == (content["apiVersion"], content["kind"])
    for result in ("inProgress", "failed", "current"):
        if cel.evaluate(check[result], {"status": content["status"], "metadata": content["metadata"]}):
            return result[0].upper() + result[1:]
    return "Unknown"
