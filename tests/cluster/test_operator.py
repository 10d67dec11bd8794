"""A HumanInput's life with an operator, on a real API server and a real S3."""

import base64
import json
from typing import Any

import httpx

from hitl.core import keys
from hitl.records.links import list_links
from hitl.records.requests import read_request
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question, response, run


def test_a_humaninput_born_in_kubernetes_becomes_a_request_in_storage(questions: Questions, root: Root) -> None:
    request_id = questions.ask("ship-it", prompt="Ship **it**?", dataType="bool", timeoutSeconds=900)
    found = questions.get("ship-it")
    assert found is not None
    assert request_id == found["metadata"]["uid"]
    assert found["status"]["formURL"] == f"http://forms.test/form/{request_id}"
    assert conditions(found) == {
        "Settled": ("False", "Pending"),
        "Ready": ("False", "Pending"),
        "Reconciling": ("True", "AwaitingAnswer"),
    }
    questions.until_events("ship-it", "Requested")
    request = run(read_request(root.store, request_id)).document
    assert (request.origin.namespace, request.human_input) == (questions.namespace, "ship-it")
    # Nothing that Git would see as drift: no annotation, no finalizer.
    assert found["metadata"].get("finalizers") is None
    assert "annotations" not in found["metadata"]


def test_the_link_of_a_question_born_in_kubernetes_is_in_a_secret_that_goes_with_it(
    questions: Questions, control_plane: ControlPlane, root: Root
) -> None:
    request_id = questions.ask("linked")
    found = questions.get("linked")
    assert found is not None
    secret = control_plane.get(questions.namespace, "Secret", found["status"]["linkSecret"])
    assert secret is not None
    url = base64.b64decode(secret["data"]["url"]).decode()
    assert url.startswith(f"http://forms.test/form/{request_id}?token=")
    [owner] = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("HumanInput", request_id)
    shown = json.dumps(questions.get("linked"))
    token = url.partition("token=")[2]
    [(token_hash, _)] = run(list_links(root.store, request_id))
    assert token_hash == keys.hash_token(token)
    assert token not in shown
    assert token_hash not in shown


def test_an_answer_by_kubectl_patch_is_recorded_and_shown(questions: Questions, root: Root) -> None:
    request_id = questions.ask("patched")
    questions.patch("patched", {"response": {"value": "42", "comment": "looks right"}})
    status = questions.until("patched", "Answered")["status"]
    assert (status["value"], status["answeredVia"], status["comment"]) == ("42", "kubectl", "looks right")
    assert status["verified"] is False
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert (outcome.value, outcome.respondent.via) == (42, "kubectl")
    questions.until_events("patched", "Answered", "Requested")


def test_an_answer_in_storage_is_shown_within_a_sweep(questions: Questions, root: Root) -> None:
    request_id = questions.ask("by-form")
    root.answer(request_id, 7)
    status = questions.until("by-form", "Answered")["status"]
    assert (status["value"], status["answeredBy"], status["answeredVia"]) == ("7", "ada", "web")
    control_plane = questions.plane
    control_plane.until("the marker is gone", lambda: request_id not in root.markers())


def test_a_hint_makes_it_immediate_and_may_be_forged_or_lost(
    questions: Questions, root: Root, operator: OperatorProcess
) -> None:
    request_id = questions.ask("hinted")
    assert httpx.post(f"{operator.url}/hints/{request_id}").status_code == 202
    assert httpx.post(f"{operator.url}/hints/no-such-request").status_code == 202
    assert httpx.post(f"{operator.url}/hints/..%2F..%2Fetc").status_code in (400, 404)
    found = questions.get("hinted")
    assert found is not None
    assert found["status"]["phase"] == "Pending"


def test_a_rejection_by_kubectl_is_recorded_and_stalls(questions: Questions) -> None:
    questions.ask("rejected")
    questions.patch("rejected", {"response": {"reject": True, "comment": "not today"}})
    found = questions.until("rejected", "Rejected")
    assert found["status"]["comment"] == "not today"
    assert conditions(found)["Settled"] == ("True", "Rejected")
    assert conditions(found)["Answered"] == ("False", "Rejected")
    assert conditions(found)["Stalled"] == ("True", "Rejected")
    assert "Reconciling" not in conditions(found)


def test_the_deadline_ends_in_timed_out_or_in_the_default(questions: Questions) -> None:
    plane = questions.plane
    plane.apply(question(questions.namespace, "late", timeoutSeconds=1))
    plane.apply(question(questions.namespace, "unused", timeoutSeconds=1, onTimeout="Fail", default="3"))
    plane.apply(question(questions.namespace, "fallback", timeoutSeconds=1, onTimeout="UseDefault", default="3"))
    plane.apply(question(questions.namespace, "default-alone", timeoutSeconds=1, default="3"))
    for name in ("late", "unused"):
        assert conditions(questions.until(name, "TimedOut"))["Stalled"] == ("True", "DeadlinePassed")
    for name in ("fallback", "default-alone"):
        found = questions.until(name, "Answered")
        assert (found["status"]["value"], found["status"]["answeredVia"]) == ("3", "timeout")
        assert conditions(found)["Ready"] == ("True", "DefaultUsed")
    questions.until_events("late", "Requested", "TimedOut")


