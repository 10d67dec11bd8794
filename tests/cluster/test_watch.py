"""The watch never ends for good, and one namespace's trouble is that namespace's."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import Fault, HttpProxy
from tests.cluster.operators import OperatorProcess, Questions

# All of them in turn take longer than kopf's back-offs, which end after 54 s.
FAULTS: list[Fault] = [
    ("status", 503),
    ("status", 500),
    ("status", 403),
    ("status", 401),
    ("status", 404),
    ("status", 429),
    ("status", 410),
    ("body", b"<html>maintenance</html>"),
    ("cut", 0),
    ("hang", 0),
]
EACH_SECONDS = 7


class Watched:
    """An operator for one namespace, which reaches the API server through a proxy of its own."""

    def __init__(self, plane: ControlPlane, server: Seaweed, folder: Path, root: str) -> None:
        self.proxy = HttpProxy(plane.url, plane.tls())
        self.questions = Questions(plane, "here")
        self.operator = OperatorProcess(
            plane,
            Backend("s3", f"s3://{BUCKET}/{root}", server.options),
            folder,
            kubeconfig=self.proxy.kubeconfig(folder),
            lease="",
            namespaces="here",
        )


@pytest.fixture
def watched(own_control_plane: ControlPlane, s3_server: Seaweed, tmp_path: Path) -> Iterator[Watched]:
    own_control_plane.kubectl("create", "namespace", "here")
    each = Watched(own_control_plane, s3_server, tmp_path, f"root-{uuid.uuid4().hex}")
    each.operator.start()
    yield each
    each.operator.kill()
    each.proxy.stop()


def test_whatever_the_api_server_says_for_a_minute_the_operator_sees_again_what_happens(watched: Watched) -> None:
    questions, operator = watched.questions, watched.operator
    questions.ask("before")
    for fault in FAULTS:
        watched.proxy.always(fault)
        time.sleep(EACH_SECONDS)
    plane = questions.plane
    plane.until("it says so", lambda: httpx.get(f"{operator.url}/readyz").status_code == 503)
    assert "not seen: HumanInput in here" in httpx.get(f"{operator.url}/readyz").text
    plane.until("the metric says so", lambda: operator.metric("hitl_unseen_watches") == 3)
    assert httpx.get(f"{operator.url}/healthz").is_success, "a restart would not help"
    watched.proxy.always(None)
    questions.patch("before", {"response": {"value": "1"}})
    questions.until("before", "Answered")
    questions.ask("after")
    # The watches of other kinds have pauses of their own.
    plane.until("all is seen", lambda: httpx.get(f"{operator.url}/readyz").text == "ok")
    assert "Traceback" not in operator.said()
    assert operator.terminate() == 0


def _grant(plane: ControlPlane, namespace: str, user: str) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "operator", "namespace": namespace},
        "rules": [
            {"apiGroups": ["hitl.flyte.org"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["events", "secrets"], "verbs": ["create", "patch"]},
        ],
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    plane.kubectl("create", "rolebinding", "operator", "-n", namespace, "--role=operator", f"--user={user}")


def test_a_namespace_without_rights_troubles_no_other_and_is_seen_once_it_has_them(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = own_control_plane
    for namespace in ("good", "bad"):
        plane.kubectl("create", "namespace", namespace)
    good, bad = Questions(plane, "good"), Questions(plane, "bad")
    _grant(plane, "good", "somebody")
    operator = OperatorProcess(
        plane, s3_backend, tmp_path, kubeconfig=plane.user("somebody"), lease="", namespaces="good,bad"
    )
    operator.start()
    good.ask("early")
    plane.until("the metric says so", lambda: operator.metric("hitl_unseen_watches") == 3)
    probe = httpx.get(f"{operator.url}/readyz")
    assert (probe.status_code, probe.text[:4]) == (200, "ok; ")
    assert "not seen: HumanInput in bad: " in probe.text
    assert "not seen: HumanInputResponse in bad: " in probe.text
    assert "in good" not in probe.text
    time.sleep(20)
    good.patch("early", {"response": {"value": "1"}})
    good.until("early", "Answered")
    _grant(plane, "bad", "somebody")
    bad.ask("late")
    plane.until("all is seen", lambda: httpx.get(f"{operator.url}/readyz").text == "ok")
    # Taken away again, it is told again, and the other one is still served.
    plane.kubectl("delete", "rolebinding", "operator", "-n", "bad")
    plane.kubectl("delete", "role", "operator", "-n", "bad")
    good.ask("later")
    # The API server asks for the rights when a watch begins.
    plane.stop_api()
    plane.start_api()
    plane.until("it says so", lambda: "not seen: HumanInput in bad: " in httpx.get(f"{operator.url}/readyz").text)
    bad.patch("late", {"response": {"value": "2"}})
    assert operator.said().count("in bad: ") < 20
    # Given back, what happened meanwhile is found.
    _grant(plane, "bad", "somebody")
    bad.until("late", "Answered")
    plane.until("all is seen", lambda: httpx.get(f"{operator.url}/readyz").text == "ok")
    assert operator.terminate() == 0


def test_what_was_deleted_while_nobody_watched_is_found_when_the_watch_begins_anew(watched: Watched) -> None:
    plane, operator = watched.questions.plane, watched.operator
    watched.questions.ask("stays")
    watched.questions.ask("goes")
    plane.until("both count", lambda: operator.metric("hitl_pending") == 2)
    watched.proxy.always(("status", 503))
    plane.delete("here", "HumanInput", "goes")
    plane.compact()
    watched.proxy.always(None)
    plane.until("the ghost is gone", lambda: operator.metric("hitl_pending") == 1)
