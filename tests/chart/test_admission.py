"""Who may answer, and as whom, by a real API server with the chart's admission policies."""

import json

import pytest

from tests.chart.conftest import Installed

RESPONSE = {"spec": {"response": {"value": "42"}}}
SPOOFED = {"username": "boss", "groups": ["bosses"]}


def test_policies_compile(stamped: Installed, unstamped: Installed) -> None:
    for kind in ("validatingadmissionpolicies", "mutatingadmissionpolicies"):
        found = json.loads(stamped.plane.kubectl("get", kind, "-o=json").out)["items"]
        warnings = {
            each["metadata"]["name"]: each.get("status", {}).get("typeChecking", {}).get("expressionWarnings")
            for each in found
        }
        assert found
        assert {name: each for name, each in warnings.items() if each} == {}


def test_who_patches_a_response_is_its_respondent(stamped: Installed) -> None:
    stamped.asked("patched")

    stamped.patch("patched", RESPONSE, "ed", "team")

    said = stamped.seen("patched")["spec"]["response"]
    assert said["respondent"] == {"username": "ed", "groups": ["team", "system:authenticated"]}


def test_a_spoofed_respondent_is_replaced(stamped: Installed) -> None:
    stamped.asked("spoofed")

    stamped.patch("spoofed", {"spec": {"response": {"value": "42", "respondent": SPOOFED}}}, "ed")
    written = stamped.create(stamped.response("spoofing", "spoofed", respondent=SPOOFED), "ada")

    assert stamped.seen("spoofed")["spec"]["response"]["respondent"]["username"] == "ed"
    assert json.loads(written.out)["spec"]["respondent"] == {
        "username": "ada",
        "groups": ["system:authenticated"],
    }