def test_kubectl_wait_for_settled_works(questions: Questions) -> None:
    questions.ask("waited")
    questions.patch("waited", {"response": {"value": "1"}})
    done = questions.plane.kubectl(
        "wait", "--for=condition=Settled", "hi/waited", "-n", questions.namespace, "--timeout=100s"
    )
    assert "condition met" in done.out


def test_what_does_not_fit_the_json_schema_is_refused_and_may_be_corrected(questions: Questions) -> None:
    questions.ask("bounded", schema={"minimum": 10})
    questions.patch("bounded", {"response": {"value": "3"}})
    found = questions.until_condition("bounded", "ResponseRefused", "Invalid")
    assert found["status"]["phase"] == "Pending"
    questions.plane.until("the Event", lambda: "SubmissionRefused" in questions.events("bounded"))
    questions.patch("bounded", {"response": {"value": "12"}})
    settled = questions.until("bounded", "Answered")
    assert settled["status"]["value"] == "12"
    assert "ResponseRefused" not in conditions(settled)


def test_a_question_that_names_who_may_answer_is_not_answered_by_somebody_unverified(questions: Questions) -> None:
    questions.ask("named", respondents={"users": ["ada"]})
    questions.patch("named", {"response": {"value": "3", "respondent": {"username": "ada"}}})
    found = questions.until_condition("named", "ResponseRefused", "NotAllowed")
    assert found["status"]["phase"] == "Pending"


def test_a_humaninputresponse_answers_and_says_what_became_of_it(questions: Questions) -> None:
    questions.ask("asked")
    plane = questions.plane
    plane.apply(response(questions.namespace, "mine", "asked", value="5"))
    questions.until("asked", "Answered")
    questions.until_condition("mine", "Accepted", "Accepted", "HumanInputResponse")
    plane.apply(response(questions.namespace, "late", "asked", value="6"))
    late = questions.until_condition("late", "Accepted", "Superseded", "HumanInputResponse")
    [condition] = late["status"]["conditions"]
    assert condition["status"] == "False"
    assert "answered by" in condition["message"]


def test_a_humaninputresponse_waits_for_its_question(questions: Questions) -> None:
    plane = questions.plane
    plane.apply(response(questions.namespace, "early", "later", value="5"))
    questions.until_condition("early", "Accepted", "RequestNotFound", "HumanInputResponse")
    plane.apply(question(questions.namespace, "later"))
    assert questions.until("later", "Answered")["status"]["value"] == "5"
    questions.until_condition("early", "Accepted", "Accepted", "HumanInputResponse")


def test_a_humaninputresponse_that_does_not_fit_is_invalid(questions: Questions) -> None:
    questions.ask("picky")
    questions.plane.apply(response(questions.namespace, "wrong", "picky", value="maybe"))
    found = questions.until_condition("wrong", "Accepted", "Invalid", "HumanInputResponse")
    assert "whole number" in found["status"]["conditions"][0]["message"]
    assert questions.until("picky", "Pending")


def test_a_settled_humaninput_is_deleted_after_its_ttl(questions: Questions, root: Root) -> None:
    request_id = questions.ask("short", ttlSecondsAfterFinished=1)
    questions.patch("short", {"response": {"value": "1"}})
    questions.plane.until("it is deleted", lambda: questions.get("short") is None)
    outcome = root.outcome(request_id)
    assert outcome is not None
    assert outcome.value == 1


def test_a_question_that_cannot_be_asked_says_why(questions: Questions) -> None:
    questions.plane.apply(question(questions.namespace, "odd", schema={"type": "no-such-type"}))
    found = questions.until_condition("odd", "Stalled", "InvalidRequest")
    [message] = [each["message"] for each in found["status"]["conditions"] if each["type"] == "Stalled"]
    assert "schema" in message


def test_a_second_humaninput_for_one_request_is_stalled(questions: Questions) -> None:
    request_id = questions.ask("first")
    questions.plane.apply(question(questions.namespace, "second", request={"id": request_id}))
    questions.until_condition("second", "Stalled", "DuplicateRequest")
    questions.plane.delete(questions.namespace, "HumanInput", "second")
    questions.patch("first", {"response": {"value": "9"}})
    assert questions.until("first", "Answered")["status"]["value"] == "9"


def _fields_by_manager(content: dict[str, Any], manager: str) -> str:
    entries = content["metadata"]["managedFields"]
    return json.dumps([each["fieldsV1"] for each in entries if each["manager"].startswith(manager)])


def test_the_operator_never_owns_a_field_of_the_spec_that_somebody_else_wrote(questions: Questions) -> None:
    questions.ask("owned")
    questions.patch("owned", {"response": {"value": "1"}})
    questions.until("owned", "Answered")
    shown = questions.plane.kubectl(
        "get", "hi", "owned", "-n", questions.namespace, "-o", "json", "--show-managed-fields"
    )
    found = json.loads(shown.out)
    assert "f:spec" not in _fields_by_manager(found, "hitl-operator")
    assert "f:status" in _fields_by_manager(found, "hitl-operator")
