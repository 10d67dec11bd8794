"""What the chart makes of its values."""

import base64
import json
import re
import subprocess
import sys
from typing import Any, Final

import helm_python as helm
import pytest
import yaml

from hitl_operator.settings import OperatorSettings
from hitl_operator.shards import lease_names
from hitl_webapp.settings import WebSettings
from tests.chart.charts import (
    CHART,
    EMBEDDED,
    EVERYTHING,
    NAMESPACE,
    PLAIN,
    REPOSITORY,
    ROOTS,
    VARIANTS,
    Object,
    applied_by_operator,
    environment,
    found,
    pods,
    render,
    text,
    with_oidc,
)

variants = pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
SRE: Final = [{"name": "sre", "required": 2}]


def approved(**default: Any) -> Object:
    """Return values of a default approval, in a cluster that stamps who votes."""
    return PLAIN | {"identity": {"mutatingAdmissionPolicy": True}, "policy": {"defaultApproval": default}}


@variants
def test_helm_finds_nothing_wrong(values: Object) -> None:
    report = helm.lint(CHART, values, strict=True)

    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "say where the questions are kept: set storage.url"),
        (PLAIN | ROOTS, "set only one of storage.url, storage.embedded.enabled and roots"),
        (PLAIN | {"auth": "proxy"}, "auth=proxy needs webapp.proxy.existingSecret"),
        (with_oidc(issuerUrl=""), "auth=oidc needs webapp.oidc.issuerUrl"),
        (with_oidc(clientId=""), "auth=oidc needs webapp.oidc.clientId"),
        (with_oidc(existingSecret=""), "auth=oidc needs webapp.oidc.existingSecret"),
        (with_oidc(allowedGroups=[]), "which say who may sign in"),
        (with_oidc(scopes=["email"]), "webapp.oidc.scopes needs openid"),
        (
            with_oidc(usernameClaim="sub", allowedEmailDomains=["example.org"]),
            "the claim sub holds no checked address",
        ),
        (with_oidc(session={"hours": 1, "refreshMinutes": 60}), "refreshMinutes is less than the session's hours"),
        (with_oidc() | {"endpoint": ""}, "auth=oidc needs the endpoint of root default"),
        (PLAIN | {"webapp": {"ingress": {"enabled": True}}}, "need the endpoint of root default"),
        (
            PLAIN | {"endpoint": "https://a.example", "webapp": {"httpRoute": {"enabled": True}}},
            "webapp.httpRoute needs parentRefs",
        ),
        (
            PLAIN | {"policy": {"defaultApproval": {"requiredResponses": 2}}},
            "policy.defaultApproval needs an API server that stamps who votes",
        ),
        ({"roots": [ROOTS["roots"][0]] * 2}, "two roots have the same name"),
        (
            {"roots": [ROOTS["roots"][0], {**ROOTS["roots"][1], "namespaces": ["red"]}]},
            "a namespace belongs to two roots",
        ),
        (
            {"roots": [ROOTS["roots"][0], {**ROOTS["roots"][1], "url": "s3://red/hitl/"}]},
            "two roots have the same url",
        ),
        (
            ROOTS | {"endpoint": "https://hitl.example.org"},
            "each of the roots has an endpoint and options of",
        ),
        (
            ROOTS | {"storage": {"options": {"region": "x"}}},
            "each of the roots has an endpoint and options of",
        ),
        (
            ROOTS | {"namespaces": ["red"]},
            "the roots name the namespace blue, in which the operator",
        ),
        (approved(requiredResponses=1, groups=SRE), "the groups need 2 people"),
        (approved(requiredResponses=4, groups=SRE * 2), "a group is there twice"),
        (approved(requiredResponses=2, groups=SRE, allowLinks=True), "a link does not say who uses it"),
        (approved(requiredResponses=2, excludeRequester=True, allowLinks=True), "a link does not say who uses it"),
    ],
)
def test_values_that_do_not_hold_together_are_refused_with_a_sentence(values: Object, sentence: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=re.escape(sentence)):
        render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"storge": {}},
        {"storage": {"url": "bucket/prefix"}},
        {"storage": {"url": "s3://b/p", "secret": "x"}},
        {"auth": "none"},
        {"webapp": {"oidc": {"issuerUrl": "login.example.org"}}},
        {"webapp": {"oidc": {"clientId": "${HOME}"}}},
        {"webapp": {"oidc": {"allowedGroups": ["a,b"]}}},
        {"webapp": {"oidc": {"session": {"hours": 0}}}},
        {"operator": {"replicas": 0}},
        {"operator": {"workers": 0}},
        {"operator": {"workers": "8"}},
        {"webapp": {"mode": "on"}},
        {"webapp": {"replicas": 0}},
        {"identity": {"mutatingAdmissionPolicy": "yes"}},
        {"endpoint": "hitl.example.org"},
        {"endpoint": "https://hitl.example.org/path"},
        {"image": {"digest": "sha256:1"}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"namespaces": "red"},
        {"roots": [{"name": "Red", "url": "s3://b/p", "namespaces": ["red"]}]},
        {"roots": [{"name": "red", "url": "s3://b/p", "namespaces": []}]},
        {"roots": [{"name": "red", "url": "s3://b/p"}]},
        {"roots": [{"name": "red", "url": "file:///tmp", "namespaces": ["red"]}]},
        {"policy": {"defaultApproval": {"requiredResponses": 2, "groups": [{"required": 1}]}}},
        {"networkPolicy": {"enabled": "no"}},
        {"monitoring": {"serviceMonitor": True}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_nonsense(values: Object) -> None:
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmValuesError):
        chart.validate_schema({**PLAIN, **values})


