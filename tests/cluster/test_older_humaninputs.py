"""HumanInputs of earlier releases, with the root behind them, are served by this release's operator."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question
from tests.fixtures.older import ALL, Older

NAMESPACE = "team"
FIELDS = ("request_id", "submission_id", "attempt", "name", "verified", "via", "result")
API = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{NAMESPACE}"

# Answers to what was asked in the cluster, by name.
_HERE = {
    "open-int": "5",
    "open-float": "0.25",
    "open-bool": "true",
    "open-str": "us",
    "open-json": '{"a":1}',
}
# Answers to what was asked through storage, by the question's key.
_STORED: dict[str, Any] = {
    "int": 9,
    "float": 2.5,
    "bool": True,
    "str": "us",
    "text": "2026-11-26",
    "json": {"a": 1},
    "list": [1, 2],
    "dict": {"x": 1.5},
    "null": None,
    "whole-list": [1, "a"],
    "named": 4,
    "waited": 2,
}


@pytest.fixture(scope="module", params=ALL, ids=lambda each: str(each.name))
def older(request: pytest.FixtureRequest) -> Older:
    """One release's. Its tests share what is below, and answer questions of their own."""
    found: Older = request.param
    return found


@pytest.fixture(scope="module")
def held(older: Older) -> list[Any]:
    """What the API server held before."""
    return older.in_cluster()


@pytest.fixture(scope="module")
def upgraded(held: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Questions]:
    """What the API server holds after the custom resource definitions were upgraded; no operator runs yet."""
    plane = ControlPlane(tmp_path_factory.mktemp("older-plane"))
    plane.start()
    plane.install_crds()
    named = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert plane.request("POST", "/api/v1/namespaces", named).code == 0
    for each in held:
        plane.restore(each)
    yield Questions(plane, NAMESPACE)
    plane.stop()


@pytest.fixture(scope="module")
def root(older: Older, tmp_path_factory: pytest.TempPathFactory) -> Root:
    return Root(Backend("file", older.copied(tmp_path_factory.mktemp("older") / "root").as_uri()))


@pytest.fixture(scope="module")
def operator(
    upgraded: Questions, root: Root, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    process = OperatorProcess(upgraded.plane, root.backend, tmp_path_factory.mktemp("older-operator"))
    process.start()
    yield process
    process.terminate()


def test_the_api_server_takes_each_of_them_as_it_is_and_as_a_new_one(upgraded: Questions, held: list[Any]) -> None:
    for before in held:
        kind, name = before["kind"], before["metadata"]["name"]
        path = f"{API}/{kind.lower()}s"
        now = upgraded.plane.get(NAMESPACE, kind, name)
        assert now is not None
        assert (now["spec"], now["status"]) == (before["spec"], before["status"])

        again = upgraded.plane.request("PUT", f"{path}/{name}?dryRun=All", now)
        status = upgraded.plane.request("PUT", f"{path}/{name}/status?dryRun=All", now)
        new = {**before, "metadata": {"name": f"new-{name}"[:63].strip("-"), "namespace": NAMESPACE}}
        created = upgraded.plane.request("POST", f"{path}?dryRun=All&fieldManager=hitl-operator", new)

        assert [done.err for done in (again, status, created)] == ["", "", ""], name


def test_the_operator_goes_on_where_the_one_before_it_stopped(
    upgraded: Questions, operator: OperatorProcess, root: Root, older: Older, held: list[Any]
) -> None:
    inputs = {each["metadata"]["name"]: each for each in held if each["kind"] == "HumanInput"}
    # Told of by markers that nobody swept: an answer, and a question without a HumanInput.
    answered, asked = older.asked_under("answered-last"), older.asked_under("asked-last")
    assert upgraded.until(answered, "Answered")["status"]["value"] == "8"
    assert upgraded.until(asked, "Pending")["spec"]["request"]["id"] == asked
    stored = {older.asked_under(key): value for key, value in _STORED.items() if key in older.programs_keys()}
    assert stored.keys() < inputs.keys()

    for name, value in _HERE.items():
        upgraded.patch(name, {"response": {"value": value}})
    for name, value in stored.items():
        root.answer(name, value)

    for name, value in _HERE.items():
        settled = upgraded.until(name, "Answered")
        assert (settled["status"]["value"], settled["status"]["answeredVia"]) == (value, "kubectl")
        outcome = root.outcome(settled["status"]["requestID"])
        assert outcome is not None
        assert outcome.value_text() == value
    for name in stored:
        assert upgraded.until(name, "Answered")["status"]["answeredVia"] == "web"
    for name, before in inputs.items():
        if before["status"]["phase"] != "Pending":
            assert upgraded.until(name, before["status"]["phase"])["status"] == before["status"]


def test_a_refused_response_is_corrected_and_a_waiting_one_finds_its_question(
    upgraded: Questions, operator: OperatorProcess
) -> None:
    plane = upgraded.plane
    assert conditions(upgraded.get("open-refused"))["ResponseRefused"] == ("True", "Invalid")

    upgraded.patch("open-refused", {"response": {"value": "12"}})
    plane.apply(question(NAMESPACE, "not-yet-there"))

    assert "ResponseRefused" not in conditions(upgraded.until("open-refused", "Answered"))
    assert upgraded.until("not-yet-there", "Answered")["status"]["value"] == "1"
    upgraded.until_condition("waiting", "Accepted", "Accepted", "HumanInputResponse")


def test_the_log_is_json_with_the_same_line_of_a_submission_as_the_web_apps(
    upgraded: Questions, operator: OperatorProcess
) -> None:
    upgraded.patch("open-kept-briefly", {"response": {"value": "5"}})
    status = upgraded.until("open-kept-briefly", "Answered")["status"]

    lines = [json.loads(line) for line in operator.said().splitlines()]
    audit = [line for line in lines if line["logger"] == "hitl.audit" and line["result"] == "Recorded"]
    [audited] = [line for line in audit if line["request_id"] == status["requestID"]]
    assert audited.keys() == {"time", "logger", "level", *FIELDS}
    assert (audited["attempt"], audited["via"], audited["verified"]) == ("answered", "kubectl", False)
