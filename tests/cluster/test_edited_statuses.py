"""A status that somebody else wrote to, as by `kubectl edit --subresource=status`: it ends as storage has it."""

import json

import pytest

from tests.cluster.operators import OperatorProcess, Questions, Root

_FORGED = {"value": "7", "answeredBy": "eve", "comment": "not said", "commit": "abc", "verified": True}


@pytest.mark.parametrize("response", [{"value": "1"}, {"reject": True}])
def test_an_outcome_shows_nothing_that_somebody_else_wrote_while_it_was_pending(
    questions: Questions, root: Root, operator: OperatorProcess, response: dict[str, object]
) -> None:
    request_id = questions.ask("asked")
    forged = {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "HumanInput",
        "metadata": {"name": "asked", "namespace": questions.namespace},
        "status": _FORGED,
    }
    questions.plane.apply(forged, manager="somebody", subresource="status")
    questions.patch("asked", {"response": response})
    found = questions.until("asked", "Rejected" if "reject" in response else "Answered")
    # Nobody stamps names here.
    shown = {name: found["status"].get(name) for name in _FORGED}
    assert shown == {"value": response.get("value"), "verified": False} | dict.fromkeys(
        ("answeredBy", "comment", "commit")
    )
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert (outcome.value_text(), outcome.comment) == (response.get("value"), "")
    # It is as it should be, so nothing is written any more.
    writes = operator.metric("hitl_api_requests_total", verb="PATCH")
    questions.plane.kubectl("label", "hi", "asked", "-n", questions.namespace, "a=b")
    questions.ask("later")
    assert operator.metric("hitl_api_requests_total", verb="PATCH") == writes + 1


def _condition(kind: str) -> dict[str, str]:
    since = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": "True", "reason": "Forged", "message": "by eve", "lastTransitionTime": since}


@pytest.mark.parametrize("how", ["applied", "patched"])
def test_conditions_of_our_types_are_ours_and_others_are_left_to_their_writers(
    questions: Questions, operator: OperatorProcess, how: str
) -> None:
    plane, ours = questions.plane, {"Settled", "Ready", "Reconciling"}

    def forge(*kinds: str) -> None:
        conditions = [_condition(each) for each in (*kinds, "example.com/Checked")]
        content: dict[str, object] = {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": "asked", "namespace": questions.namespace},
        }
        if how == "applied":
            plane.apply(content | {"status": {"conditions": conditions}}, manager="somebody", subresource="status")
            return
        found = questions.get("asked")
        assert found is not None
        kept = [
            each for each in found["status"]["conditions"] if each["type"] not in (*kinds, conditions[-1]["type"])
        ]
        patch = json.dumps({"status": {"conditions": kept + conditions}})
        plane.kubectl(
            *(
                "patch",
                "hi",
                "asked",
                "-n",
                questions.namespace,
                "--subresource=status",
                "--type=merge",
                "-p",
                patch,
            )
        )

    def has(wanted: set[str]) -> bool:
        found = questions.get("asked")
        assert found is not None
        conditions = {each["type"]: each for each in found["status"]["conditions"]}
        assert conditions["example.com/Checked"] == _condition("example.com/Checked")
        return set(conditions) == {*wanted, "example.com/Checked"}

    questions.ask("asked")
    # A tool that waits for an answer would go on.
    forge("Answered", "OutcomeMissing")
    plane.until("only ours are there while it waits", lambda: has(ours), 30)
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    forge("Stalled", "OutcomeMissing")
    plane.until("only ours are there once it has ended", lambda: has({"Settled", "Answered", "Ready"}), 30)
    # It is as it should be, so nothing is written any more.
    writes = operator.metric("hitl_api_requests_total", verb="PATCH")
    plane.kubectl("label", "hi", "asked", "-n", questions.namespace, "a=b")
    questions.ask("later")
    assert operator.metric("hitl_api_requests_total", verb="PATCH") == writes + 1
