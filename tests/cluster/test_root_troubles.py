"""What is wrong with one root is that root's: the others go on as if nothing were."""

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
from tests.cluster.http_proxy import HttpProxy
from tests.cluster.operators import OperatorProcess, Questions, Root, response

_AT_ONCE = 40


class TwoTeams:
    """An operator with two roots, one of them behind a proxy."""

    def __init__(self, plane: ControlPlane, server: Seaweed, folder: Path) -> None:
        self.plane = plane
        self.proxy = HttpProxy(server.endpoint)
        self.well, self.ill = Questions(plane, "well"), Questions(plane, "ill")
        options = {"well": server.options, "ill": {**server.options, "endpoint": self.proxy.url}}
        roots = [
            {
                "name": name,
                "url": f"s3://{BUCKET}/{name}-{uuid.uuid4().hex}",
                "options": given,
                "namespaces": [name],
            }
            for name, given in options.items()
        ]
        # The storage of the one that is ill, without the proxy.
        self.behind = Backend("s3", str(roots[1]["url"]), server.options)
        for name in options:
            plane.kubectl("create", "namespace", name)
        self.operator = OperatorProcess(
            plane, Backend("s3", "", {}), folder, storage_root="", roots=json.dumps(roots), sweep_seconds="0.5"
        )

    def answer(self, name: str) -> None:
        """Answer a question of the root that is well, until its status shows that."""
        self.well.ask(name)
        self.well.patch(name, {"response": {"value": "1"}})
        self.well.until(name, "Answered")

    def readiness(self) -> str:
        """Return what the operator says of itself."""
        return httpx.get(f"{self.operator.url}/readyz").text


@pytest.fixture
def teams(own_control_plane: ControlPlane, s3_server: Seaweed, tmp_path: Path) -> Iterator[TwoTeams]:
    found = TwoTeams(own_control_plane, s3_server, tmp_path)
    yield found
    found.operator.kill()
    found.proxy.stop()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 503])
def test_storage_that_refuses_is_trouble_of_its_root_and_passes(teams: TwoTeams, code: int) -> None:
    teams.operator.start()
    teams.ill.ask("waits")
    teams.proxy.always(("status", code))
    teams.plane.until("it says so", lambda: "root ill: the storage" in teams.readiness())
    assert teams.readiness().startswith("ok; ")
    assert "root well" not in teams.readiness()
    teams.answer("meanwhile")
    assert httpx.get(f"{teams.operator.url}/healthz").is_success
    teams.plane.until("the metric", lambda: teams.operator.metric("hitl_root_trouble", root="ill") == 1)
    assert teams.operator.metric("hitl_root_trouble", root="well") == 0
    teams.ill.patch("waits", {"response": {"value": "2"}})
    teams.ill.until_condition("waits", "Reconciling", "StorageUnavailable")
    teams.proxy.always(None)
    teams.ill.until("waits", "Answered")
    teams.plane.until("it says so", lambda: teams.readiness() == "ok")
    assert teams.operator.terminate() == 0


def test_storage_that_only_refuses_to_be_written_says_so_and_is_read_on(teams: TwoTeams) -> None:
    teams.operator.start()
    for name in ("patched", "answered"):
        teams.ill.ask(name)
    request_id = teams.ill.ask("by-web-app")
    teams.proxy.rule = lambda method, path: ("status", 403) if method == "PUT" else None
    teams.ill.patch("patched", {"response": {"value": "2"}})
    teams.plane.apply(response("ill", "given", "answered", value="3"))
    teams.ill.until_condition("patched", "Reconciling", "StorageUnavailable")
    teams.ill.until_condition("given", "Accepted", "StorageUnavailable", "HumanInputResponse")
    teams.plane.until("it says so", lambda: "root ill: the storage refuses to be written" in teams.readiness())
    assert teams.operator.metric("hitl_root_trouble", root="ill", reason="unsuitable") == 1
    # The web app has rights of its own.
    Root(teams.behind).answer(request_id, 4)
    teams.ill.until("by-web-app", "Answered")
    teams.proxy.always(None)
    for name in ("patched", "answered"):
        teams.ill.until(name, "Answered")
    teams.plane.until("it says so", lambda: teams.readiness() == "ok")
    assert teams.operator.metric("hitl_root_trouble", root="ill") == 0
    assert teams.operator.terminate() == 0


