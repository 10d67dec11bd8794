"""The operator tells NotificationTargets: real webhooks, a real API server, and an operator that is killed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Object, OperatorProcess, Questions, Root, conditions, question
from tests.library.receiver import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks in a thread of its own."""
    found: list[Receiver] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with receiving() as receiver:
            found.append(receiver)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def target(namespace: str, name: str = "ops", **spec: Any) -> Object:
    return {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "NotificationTarget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "webhook", "secretRef": {"name": "hook"}, **spec},
    }


def secret(namespace: str, **data: str) -> Object:
    metadata = {"name": "hook", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """What came: the event, and the name of its question."""
    events = [receiver.verified(number) for number in range(len(receiver.bodies))]
    return [(each["type"].rpartition(".")[2], each["data"]["event_name"]) for each in events]


@contextmanager
def running(operator: OperatorProcess) -> Iterator[None]:
    operator.start()
    try:
        yield
    finally:
        operator.kill()


def test_a_target_is_told_and_its_status_says_what_is_wrong(
    quiet_control_plane: ControlPlane,
    quiet_namespace: str,
    s3_backend: Backend,
    tmp_path: Path,
    receiver: Receiver,
) -> None:
    plane, namespace = quiet_control_plane, quiet_namespace
    questions = Questions(plane, namespace)
    operator = OperatorProcess(plane, s3_backend, tmp_path, namespaces=namespace, lease="", notify_private="allow")

    def until(kind: str, reason: str) -> str:
        found = questions.until_condition("ops", kind, reason, "NotificationTarget")
        return str(next(each["message"] for each in found["status"]["conditions"] if each["type"] == kind))

    # Not of those that the selector does not fit, nor of another namespace's.
    selector = {"matchExpressions": [{"key": "quiet", "operator": "DoesNotExist"}]}
    plane.apply(target(namespace, selector=selector))
    unwanted = question(namespace, "unwanted")
    unwanted["metadata"]["labels"] = {"quiet": "yes"}
    with running(operator):
        plane.apply(unwanted)
        assert "no Secret hook" in until("Ready", "SecretMissing")
        request_id = questions.ask("first")
        plane.apply(secret(namespace, url=receiver.url, key="x"))
        plane.apply(target(namespace, selector=selector, rateLimit={"perMinute": 600}))
        assert "has the key 'key'" in until("Ready", "Invalid")
        plane.kubectl("delete", "secret", "hook", "-n", namespace)
        plane.apply(secret(namespace, url=receiver.url, secrets=SECRET))
        plane.apply(target(namespace, selector=selector, rateLimit={"perMinute": 300}))
        until("Ready", "Usable")
        plane.until("it is told", lambda: told(receiver) == [("asked", "first")])
        until("Delivering", "Delivered")

    # What is settled while nobody runs is told afterwards, and nothing twice.
    Root(s3_backend).answer(request_id, 7)
    with running(operator):
        plane.until("the end is told", lambda: len(told(receiver)) == 2)
        questions.ask("second")
        plane.until("it is told", lambda: len(told(receiver)) == 3)
        plane.kubectl("delete", "hi", "second", "-n", namespace)
        plane.until("the withdrawal is told", lambda: len(told(receiver)) == 4)
        receiver.replies = [b"HTTP/1.1 410 Gone\r\n\r\n"]
        questions.ask("third")
        assert "it answered 410" in until("Delivering", "GivenUp")
        assert operator.metric("hitl_notices_total", target=f"{namespace}/ops", result="given_up") == 1
        questions.until_condition("third", "Told", "NoticeGivenUp")
    assert told(receiver) == [
        ("asked", "first"),
        ("settled", "first"),
        ("asked", "second"),
        ("settled", "second"),
        ("asked", "third"),
    ]
    assert SECRET not in operator.said()
    assert "of-the-hook" not in operator.said()
    assert conditions(plane.get(namespace, "NotificationTarget", "ops"))["Ready"] == ("True", "Usable")


def test_the_command_tries_a_target_with_the_rights_of_who_runs_it(
    control_plane: ControlPlane, namespace: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_NOTIFY_PRIVATE", "allow")

    def notify(*arguments: str) -> Result:
        kubeconfig = str(control_plane.kubeconfig)
        return CliRunner().invoke(app, ["notify", "test", *arguments, "-n", namespace, "--kubeconfig", kubeconfig])

    control_plane.apply(target(namespace))
    missing = notify("ops")
    assert (missing.exit_code, "no Secret hook" in missing.stderr) == (2, True)
    control_plane.apply(secret(namespace, url=receiver.url, secrets=SECRET))
    done = notify()
    assert (done.exit_code, done.stdout.splitlines()[1].split()) == (0, ["ops", "delivered"])
    assert receiver.verified(0)["type"] == "org.flyte.hitl.question.test"
    receiver.replies = [b"HTTP/1.1 403 No\r\n\r\n"]
    refused = notify("ops")
    assert (refused.exit_code, "it answered 403" in refused.stdout) == (1, True)
    unknown = notify("other")
    assert "has no NotificationTarget other" in unknown.stderr


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"secretRef": None}, "a webhook needs a URL"),
        ({"events": []}, "events"),
        ({"digest": {"above": 0}}, "above"),
        ({"quietHours": {"timeZone": "UTC", "start": "7", "end": "08:00"}}, "start"),
    ],
)
def test_what_cannot_work_is_refused_by_the_api_server(
    control_plane: ControlPlane, namespace: str, spec: dict[str, Any], why: str
) -> None:
    path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{namespace}/notificationtargets"
    refused = control_plane.request("POST", path, target(namespace, **spec))
    assert (refused.code != 0, why in refused.err + refused.out) == (True, True)
    long = control_plane.request("POST", path, target(namespace, "n" * 40))
    assert "at most 39" in long.err + long.out
