"""What the operator does when somebody is in its way: another's Secret or HumanInput, a write that is refused."""

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.core.documents import Origin
from hitl.records.links import list_links
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question, response, run
from tests.library.samples import create_request, draft_request

RESPONSE = "HumanInputResponse"


def ask(root: Root, namespace: str, *, mark: bool = True, timeout_seconds: float = 600) -> str:
    """Ask through storage, as a program does."""

    async def ask() -> str:
        request_id = f"asked-{uuid.uuid4().hex[:8]}"
        draft = draft_request(
            request_id=request_id,
            event_name="asked",
            data_type=int,
            prompt="How many?",
            timeout_seconds=timeout_seconds,
            now=datetime.now(UTC),
            origin=Origin(namespace=namespace),
        )
        await create_request(root.store, draft)
        if mark:
            await root.store.mark(keys.new_marker(request_id))
        return request_id

    return run(ask())


def make_namespace(plane: ControlPlane) -> str:
    name = f"test-{uuid.uuid4().hex[:10]}"
    plane.kubectl("create", "namespace", name)
    return name


def refuse(plane: ControlPlane, name: str, resource: str, expression: str, message: str) -> None:
    """Have the API server refuse objects for which an expression is false, until `allow`."""
    group = "" if resource == "secrets" else "hitl.flyte.org"
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression, "message": message}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    for content in (policy, binding):
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(content))


def allow(plane: ControlPlane, name: str) -> None:
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        plane.kubectl("delete", kind, name)


def test_a_secret_of_the_name_that_a_link_had_is_left_alone(questions: Questions, root: Root) -> None:
    path = f"/api/v1/namespaces/{questions.namespace}/secrets"
    mine = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db-link", "namespace": questions.namespace},
        "stringData": {"token": "mine"},
    }
    assert questions.plane.request("POST", path, mine).code == 0
    questions.ask("db")
    found = questions.get("db")
    assert found is not None
    secret = questions.plane.get(questions.namespace, "Secret", found["status"]["linkSecret"])
    other = questions.plane.get(questions.namespace, "Secret", "db-link")
    assert secret is not None
    assert other is not None
    assert base64.b64decode(other["data"]["token"]) == b"mine"
    assert "ownerReferences" not in other["metadata"]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]


def test_a_question_goes_on_whose_secret_is_refused(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    questions = Questions(plane, make_namespace(plane))
    refuse(plane, "no-secrets", "secrets", "false", "no Secrets here")
    probe = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "probe", "namespace": questions.namespace}}
    path = f"/api/v1/namespaces/{questions.namespace}/secrets?dryRun=All"
    plane.until("the policy counts", lambda: plane.request("POST", path, probe).code != 0)
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()

    request_id = questions.ask("asked")
    found = questions.until_condition("asked", "LinkIssued", "SecretRefused")
    [told] = [each for each in found["status"]["conditions"] if each["type"] == "LinkIssued"]
    assert "no Secrets here" in told["message"]
    assert "linkSecret" not in found["status"]
    plane.until("the Event", lambda: "LinkRefused" in questions.events("asked"))
    plane.until("the metric", lambda: operator.metric("hitl_refused_writes") == 1)
    links = run(list_links(root.store, request_id))
    assert len(links) == 1, "one link, however often its Secret was refused"

    questions.patch("asked", {"response": {"value": "1"}})
    assert "LinkIssued" not in conditions(questions.until("asked", "Answered"))
    operator.terminate()


def test_a_humaninput_of_a_stranger_neither_hides_nor_cancels_a_question(
    questions: Questions, root: Root, operator: OperatorProcess
) -> None:
    plane, stranger = questions.plane, make_namespace(questions.plane)
    request_id = ask(root, questions.namespace, mark=False)
    plane.apply(question(stranger, request_id, request={"id": request_id}))
    theirs = Questions(plane, stranger)
    theirs.until_condition(request_id, "Stalled", "RequestMissing")
    # It was first, and its name is right: still it counts for nothing.
    run(root.store.mark(keys.new_marker(request_id)))
    questions.until(request_id, "Pending")
    plane.delete(stranger, "HumanInput", request_id)
    plane.until("its deletion is noticed", lambda: f"{stranger}/{request_id} was deleted" in operator.said())
    assert root.outcome(request_id) is None
    questions.patch(request_id, {"response": {"value": "5"}})
    assert questions.until(request_id, "Answered")["status"]["value"] == "5"


def test_whoever_names_the_request_of_a_born_question_hides_nothing(questions: Questions, root: Root) -> None:
    plane, stranger = questions.plane, make_namespace(questions.plane)
    request_id = questions.ask("born")
    for namespace in (stranger, questions.namespace):
        plane.apply(question(namespace, request_id, request={"id": request_id}))
        Questions(plane, namespace).until_condition(
            request_id, "Stalled", "DuplicateRequest" if namespace == questions.namespace else "RequestMissing"
        )
        plane.delete(namespace, "HumanInput", request_id)
    root.answer(request_id, 3)
    assert questions.until("born", "Answered")["status"]["value"] == "3"