def test_storage_that_refuses_from_the_start_holds_up_no_other_root(teams: TwoTeams) -> None:
    teams.proxy.always(("status", 403))
    teams.operator.start()
    teams.answer("asked")
    teams.proxy.always(None)
    teams.ill.ask("asked")
    assert teams.operator.terminate() == 0


@pytest.mark.parametrize("fault", [("delay", 4.0), ("hang", 0)])
def test_storage_that_is_slow_holds_up_no_other_root(teams: TwoTeams, fault: tuple[str, float]) -> None:
    teams.operator.start()
    for number in range(_AT_ONCE):
        teams.plane.apply(
            {
                "apiVersion": "hitl.flyte.org/v1alpha1",
                "kind": "HumanInput",
                "metadata": {"name": f"slow-{number}", "namespace": "ill"},
                "spec": {"prompt": "?", "dataType": "int"},
            }
        )
    teams.plane.until("all wait", lambda: teams.operator.metric("hitl_pending") == _AT_ONCE)
    teams.proxy.always(fault)
    for number in range(_AT_ONCE):
        path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/ill/humaninputs/slow-{number}"
        patch = {"spec": {"response": {"value": "1"}}}
        assert teams.plane.request("PATCH", path, patch, "merge-patch+json").code == 0
    # Without a queue of its own it waited until each of the 40 had its turn.
    teams.answer("meanwhile")
    assert any((teams.ill.get(f"slow-{each}") or {})["status"]["phase"] == "Pending" for each in range(_AT_ONCE))
    assert httpx.get(f"{teams.operator.url}/healthz").is_success
    teams.proxy.always(None)
    for number in range(_AT_ONCE):
        teams.ill.until(f"slow-{number}", "Answered")
    assert teams.operator.terminate() == 0


def test_storage_that_does_not_create_exclusively_ends_its_root_alone(
    own_control_plane: ControlPlane, s3_server: Seaweed, tmp_path: Path
) -> None:
    plane = own_control_plane
    for name in ("well", "ill"):
        plane.kubectl("create", "namespace", name)
    roots = [
        {"name": "well", "url": f"s3://{BUCKET}/well-{uuid.uuid4().hex}", "options": s3_server.options},
        {"name": "ill", "url": f"s3://{BUCKET}/ill-{uuid.uuid4().hex}", "options": s3_server.options},
    ]
    content = json.dumps([{**each, "namespaces": [each["name"]]} for each in roots])
    operator = OperatorProcess(
        plane,
        Backend("s3", "", {}),
        tmp_path,
        module=("tests.cluster.overwriting", "ill"),
        storage_root="",
        roots=content,
    )
    operator.start()
    Questions(plane, "well").ask("asked")
    plane.until("it says so", lambda: "does not create objects exclusively" in operator.said())
    plane.until("the metric too", lambda: operator.metric("hitl_root_trouble", reason="unsuitable") == 1)
    plane.apply(
        {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": "asked", "namespace": "ill"},
            "spec": {"prompt": "?", "dataType": "int", "response": {"value": "1"}},
        }
    )
    time.sleep(10)
    found = Questions(plane, "ill").get("asked")
    assert found is not None
    assert found["status"].get("phase") in (None, "Pending")
    assert "root ill: the storage cannot hold outcomes" in httpx.get(f"{operator.url}/readyz").text
    assert operator.said().count("does not create objects exclusively") < 5
    assert operator.terminate() == 0
