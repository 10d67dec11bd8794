"""Writes at which the API server itself fails for one question, with a status of 500, while it takes others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question

WEBHOOKS = "validatingwebhookconfiguration"


class Failing:
    """An operator of one namespace, which takes a write for refused after seconds instead of minutes."""

    def __init__(self, plane: ControlPlane, namespace: str, backend: Backend, folder: Path) -> None:
        self.questions, self.root = Questions(plane, namespace), Root(backend)
        clock = folder / "clock"
        clock.write_text("0")
        self.operator = OperatorProcess(
            plane, backend, folder, module=("tests.soak.stepping",), namespaces=namespace, lease=""
        )
        self.operator.environment |= {"TEST_CLOCK": str(clock), "TEST_SLOW": "2"}
        self.operator.start()

    @property
    def refused(self) -> float:
        return self.operator.metric("hitl_refused_writes")

    def break_webhook(self, group: str, resource: str) -> None:
        """Have a webhook asked, in this namespace, at whose address nobody answers."""
        plane, namespace = self.questions.plane, self.questions.namespace
        rule = {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": [resource],
        }
        webhook = {
            "name": "gone.example.org",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }
        content = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [webhook],
        }
        plane.kubectl("create", "-f", "-", stdin=json.dumps(content))

    def mend_webhook(self) -> None:
        self.questions.plane.kubectl("delete", WEBHOOKS, self.questions.namespace)


@pytest.fixture
def failing(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path
) -> Iterator[Failing]:
    each = Failing(quiet_control_plane, quiet_namespace, s3_backend, tmp_path)
    yield each
    each.operator.terminate()
    quiet_control_plane.kubectl("delete", WEBHOOKS, quiet_namespace, "--ignore-not-found")


def test_a_question_goes_on_whose_secret_fails(failing: Failing) -> None:
    questions, plane = failing.questions, failing.questions.plane
    failing.break_webhook("", "secrets")
    probe = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "probe", "namespace": questions.namespace}}
    path = f"/api/v1/namespaces/{questions.namespace}/secrets?dryRun=All"
    plane.until("the webhook is asked", lambda: plane.request("POST", path, probe).code != 0)

    questions.ask("answered")
    questions.ask("linked")
    questions.plane.apply(question(questions.namespace, "unanswered", timeoutSeconds=1))
    questions.until("unanswered", "TimedOut")
    questions.patch("answered", {"response": {"value": "1"}})
    assert questions.until("answered", "Answered")["status"]["value"] == "1"
    found = questions.until_condition("linked", "LinkIssued", "SecretRefused")
    [told] = [each for each in found["status"]["conditions"] if each["type"] == "LinkIssued"]
    assert "failed calling webhook" in told["message"]
    plane.until("only what waits counts", lambda: failing.refused == 1)

    failing.mend_webhook()
    plane.until("the link", lambda: "linkSecret" in (questions.get("linked") or {})["status"])
    assert "LinkIssued" not in conditions(questions.get("linked"))
    plane.until("nothing is refused", lambda: failing.refused == 0)


def test_a_status_that_fails_is_told_by_an_event_and_written_once_it_can_be(failing: Failing) -> None:
    questions, plane = failing.questions, failing.questions.plane
    failing.break_webhook("hitl.flyte.org", "humaninputs/status")
    plane.until("the webhook is asked", lambda: _is_refused(plane, questions, "probe"))
    plane.apply(question(questions.namespace, "asked"))
    plane.until("the Event", lambda: "WriteRefused" in questions.events("asked"))
    assert failing.refused >= 1

    failing.mend_webhook()
    questions.until("asked", "Pending")
    plane.until("nothing is refused", lambda: failing.refused == 0)


def test_an_answer_that_etcd_does_not_take_beside_its_question_is_told(failing: Failing) -> None:
    questions, wide = failing.questions, "\N{GRINNING FACE}"
    spec = {
        "prompt": wide * 16_384,
        "dataType": "str",
        "proposed": wide * 65_536,
        "refused": [wide * 4_096] * 64,
    }
    request_id = questions.ask("large", **spec)
    failing.root.answer(request_id, wide * 65_536)
    found = questions.until_condition("large", "Stalled", "WriteRefused")
    [told] = [each for each in found["status"]["conditions"] if each["type"] == "Stalled"]
    assert "too large" in told["message"]
    assert found["status"]["linkSecret"]
    questions.plane.until("the Event", lambda: "WriteRefused" in questions.events("large"))


def _is_refused(plane: ControlPlane, questions: Questions, name: str) -> bool:
    """Tell whether a status of a HumanInput is refused, as a change of policy counts a moment later."""
    if questions.get(name) is None:
        plane.apply(question(questions.namespace, name))
    path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{questions.namespace}/humaninputs/{name}/status?dryRun=All"
    content = questions.get(name)
    assert content is not None
    return bool(plane.request("PUT", path, content).code != 0)
