"""A status that somebody else wrote to, as by `kubectl edit --subresource=status`: it ends as storage has it."""

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
