"""The rights that the chart gives: enough for the operator, and none that it does not use."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hitl.core import keys
from hitl.core.documents import Origin
from tests.chart.charts import NAMESPACE, PLAIN, Object, found, render
from tests.chart.installed import ANSWER, Audit, Installed
from tests.chart.running import OPERATOR, Running, values_of
from tests.cluster.flyte_actions import FlyteActions
from tests.cluster.operators import Root, run
from tests.library.samples import create_request, draft_request

_EXPECTED = {  # role -> what it allows on our kinds, by `kubectl auth can-i`
    "viewer": {"get humaninputs", "list humaninputs", "watch humaninputs"},
    "responder": {"answer humaninputs", "create humaninputresponses"},
    "editor": {"answer humaninputs", "create humaninputresponses", "patch humaninputs"},
    "requester": {"create humaninputs", "delete humaninputs"},
    "notifier": {
        f"{verb} notificationtargets" for verb in ("get", "list", "watch", "create", "patch", "update", "delete")
    },
    "policy-admin": {f"{verb} humaninputpolicies" for verb in ("create", "patch", "update", "delete")},
}


def _ask_in_storage(root: Root, namespace: str, run_name: str = "") -> str:
    draft = draft_request(
        request_id=f"stored-{uuid.uuid4().hex[:8]}",
        event_name="stored",
        data_type="int",
        prompt="How many?",
        timeout_seconds=600,
        now=datetime.now(UTC),
        origin=Origin(namespace=namespace, run=run_name, action="a0" if run_name else ""),
    )

    async def ask() -> None:
        store = root.store
        await create_request(store, draft)
        await store.mark(keys.new_marker(draft.request_id))

    run(ask())
    return draft.request_id


def test_with_exactly_the_chart_s_rights_the_operator_does_everything(
    running: Running, stamped: Installed, audit: Audit
) -> None:
    questions, plane = running.questions, stamped.plane

    # Born in Kubernetes: a request, a link, an Event; the web app comes up.
    request_id = questions.ask("rights", respondents={"users": ["ed"]})
    shown = questions.get("rights")
    assert shown is not None
    assert plane.get(stamped.namespace, "Secret", shown["status"]["linkSecret"]) is not None
    assert questions.events("rights") == ["Requested"]
    plane.until("the web app", lambda: _replicas(stamped) == 1)
    for kind in ("service", "poddisruptionbudget"):
        plane.kubectl("get", kind, "hitl-webapp", "-n", NAMESPACE)

    # All that it made for itself goes with its Deployment.
    for kind in ("Deployment", "Lease"):
        made = plane.get(NAMESPACE, kind, "hitl-webapp" if kind == "Deployment" else OPERATOR)
        assert made is not None
        assert [each["name"] for each in made["metadata"]["ownerReferences"]] == [OPERATOR]

    # Answered as whoever admission saw.
    stamped.patch("rights", {"spec": {"response": ANSWER}}, "ed")
    status = questions.until("rights", "Answered")["status"]
    assert (status["answeredBy"], status["answeredVia"], status["verified"]) == ("ed", "kubectl", True)
    outcome = running.root.outcome(request_id)
    assert outcome is not None
    assert outcome.respondent.name == "ed"

    # By a HumanInputResponse.
    questions.ask("responded-to")
    stamped.create(stamped.response("to-rights", "responded-to"), "ada")
    questions.until_condition("to-rights", "Accepted", "Accepted", "HumanInputResponse")
    assert questions.until("responded-to", "Answered")["status"]["answeredBy"] == "ada"

    # By a policy.
    stamped.plane.apply(stamped.policy("production", requiredResponses=1))
    questions.ask("by-policy", policyRef={"name": "production"})
    plane.delete(stamped.namespace, "HumanInput", "by-policy")

    # By one that came before its question.
    stamped.create(stamped.response("too-early", "asked-later"), "ada")
    questions.until_condition("too-early", "Accepted", "RequestNotFound", "HumanInputResponse")
    stamped.asked("asked-later")
    assert questions.until("asked-later", "Answered")["status"]["answeredBy"] == "ada"

    # Asked in storage: shown, and deleted some time after its outcome.
    stored = _ask_in_storage(running.root, stamped.namespace)
    questions.until(stored, "Pending")
    questions.ask("short", ttlSecondsAfterFinished=1)
    stamped.patch("short", {"spec": {"response": ANSWER}}, "ed")
    plane.until("the end of its time", lambda: questions.get("short") is None)

    # Taken back.
    plane.delete(stamped.namespace, "HumanInput", stored)
    plane.until("the cancellation", lambda: running.root.outcome(stored) is not None)

    # Its workflow is aborted.
    flyte = FlyteActions(plane, stamped.namespace)
    flyte.begin("run")
    in_flyte = _ask_in_storage(running.root, stamped.namespace, "run")
    questions.until(in_flyte, "Pending")
    flyte.abort("run")
    questions.until_condition(in_flyte, "Settled", "RunAborted")

    # A target, by a Secret of the name that the chart lets it read.
    _target(stamped, "told", "hitl-notifications")
    questions.until_condition("told", "Ready", "Usable", "NotificationTarget")

    # Nothing waits any more.
    plane.until("the web app's end", lambda: _replicas(stamped) == 0)

    # The audit's newest hash, which stays when the Deployment goes.
    kept = plane.until("the anchor", lambda: plane.get(NAMESPACE, "ConfigMap", f"{OPERATOR}-audit"))
    assert "ownerReferences" not in kept["metadata"]

    refused = [each for each in _itself(audit, stamped) if each["responseStatus"]["code"] == 403]
    assert [(each["verb"], each["requestURI"]) for each in refused] == []
    assert "forbidden" not in running.process.said().lower()


def test_every_right_of_the_operator_is_used(running: Running, stamped: Installed, audit: Audit) -> None:
    """What the test before this one made it do."""
    used = {use for each in _itself(audit, stamped) for use in _uses(each)}

    rules = [
        rule
        for each in render(values_of(stamped))
        if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"].startswith(OPERATOR)
        for rule in each["rules"]
    ]
    given = {
        (verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert sorted(given - used) == []
    reading = [each for each in rules if "secrets" in each["resources"] and "get" in each["verbs"]]
    assert [each["resourceNames"] for each in reading] == [["hitl-notifications"]]


def test_a_secret_of_another_name_is_read_only_where_a_role_allows_it(
    running: Running, stamped: Installed
) -> None:
    _target(stamped, "refused", "another")
    found = running.questions.until_condition("refused", "Ready", "SecretRefused", "NotificationTarget")
    [told] = [each["message"] for each in found["status"]["conditions"] if each["type"] == "Ready"]
    command = re.findall("`kubectl (.+?)`", told)[0]
    stamped.plane.kubectl(*command.split())
    where = ("-n", stamped.namespace)
    account = f"{NAMESPACE}:{OPERATOR}"
    stamped.plane.kubectl(
        "create", "rolebinding", "hitl-another", *where, "--role=hitl-another", f"--serviceaccount={account}"
    )
    # Changed, it is looked at at once instead of within a minute.
    patch = json.dumps({"spec": {"events": ["settled"]}})
    stamped.plane.kubectl("patch", "nt", "refused", *where, "--type=merge", "-p", patch)
    running.questions.until_condition("refused", "Ready", "Usable", "NotificationTarget")
    stamped.plane.kubectl("delete", "rolebinding", "hitl-another", *where)


def _target(installed: Installed, name: str, secret: str) -> None:
    """Create a NotificationTarget that is told of nothing, and its Secret."""
    metadata = {"namespace": installed.namespace}
    data = {"url": "https://hooks.example.org/hitl"}
    installed.plane.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, **metadata}, "stringData": data}
    )
    selector = {"matchLabels": {"nobody": "has"}}
    installed.plane.apply(
        {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "NotificationTarget",
            "metadata": {"name": name, **metadata},
            "spec": {"type": "webhook", "secretRef": {"name": secret}, "selector": selector},
        }
    )


def _itself(audit: Audit, installed: Installed) -> list[Object]:
    """Return what the operator did, rather than a test under its name."""
    return [each for each in audit.by(installed.operator) if each["user"]["username"] == installed.operator]


def _uses(event: Object) -> Iterator[tuple[str, str, str]]:
    about = event.get("objectRef", {})
    resource = about.get("resource", "") + (f"/{about['subresource']}" if "subresource" in about else "")
    yield event["verb"], about.get("apiGroup", ""), resource
    if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
        # To create by server-side apply takes both verbs.
        yield "create", about.get("apiGroup", ""), resource


def _replicas(installed: Installed) -> int | None:
    content = installed.plane.get(NAMESPACE, "Deployment", "hitl-webapp")
    return None if content is None else int(content["spec"]["replicas"])


def test_the_operator_has_no_rights_elsewhere(stamped: Installed) -> None:
    def may(verb: str, what: str, namespace: str) -> bool:
        return (
            stamped.plane.kubectl(
                "auth", "can-i", verb, what, "-n", namespace, user=stamped.operator, check=False
            ).code
            == 0
        )  # fmt: skip

    assert may("get", "humaninputs", stamped.namespace)
    assert not may("get", "humaninputs", "default")
    assert not may("get", "secrets", stamped.namespace)
    assert not may("patch", "secrets", NAMESPACE)
    assert not may("update", "humaninputs", stamped.namespace)
    assert not may("patch", "deployments/other", NAMESPACE)
    for made in ("deployments", "services", "poddisruptionbudgets.policy", "configmaps"):
        assert not may("create", made, NAMESPACE), "a name of anybody's choice"
    assert not may("delete", "deployments", NAMESPACE)


def test_no_service_account_of_the_chart_may_do_more_than_its_rules_say(stamped: Installed) -> None:
    def may(account: str, namespace: str) -> set[str]:
        user = f"system:serviceaccount:{NAMESPACE}:{account}"
        listed = stamped.plane.kubectl("auth", "can-i", "--list", "--no-headers", "-n", namespace, user=user).out
        return {" ".join(line.split()) for line in listed.splitlines()}

    anybody = may("nobody-in-particular", NAMESPACE)
    listed = stamped.plane.kubectl("get", "serviceaccounts", "-n", NAMESPACE, "-o=name").out.split()
    accounts = {name.removeprefix("serviceaccount/") for name in listed}
    for account in {each for each in accounts if each.startswith("hitl-")} - {OPERATOR}:
        assert may(account, NAMESPACE) | may(account, stamped.namespace) <= anybody, account
    # What the operator may do where the questions are.
    assert may(OPERATOR, stamped.namespace) - anybody == {
        "humaninputs.hitl.flyte.org [] [] [get list watch create delete]",
        "humaninputresponses.hitl.flyte.org [] [] [get list watch]",
        "humaninputpolicies.hitl.flyte.org [] [] [get]",
        "humaninputs.hitl.flyte.org/status [] [] [patch]",
        "humaninputresponses.hitl.flyte.org/status [] [] [patch]",
        "notificationtargets.hitl.flyte.org [] [] [list watch]",
        "notificationtargets.hitl.flyte.org/status [] [] [patch]",
        "secrets [] [hitl-notifications] [get]",
        "events [] [] [create]",
        "namespaces [] [] [get]",
        "taskactions.flyte.org [] [] [get list watch]",
        "customresourcedefinitions.apiextensions.k8s.io [] [humaninputs.hitl.flyte.org] [get]",
        "secrets [] [] [create]",
    }


@pytest.mark.parametrize("role", _EXPECTED)
def test_each_role_allows_what_its_name_says(role: str, stamped: Installed) -> None:
    user = f"only-{role}"
    stamped.bind(user, role)
    kinds = (
        "humaninputs",
        "humaninputresponses",
        "humaninputpolicies",
        "humaninputs/status",
        "notificationtargets",
    )
    verbs = ("get", "list", "watch", "create", "patch", "update", "delete", "answer")

    allowed = {
        f"{verb} {kind}"
        for kind in kinds
        for verb in verbs
        if json.loads(_review(stamped, user, verb, kind))["status"]["allowed"]
    }

    seeing = {f"{verb} {kind}" for verb in ("get", "list", "watch") for kind in kinds[:3]}
    assert allowed == _EXPECTED[role] | seeing


def _review(installed: Installed, user: str, verb: str, kind: str) -> str:
    resource, _, subresource = kind.partition("/")
    attributes = {
        "namespace": installed.namespace,
        "verb": verb,
        "group": "hitl.flyte.org",
        "resource": resource,
        "subresource": subresource,
    }
    content = {"spec": {"user": user, "resourceAttributes": attributes}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return installed.plane.request("POST", path, content).out


def test_the_web_app_has_no_rights(stamped: Installed) -> None:
    web = f"system:serviceaccount:{NAMESPACE}:hitl-webapp"

    for verb, kind in (("get", "humaninputs"), ("create", "humaninputresponses"), ("answer", "humaninputs")):
        assert not json.loads(_review(stamped, web, verb, kind))["status"]["allowed"]


def test_the_kubernetes_web_app_may_ask_who_somebody_is_and_nothing_else() -> None:
    objects = render({**PLAIN, "auth": "kubernetes"})

    assert found(objects, "ClusterRole", "hitl-webapp")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
