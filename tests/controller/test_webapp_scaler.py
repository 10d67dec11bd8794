"""What is wrong with the web app of one root is that root's trouble. The API server is a fake, which takes all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hitl_operator import metrics
from hitl_operator.webapp_scaler import WebApps

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