@variants
def test_the_schema_lets_through_what_is_meant(values: Object) -> None:
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)


def test_values_and_schema_are_what_the_models_say() -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "chart.py", "--check"], capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_every_value_is_explained() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    top = [number for number, line in enumerate(lines) if re.match(r"^\w+:", line)]

    assert [lines[number] for number in top if not lines[number - 1].startswith("#")] == []


@variants
def test_every_pod_is_restricted(values: Object) -> None:
    objects = render(values)
    found_pods = [*pods(objects), *pods(applied_by_operator(objects))]

    assert len(found_pods) >= 3
    for name, template in found_pods:
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert spec["enableServiceLinks"] is False, name
        assert {kind for each in spec["volumes"] for kind in each if kind != "name"} <= {
            "configMap",
            "emptyDir",
            "secret",
        }, name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name


@variants
def test_the_operator_understands_its_settings(values: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render(values)
    [(_, template)] = [each for each in pods(objects) if each[0] == "hitl-operator"]
    secret = found(objects, "Secret", "hitl-operator")["stringData"]
    for name, value in {**environment(template), **secret}.items():
        if name != "HITL_OPERATOR_NAMESPACE":
            monkeypatch.setenv(name, value)

    settings = OperatorSettings()

    assert {each.name for each in settings.all_roots()} == {
        name.removesuffix(".yaml") for name in found(objects, "ConfigMap", "hitl-webapp")["data"]
    }
    assert settings.operator_deployment == settings.lease == "hitl-operator"
    assert all(each.endpoint.startswith("http") for each in settings.all_roots())
    assert list(settings.namespaces) == values.get("namespaces", [])
    default = settings.default_for("team")
    assert (None if default is None else default.required) == (2 if "policy" in values else None)
    assert settings.default_for("sandbox") is None


@variants
def test_the_web_app_understands_its_settings(values: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render(values)
    for each in applied_by_operator(objects):
        if each["kind"] != "Deployment":
            continue
        template = each["spec"]["template"]
        root = template["metadata"]["labels"]["hitl.flyte.org/root"]
        secret = found(objects, "Secret", f"hitl-root-{root}")["stringData"]
        for variable, value in {**environment(template), **secret}.items():
            monkeypatch.setenv(variable, value)

        settings = WebSettings()

        assert settings.markers
        assert settings.host == "0.0.0.0"
        assert settings.hint_url == f"http://hitl-operator.{NAMESPACE}.svc:8080"


def test_the_web_app_has_no_credentials_for_kubernetes() -> None:
    for values, mounted in ((PLAIN, False), (PLAIN | {"auth": "kubernetes"}, True)):
        [(_, template)] = pods(applied_by_operator(render(values)))

        assert template["spec"]["automountServiceAccountToken"] is mounted


def test_the_side_car_is_what_people_reach_and_what_the_web_app_believes() -> None:
    objects = render(VARIANTS["by sign-in, two roots"])
    applied = applied_by_operator(objects)
    for root in ("red", "blue"):
        template = found(applied, "Deployment", f"hitl-webapp-{root}")["spec"]["template"]
        webapp, proxy = template["spec"]["containers"]
        assert [each["name"] for each in webapp["ports"]] == ["webapp"]
        assert [each["name"] for each in proxy["ports"]] == ["http"]
        [port] = found(applied, "Service", f"hitl-webapp-{root}")["spec"]["ports"]
        assert port["targetPort"] == "http"
        assert f"--redirect-url=https://{root}.example.org/oauth2/callback" in proxy["args"]
        assert "--cookie-secure=true" in proxy["args"]
        assert [each for each in proxy["args"] if each.startswith("--cookie-name=__Host-hitl-")]
        volumes = {each["name"]: each for each in template["spec"]["volumes"]}
        assert volumes["proxy"]["secret"]["secretName"] == volumes["oidc-session"]["secret"]["secretName"]
    session = found(objects, "Secret", "hitl-session")["stringData"]
    assert {name: len(text) for name, text in session.items()} == {"cookie": 32, "proxy": 40}
    assert session["proxy"] not in json.dumps([each for each in objects if each["kind"] != "Secret"])


def test_the_tests_run_the_oauth2_proxy_that_the_chart_names() -> None:
    tag = yaml.safe_load((CHART / "values.yaml").read_text())["webapp"]["oidc"]["image"]["tag"]

    assert (
        f"github.com/oauth2-proxy/oauth2-proxy/v7 {tag} "
        in (REPOSITORY / "tests/cluster/oauth2proxy/go.mod").read_text()
    )


def test_sessions_end_when_who_may_sign_in_changes_and_not_otherwise() -> None:
    def cookie(values: Object) -> str:
        [(_, template)] = pods(applied_by_operator(render(values)))
        [name] = [each for each in template["spec"]["containers"][1]["args"] if "--cookie-name" in each]
        return str(name)

    assert cookie(with_oidc()) == cookie(with_oidc(image={"tag": "v9"}, session={"hours": 1}))
    for changed in (
        {"allowedEmailDomains": ["example.org"]},
        {"usernameClaim": "sub"},
        {"groupsClaim": "roles"},
        {"clientId": "other"},
    ):
        assert cookie(with_oidc()) != cookie(with_oidc(**changed)), changed


def test_a_session_s_secret_that_exists_is_taken() -> None:
    objects = render(with_oidc(session={"existingSecret": "mine"}))
    [(_, template)] = pods(applied_by_operator(objects))

    names = {each["secret"]["secretName"] for each in template["spec"]["volumes"] if "secret" in each}
    assert names == {"mine", "client"}
    assert [each for each in objects if each["metadata"]["name"] == "hitl-session"] == []


def test_each_root_has_a_web_app_of_its_own() -> None:
    objects = render(ROOTS)
    applied = applied_by_operator(objects)

    names = [each["metadata"]["name"] for each in applied if each["kind"] == "Deployment"]
    assert names == ["hitl-webapp-red", "hitl-webapp-blue"]
    budgets = [each["metadata"]["name"] for each in applied if each["kind"] == "PodDisruptionBudget"]
    services = {each["metadata"]["name"]: each["spec"] for each in applied if each["kind"] == "Service"}
    assert (budgets, list(services)) == (names, [each + more for each in names for more in ("", "-pods")])
    selectors = [each["selector"]["hitl.flyte.org/root"] for each in services.values()]
    assert selectors == ["red", "red", "blue", "blue"]
    # The operator finds each pod by the Service that has no address of its own.
    [secret] = [
        each for each in objects if each["metadata"]["name"] == "hitl-operator" and each["kind"] == "Secret"
    ]
    told = [each["webapp_url"] for each in json.loads(secret["stringData"]["HITL_ROOTS"])]
    for name, url in zip(names, told, strict=True):
        service = services[f"{name}-pods"]
        assert url.startswith(f"http://{name}-pods.")
        assert (service["clusterIP"], url.rpartition(":")[2]) == ("None", str(service["ports"][0]["port"]))
    [red, _] = [template for _, template in pods(applied)]
    assert [each["secretRef"]["name"] for each in red["spec"]["containers"][0]["envFrom"]] == ["hitl-root-red"]


@pytest.mark.parametrize("kind", ["Ingress", "HTTPRoute"])
def test_capital_letters_of_the_endpoint_are_none_in_a_host_which_the_api_server_would_refuse(kind: str) -> None:
    values = EVERYTHING if kind == "Ingress" else VARIANTS["gateway"]
    [route] = [
        each
        for each in applied_by_operator(render(values | {"endpoint": "https://HITL.example.org"}))
        if each["kind"] == kind
    ]

    assert "hitl.example.org" in text(route["spec"])
    assert "HITL" not in text(route["spec"])


@pytest.mark.parametrize("kind", ["Ingress", "HTTPRoute"])
def test_the_endpoint_says_the_host(kind: str) -> None:
    applied = applied_by_operator(render(EVERYTHING if kind == "Ingress" else VARIANTS["gateway"]))

    route = found(applied, kind, "hitl-webapp")["spec"]

    hosts = [each["host"] for each in route["rules"]] if kind == "Ingress" else route["hostnames"]
    assert hosts == ["hitl.example.org"]
    assert "hitl-webapp" in json.dumps(route["rules"])


def test_a_changed_template_starts_the_operator_anew() -> None:
    def settings(values: Object) -> str:
        [(_, template)] = [each for each in pods(render(values)) if each[0] == "hitl-operator"]
        return str(template["metadata"]["annotations"]["hitl.flyte.org/settings"])

    assert settings(PLAIN) == settings(PLAIN)
    assert settings(PLAIN) != settings(PLAIN | {"webapp": {"replicas": 3}})
    assert settings(PLAIN) != settings({"storage": {"url": "s3://bucket/other"}})


@pytest.mark.parametrize("replicas", [1, 3])
def test_each_operator_may_hold_the_leases_of_all_parts_and_no_others(replicas: int) -> None:
    objects = render(PLAIN | {"operator": {"replicas": replicas}})

    deployment = found(objects, "Deployment", "hitl-operator")["spec"]
    variables = environment(deployment["template"])
    leases = lease_names(variables["HITL_LEASE"], int(variables["HITL_SHARDS"]))
    rules = [each for each in found(objects, "Role", "hitl-operator")["rules"] if each["resources"] == ["leases"]]
    assert deployment["replicas"] == len(leases) == replicas
    assert [each["resourceNames"] for each in rules if each["verbs"] == ["get", "update"]] == [leases]
    # With one, a second one of another release of the image never works beside it.
    assert deployment["strategy"]["type"] == ("Recreate" if replicas == 1 else "RollingUpdate")


def test_options_lie_in_secrets_alone() -> None:
    objects = render({"storage": {"url": "s3://bucket/hitl", "options": {"secret_access_key": "k3y"}}})

    assert {each["kind"] for each in objects if "k3y" in json.dumps(each)} == {"Secret"}


@pytest.mark.parametrize("variant", ["plain", "everything", "gateway", "roots"])
def test_the_operator_may_create_what_it_applies_and_nothing_of_another_name(variant: str) -> None:
    objects = render(VARIANTS[variant])
    rules = found(objects, "Role", "hitl-operator")["rules"]
    names = {
        resource: rule.get("resourceNames", [])
        for rule in rules
        if "create" in rule["verbs"]
        for resource in rule["resources"]
    }

    # A Lease is posted, and the name of what is posted does not count for rights.
    assert [resource for resource in names if not names[resource]] == ["leases"]
    applied = applied_by_operator(objects)
    assert {each["kind"] for each in applied} >= {"Deployment", "Service", "PodDisruptionBudget"}
    for each in applied:
        plural = each["kind"].lower() + ("es" if each["kind"].endswith("s") else "s")
        assert each["metadata"]["name"] in names[plural]


@pytest.mark.parametrize(
    ("namespaces", "kind"),
    [([], "ClusterRole"), (["red", "blue"], "Role")],
    ids=["everywhere", "in two namespaces"],
)
def test_rights_on_flyte_s_objects_come_only_when_asked_for_and_only_to_read(
    namespaces: list[str], kind: str
) -> None:
    def rights(values: Object) -> list[tuple[str, str, Object]]:
        return [
            (each["kind"], each["metadata"].get("namespace", ""), rule)
            for each in render(PLAIN | {"namespaces": namespaces} | values)
            if each["kind"] in ("Role", "ClusterRole")
            for rule in each["rules"]
            if "flyte.org" in rule["apiGroups"]
        ]

    reads = {"apiGroups": ["flyte.org"], "resources": ["taskactions"], "verbs": ["get", "list", "watch"]}
    assert rights({}) == []
    given = rights({"operator": {"flyte": {"taskActions": True}}})
    assert given == [(kind, place, reads) for place in (namespaces or [""])]


def test_no_role_comes_with_the_cluster_s_own() -> None:
    labels = [each["metadata"].get("labels", {}) for each in render(PLAIN) if each["kind"] == "ClusterRole"]

    assert len(labels) >= 4
    assert [name for each in labels for name in each if "aggregate" in name] == []


def test_every_alert_and_its_metric_exist() -> None:
    [rule] = [each for each in render(VARIANTS["monitored"]) if each["kind"] == "PrometheusRule"]
    defined = set(re.findall(r'"(hitl_\w+)"', (REPOSITORY / "operator/hitl_operator/metrics.py").read_text()))

    alerts = rule["spec"]["groups"][0]["rules"]
    used = {name.removesuffix("_total") for each in alerts for name in re.findall(r"hitl_\w+", each["expr"])}

    assert used <= defined
    assert all(each["annotations"]["description"] for each in alerts)


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        (PLAIN, "does not stamp who answers", "The storage is embedded"),
        (VARIANTS["stamped"], "network must enforce NetworkPolicies", "does not stamp"),
        (EMBEDDED, "for trying out", "networkPolicy.enabled is false"),
        (VARIANTS["without policies"], "identity.policies is false", "does not stamp"),
        (
            PLAIN | {"networkPolicy": {"enabled": False}},
            "every pod may reach",
            "network must enforce NetworkPolicies",
        ),
        (EVERYTHING, "https://hitl.example.org", "auth is link"),
        (
            VARIANTS["by token"],
            "kubectl create token NAME --namespace default --audience=hitl.flyte.org",
            "auth is link",
        ),
        (VARIANTS["by sign-in"], "https://hitl.example.org/oauth2/callback", "auth is link"),
        (with_oidc(allowedGroups=[], allowedEmailDomains=["*"]), "every user of the provider", "no TLS"),
        (with_oidc() | {"endpoint": "http://hitl.example.org"}, "can take over a session", "every user of"),
        # No hint gets through to an operator that nobody but the web app may reach.
        (PLAIN, "HITL_STORAGE_ROOT=s3://bucket/hitl", "HITL_HINT_URL"),
        (EVERYTHING, "HITL_HINT_URL=http://hitl-operator.hitl-system.svc:8080", "auth is link"),
    ],
)
def test_the_notes_say_what_is_not_enforced(values: Object, said: str, unsaid: str) -> None:
    with helm.Chart.load(CHART) as chart:
        [notes] = [
            text
            for path, text in chart.render(values, name="hitl", namespace=NAMESPACE).items()
            if path.endswith("NOTES.txt")
        ]

    assert said in notes
    assert unsaid not in notes
    assert "{{" not in notes


