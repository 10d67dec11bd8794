"""What is wrong with the web app of one root is that root's trouble. The API server is a fake, which takes all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hitl.errors import ClusterUnavailable
from hitl_operator import metrics
from hitl_operator.webapp_scaler import WebApps
from tests.library.samples import NOW

_RIGHT = "apiVersion: v1\nkind: Service\nmetadata: {name: right}\n"
_SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: wrong}\nspec: "


class _Kube:
    """A fake API server: it takes whatever is applied, and stumbles over what has one name."""

    def __init__(self, stumbles_at: str = "") -> None:
        self.applied: list[str] = []
        self._stumbles_at = stumbles_at

    async def apply(self, _: Any, content: Mapping[str, Any], **__: Any) -> None:
        name = content["metadata"]["name"]
        if name == self._stumbles_at:
            raise KeyError("a fault of ours")
        self.applied.append(name)


def _web_apps(kube: Any, folder: Path, wrong: str) -> WebApps:
    (folder / "wrong.yaml").write_text(wrong)
    (folder / "right.yaml").write_text(_RIGHT)
    return WebApps(kube, folder, "system", "", 60)


def _trouble(root: str) -> float | None:
    return metrics.REGISTRY.get_sample_value("hitl_webapp_trouble", {"root": root})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: wrong}\n", "spec"),
        (_SERVICE + "[" * 3000, "no YAML"),
        (_SERVICE + "{at: !!timestamp abc}\n", "no YAML"),
        (_SERVICE + "{size: !!int ''}\n", "no YAML"),
        (_SERVICE + "{data: !!binary gIGC}\n", "cannot be sent as JSON"),
        (_SERVICE + "&a {x: *a}\n", "cannot be sent as JSON"),
    ],
)
async def test_a_template_that_nobody_can_send_is_told_and_ends_no_other_root(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, template: str, said: str
) -> None:
    kube = _Kube()
    web_apps = _web_apps(kube, tmp_path, template)
    await web_apps.tend({"wrong": 1, "right": 1})
    await web_apps.tend({"wrong": 1, "right": 1})
    assert kube.applied == ["right"]
    assert (_trouble("wrong"), _trouble("right")) == (1, 0)
    [message] = [each.getMessage() for each in caplog.records if "root wrong" in each.getMessage()]
    assert said in message


async def test_a_fault_of_ours_with_one_root_ends_no_other_and_is_tried_again_slowly(tmp_path: Path) -> None:
    kube = _Kube("wrong")
    web_apps = _web_apps(kube, tmp_path, _SERVICE + "{}\n")
    for _ in range(2):
        await web_apps.tend({"wrong": 1, "right": 1})
    assert (kube.applied, _trouble("wrong")) == (["right"], 1)
    kube._stumbles_at = ""
    web_apps.look_again()
    await web_apps.tend({"wrong": 1, "right": 1})
    assert sorted(kube.applied) == ["right", "right", "wrong"]
    assert _trouble("wrong") == 0


_DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: forms}\nspec: {replicas: 2}\n"


class _Deployment:
    """A fake API server with the web app's Deployment, and its clock."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.away = False
        self.now = NOW

    async def get(self, *_: Any) -> dict[str, Any]:
        return {"spec": {"replicas": self.replicas}}

    async def apply(self, _: Any, content: Mapping[str, Any], **__: Any) -> None:
        if self.away:
            raise ClusterUnavailable("the API server cannot be reached")
        self.replicas = content["spec"]["replicas"]

    def read_clock(self) -> datetime:
        return self.now

    def web_apps(self, folder: Path) -> WebApps:
        (folder / "default.yaml").write_text(_DEPLOYMENT)
        return WebApps(self, folder, "system", "", 60, self.read_clock)  # type: ignore[arg-type]

    async def tend(self, web_apps: WebApps, pending: int, seconds: float) -> None:
        """Tend to it every five seconds, as the operator does."""
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            await web_apps.tend({"default": pending})
            self.now += timedelta(seconds=5)


async def test_what_could_not_be_scaled_to_zero_in_time_is_scaled_later(tmp_path: Path) -> None:
    server = _Deployment(replicas=2)
    web_apps = server.web_apps(tmp_path)
    await server.tend(web_apps, 0, 30)
    server.away = True
    # An outage during which everything was to be applied again, and the web app to be scaled to zero.
    web_apps.look_again()
    await server.tend(web_apps, 0, 60)
    server.away = False
    await server.tend(web_apps, 0, 30)
    assert server.replicas == 0


@pytest.mark.parametrize(("pending", "replicas"), [(1, 2), (0, 2)])
async def test_what_another_operator_did_meanwhile_counts(tmp_path: Path, pending: int, replicas: int) -> None:
    server = _Deployment(replicas=0)
    web_apps = server.web_apps(tmp_path)
    await server.tend(web_apps, 1, 10)
    await server.tend(web_apps, 0, 30)
    # Another one tends to it for minutes: it scales it to zero, or a question came and was answered just now.
    server.now += timedelta(minutes=10)
    server.replicas = 0 if pending else 2
    await server.tend(web_apps, pending, 10)
    assert server.replicas == replicas
