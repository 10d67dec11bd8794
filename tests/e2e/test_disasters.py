"""Pods die and a node is drained while people submit."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import httpx
import pytest

from tests.e2e.cluster import SYSTEM, TEAM, apply, kubectl, phase, token, wait_ready, web_app

pytestmark = pytest.mark.cluster


def _submit(base: str, request_id: str, link: str, value: int) -> int:
    """Submit as a script does that tries again when it is told to, or hears nothing."""
    body = {"request_id": request_id, "value": value, "token": link}
    headers = {"Idempotency-Key": f"{request_id}-{value}"}
    status = 503
    for _ in range(300):
        with suppress(httpx.HTTPError):
            status = httpx.post(f"{base}/submit/json", json=body, headers=headers, timeout=5).status_code
            if status != 503:
                return status
        time.sleep(0.2)
    return status


def _questions(count: int, prefix: str) -> list[tuple[str, str, str]]:
    contents = [
        {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": f"{prefix}-{number}", "namespace": TEAM},
            "spec": {"prompt": "How many?", "dataType": "int"},
        }
        for number in range(count)
    ]
    apply(*contents)
    return [
        (name, phase(name, "Pending")["status"]["requestID"], token(name))
        for name in (str(each["metadata"]["name"]) for each in contents)  # type: ignore[index]  # all dicts
    ]


def _kill(component: str) -> None:
    selector = f"app.kubernetes.io/component={component}"
    kubectl("delete", "pod", "-l", selector, "-n", SYSTEM, "--grace-period=0", "--force", "--wait=false")


def _drain() -> None:
    """Drain the web app's node, and let pods come back to it: there may be no other."""
    selector = "app.kubernetes.io/component=webapp"
    pods = json.loads(kubectl("get", "pod", "-l", selector, "-n", SYSTEM, "-o", "json").stdout)["items"]
    node = pods[0]["spec"]["nodeName"]
    try:
        kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    finally:
        kubectl("uncordon", node)


_DISASTERS: dict[str, Callable[[], None]] = {
    "the web app's pod is killed": partial(_kill, "webapp"),
    "the operator's pod is killed": partial(_kill, "operator"),
    "the storage's pod is killed": partial(_kill, "storage"),
    "the node is drained": _drain,
}


@pytest.mark.parametrize("disaster", _DISASTERS)
def test_while_a_hundred_people_submit_every_confirmed_answer_is_recorded_once(disaster: str) -> None:
    base = web_app()
    asked = _questions(20, disaster.replace("'s", "").replace(" ", "-"))
    with ThreadPoolExecutor(100) as pool:
        submitted = {
            name: [pool.submit(_submit, base, request_id, link, value) for value in range(5)]
            for name, request_id, link in asked
        }
        _DISASTERS[disaster]()
        statuses = {name: [each.result() for each in of_one] for name, of_one in submitted.items()}
    wait_ready()
    for name, of_one in statuses.items():
        assert sorted(of_one) == [200, 409, 409, 409, 409], (name, of_one)
        assert phase(name, "Answered")["status"]["value"] == str(of_one.index(200))