def test_the_notes_first_question_is_a_humaninput() -> None:
    with helm.Chart.load(CHART) as chart:
        notes = chart.render(PLAIN, name="hitl", namespace=NAMESPACE)["hitl/templates/NOTES.txt"]

    manifest = yaml.safe_load(notes.split("<<END\n")[1].split("  END")[0])
    assert manifest["kind"] == "HumanInput"


@pytest.mark.parametrize("endpoint", ["", "https://hitl.example.org"])
def test_the_notes_take_the_link_from_its_secret(endpoint: str) -> None:
    with helm.Chart.load(CHART) as chart:
        notes = chart.render(PLAIN | {"endpoint": endpoint}, name="hitl", namespace=NAMESPACE)[
            "hitl/templates/NOTES.txt"
        ]
    command = re.search(r"^  kubectl get secret(?:.*\\\n)*.*$", notes, re.MULTILINE)
    assert command is not None
    # What kubectl prints is given here: only the rest of the command is run.
    kept = f"{endpoint or 'http://hitl-webapp.hitl-system.svc'}/form/0d9f?token=t"
    given = base64.b64encode(kept.encode()).decode()
    script = f"kubectl() {{ printf %s {given}; }}\n{command[0]}"

    shown = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == f"{endpoint or 'http://localhost:8080'}/form/0d9f?token=t"
    assert ("port-forward" in notes) == (not endpoint)