def test_questions_deleted_while_they_are_stored_do_not_stay_open(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    questions = Questions(plane, make_namespace(plane))
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()
    for number in range(60):
        # The name comes again at once, for every other one.
        name = f"asked-{number // 2}"
        plane.apply(question(questions.namespace, name))
        plane.delete(questions.namespace, "HumanInput", name)

    def open_ones() -> list[str]:
        asked = {key.split("/")[1] for key in root.listed() if key.endswith("/request.json")}
        return [each for each in asked if root.outcome(each) is None]

    plane.until("all are withdrawn", lambda: not open_ones())
    plane.until("none is counted", lambda: operator.metric("hitl_pending") == 0)
    operator.terminate()


def test_a_response_is_tried_again_once_the_question_is_back_in_storage(questions: Questions, root: Root) -> None:
    request_id = ask(root, questions.namespace)
    questions.until(request_id, "Pending")
    key = keys.request_key(request_id)
    kept = run(root.store.read(key))
    assert kept is not None
    run(root.store.delete(key))
    questions.plane.apply(response(questions.namespace, "given", request_id, value="9"))
    questions.until_condition("given", "Accepted", "RequestNotFound", RESPONSE)
    assert run(root.store.create_once(key, kept))
    questions.plane.kubectl("label", "hi", request_id, "-n", questions.namespace, "a=b")
    questions.until_condition("given", "Accepted", "Accepted", RESPONSE)
    assert questions.until(request_id, "Answered")["status"]["value"] == "9"


@pytest.mark.parametrize("spec", [{"schema": {"type": "no-such-type"}}, {"dataType": "json", "default": "{"}])
def test_who_waits_for_a_question_that_cannot_be_asked_is_told_at_its_deadline(
    questions: Questions, root: Root, spec: dict[str, Any]
) -> None:
    questions.plane.apply(question(questions.namespace, "odd", timeoutSeconds=1, **spec))
    questions.plane.kubectl(
        "wait", "--for=condition=Settled", "hi/odd", "-n", questions.namespace, "--timeout=100s"
    )
    found = questions.get("odd")
    assert found is not None
    assert found["status"]["phase"] == "TimedOut"
    assert conditions(found)["Settled"] == ("True", "DeadlinePassed")
    assert conditions(found)["Stalled"] == ("True", "DeadlinePassed")
    assert not [key for key in root.listed() if found["metadata"]["uid"] in key]


def test_a_misspelt_rule_of_an_approval_is_refused_although_the_client_only_warns(questions: Questions) -> None:
    misspelt = {"requiredResponses": 2, "group": [{"name": "sre", "required": 1}]}
    content = json.dumps(question(questions.namespace, "misspelt", approval=misspelt))
    for validate in ("warn", "strict"):
        questions.plane.kubectl("apply", f"--validate={validate}", "-f", "-", stdin=content)

    found = questions.until_condition("misspelt", "Stalled", "InvalidRequest")
    assert "approval: group: there is no such field" in json.dumps(found["status"]["conditions"])


def test_a_schema_that_is_nested_too_deeply_hides_no_other_question(questions: Questions) -> None:
    plane, names = questions.plane, []
    with httpx.Client(base_url=plane.url, verify=plane.tls(), timeout=60) as client:
        # Beyond what pydantic reads, and beyond what readers of JSON do. The API server takes 10,000.
        for levels in (400, 3_000):
            names.append(f"deep-{levels}")
            asked = question(questions.namespace, names[-1], dataType="json", timeoutSeconds=1, schema="SCHEMA")
            nested = '{"a":' * levels + "1" + "}" * levels
            body = json.dumps(asked).replace('"SCHEMA"', nested)
            path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{questions.namespace}/humaninputs"
            headers = {"Content-Type": "application/json"}
            client.post(path, content=body, headers=headers).raise_for_status()
    questions.ask("after")
    settled = [f"hi/{name}" for name in names]
    plane.kubectl("wait", "--for=condition=Settled", *settled, "-n", questions.namespace, "--timeout=100s")
    told = plane.kubectl("describe", *settled, "-n", questions.namespace).out
    assert told.count("nested too deeply: at most 200 levels") >= len(names)


def test_an_outcome_that_storage_lost_is_told_and_restored_by_decision(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    questions = Questions(plane, make_namespace(plane))
    operator = OperatorProcess(plane, s3_backend, tmp_path, audit_seconds="0.3")
    operator.start()
    request_id = questions.ask("asked")
    questions.patch("asked", {"response": {"value": "42", "comment": "as agreed"}})
    questions.until("asked", "Answered")
    recorded = root.outcome(request_id)
    assert recorded is not None

    run(root.store.delete(keys.response_key(request_id)))
    found = questions.until_condition("asked", "OutcomeMissing", "NotStored")
    assert (found["status"]["phase"], found["status"]["value"]) == ("Answered", "42")
    plane.until("the metric", lambda: operator.metric("hitl_missing_outcomes") == 1)
    plane.apply(response(questions.namespace, "other", "asked", value="7"))
    questions.until_condition("other", "Accepted", "OutcomeMissing", RESPONSE)
    assert root.outcome(request_id) is None, "nothing is accepted before somebody decides"

    plane.kubectl("annotate", "hi", "asked", "-n", questions.namespace, "hitl.flyte.org/missing-outcome=restore")
    plane.until("it is there again", lambda: root.outcome(request_id))
    restored = root.outcome(request_id)
    assert restored is not None
    assert (restored.value, restored.comment) == (42, "as agreed")
    assert restored.respondent.via == recorded.respondent.via
    plane.until("it is told no more", lambda: "OutcomeMissing" not in conditions(questions.get("asked")))
    questions.until_condition("other", "Accepted", "Superseded", RESPONSE)
    plane.until("the metric", lambda: operator.metric("hitl_missing_outcomes") == 0)

    # Somebody else records another outcome, before anybody noticed that it was lost.
    plane.kubectl("annotate", "hi", "asked", "-n", questions.namespace, "hitl.flyte.org/missing-outcome-")
    run(root.store.delete(keys.response_key(request_id)))
    root.answer(request_id, 7)
    questions.until_condition("asked", "OutcomeMissing", "AnotherStored")
    operator.terminate()


def started_without_addresses(questions: Questions, backend: Backend, home: Path) -> OperatorProcess:
    """Start an operator whose whole statuses the API server refuses, and wait until it does."""
    plane = questions.plane
    refuse(plane, "no-urls", "humaninputs/status", "!has(object.status.formURL)", "no addresses here")
    operator = OperatorProcess(plane, backend, home)
    operator.start()

    def refused() -> bool:
        plane.apply(question(questions.namespace, f"probe-{uuid.uuid4().hex[:6]}"))
        return "no addresses here" in operator.said()

    plane.until("the policy counts", refused)
    return operator


def test_a_status_that_is_refused_becomes_a_short_one_with_the_api_server_s_sentence(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = own_control_plane
    questions = Questions(plane, make_namespace(plane))
    operator = started_without_addresses(questions, s3_backend, tmp_path)
    plane.apply(question(questions.namespace, "asked"))
    found = questions.until_condition("asked", "Stalled", "WriteRefused")
    [told] = [each for each in found["status"]["conditions"] if each["type"] == "Stalled"]
    assert "no addresses here" in told["message"]
    plane.until("the Event", lambda: "WriteRefused" in questions.events("asked"))
    plane.until("the metric", lambda: operator.metric("hitl_refused_writes") >= 1)

    # Each is tried three times, then once in five minutes: so it gets quiet, when the last probe is through.
    def quiet() -> bool:
        writes = operator.metric("hitl_api_requests_total", verb="PATCH")
        time.sleep(3)
        return operator.metric("hitl_api_requests_total", verb="PATCH") == writes

    plane.until("nothing is tried any more", quiet)
    allow(plane, "no-urls")

    # Until the policy counts no more, another status is refused as well.
    def accepted() -> bool:
        name = f"probe-{uuid.uuid4().hex[:6]}"
        plane.apply(question(questions.namespace, name))
        plane.until("a status", lambda: conditions(questions.get(name)))
        return "Stalled" not in conditions(questions.get(name))

    plane.until("statuses are accepted", accepted)
    # Somebody changes it, so it is tried at once.
    questions.patch("asked", {"response": {"value": "1"}})
    questions.until("asked", "Answered")
    operator.terminate()


def test_a_question_of_a_namespace_that_is_gone_ends_at_its_deadline_and_costs_no_posts(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, root = own_control_plane, Root(s3_backend)
    operator = OperatorProcess(plane, s3_backend, tmp_path, audit_seconds="0.2")
    operator.start()
    kept, short = ask(root, "nowhere"), ask(root, "nowhere", timeout_seconds=2)
    plane.until("it ends", lambda: root.outcome(short))
    outcome = root.outcome(short)
    assert outcome is not None
    assert outcome.outcome == "timed_out"
    plane.until("its marker is gone", lambda: short not in root.markers())
    assert root.outcome(kept) is None
    plane.until("the other one is left alone", lambda: operator.metric("hitl_refused_writes") == 1)
    # It was tried for half a minute, by each scan as well. From now on, no scan makes it try.
    tried = operator.metric("hitl_api_requests_total", verb="POST", status="404")
    listed = operator.metric("hitl_storage_requests_total", operation="list")
    plane.until(
        "more scans", lambda: operator.metric("hitl_storage_requests_total", operation="list") > listed + 30
    )
    assert operator.metric("hitl_api_requests_total", verb="POST", status="404") == tried
    operator.terminate()
