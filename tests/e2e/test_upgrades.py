"""An upgrade, an uninstallation and another installation, with questions pending. The last tests to run."""

import json

import pytest

from tests.e2e.cluster import (
    CHART,
    RELEASE,
    SYSTEM,
    TEAM,
    ask,
    cluster,
    get,
    kubectl,
    phase,
    until,
    values,
    wait_ready,
)

pytestmark = pytest.mark.cluster


def test_nothing_is_lost_over_an_upgrade_and_over_an_uninstallation() -> None:
    before = ask("over-an-upgrade")
    ask("over-an-uninstallation")
    with cluster() as found:
        found.upgrade(CHART, RELEASE, values(operator={"annotations": {"upgraded": "yes"}}))
    wait_ready()
    patch = json.dumps({"spec": {"response": {"value": "7"}}})
    kubectl("patch", "hi", "over-an-upgrade", "-n", TEAM, "--type=merge", "-p", patch)
    after = phase("over-an-upgrade", "Answered")
    assert after["status"]["requestID"] == before["status"]["requestID"]
    with cluster() as found:
        found.uninstall(RELEASE)
    until("the operator is gone", lambda: get("deployment", f"{RELEASE}-operator", SYSTEM) is None)
    # What the operator brought up goes with it, and the questions stay.
    until("the web app is gone", lambda: get("deployment", f"{RELEASE}-webapp", SYSTEM) is None)
    assert (get("humaninput", "over-an-uninstallation") or {})["status"]["phase"] == "Pending"
    # An API server goes on enforcing the admission policies for a moment after they are deleted.
    answer = ("patch", "hi", "over-an-uninstallation", "-n", TEAM, "--type=merge", "-p", patch)
    until("the API server takes an answer", lambda: kubectl(*answer, check=False).returncode == 0)
    with cluster() as found:
        found.install(CHART, RELEASE, values())
    wait_ready()
    assert phase("over-an-uninstallation", "Answered")["status"]["value"] == "7"
    with cluster() as found:
        found.test(RELEASE)
