"""The chart, as tests render and install it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "hitl"
RELEASE = "hitl"
NAMESPACE = "hitl-system"

Object = dict[str, Any]

PLAIN: Object = {"storage": {"url": "s3://bucket/hitl"}}
EMBEDDED: Object = {"storage": {"embedded": {"enabled": True}}}
ROOTS: Object = {
    "roots": [
        {"name": "red", "url": "s3://red/hitl", "namespaces": ["red"], "endpoint": "https://red.example.org"},
        {"name": "blue", "url": "gs://blue/hitl", "namespaces": ["blue"], "endpoint": "https://blue.example.org"},
    ]
}
EVERYTHING: Object = {
    **EMBEDDED,
    "endpoint": "https://hitl.example.org",
    "auth": "proxy",
    "image": {"pullSecrets": ["registry"], "digest": f"sha256:{'0' * 64}"},
    "operator": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "few", "operator": "Exists"}],
        "priorityClassName": "system-cluster-critical",
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "annotations": {"note": "operator"},
        "labels": {"team": "platform"},
    },
    "webapp": {
        "replicas": 2,
        "affinity": {"nodeAffinity": {}},
        "annotations": {"note": "webapp"},
        "labels": {"team": "platform"},
        "proxy": {"existingSecret": "proxy"},
        "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"}, "tlsSecret": "tls"},
    },
    "policy": {
        "defaultApproval": {"requiredResponses": 2, "allowLinks": True},
        "exceptNamespaces": ["sandbox"],
    },
    "networkPolicy": {
        "webappFrom": [{"namespaceSelector": {}}],
        "hintsFrom": [{"namespaceSelector": {}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
}
MONITORED: Object = {
    "monitoring": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "grafanaDashboard": {"enabled": True},
    }
}
GATEWAY: Object = {
    "endpoint": "https://hitl.example.org",
    "webapp": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
}

OIDC: Object = {
    "auth": "oidc",
    "endpoint": "https://hitl.example.org",
    "webapp": {
        "oidc": {
            "issuerUrl": "https://login.example.org",
            "clientId": "hitl",
            "existingSecret": "client",
            "allowedGroups": ["sre", "finance"],
            "signOutUrl": "https://login.example.org/logout?client_id=hitl",
            "caConfigMap": "ca",
        }
    },
}

VARIANTS: dict[str, Object] = {
    "plain": PLAIN,
    "embedded": EMBEDDED,
    "roots": ROOTS,
    "everything": EVERYTHING,
    "monitored": PLAIN | MONITORED,
    "gateway": PLAIN | GATEWAY,
    "in two namespaces": PLAIN | {"namespaces": ["red", "blue"]},
    "by sign-in": PLAIN | OIDC,
    "by sign-in, two roots": ROOTS | {"auth": "oidc", "webapp": OIDC["webapp"]},
    "by token": PLAIN | {"auth": "kubernetes"},
    "stamped": PLAIN | {"identity": {"mutatingAdmissionPolicy": True}},
    "not stamped": PLAIN | {"identity": {"mutatingAdmissionPolicy": False}},
    "without policies": PLAIN | {"identity": {"policies": False}},
    "beside Flyte": PLAIN | {"namespaces": ["red", "blue"], "operator": {"flyte": {"taskActions": True}}},
    "external web app": PLAIN | {"webapp": {"mode": "external"}},
}


def render(values: Mapping[str, Any], name: str = RELEASE) -> list[Object]:
    """Return the objects that a release would have, hooks too, in Helm's order of files."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(dict(values), name=name, namespace=NAMESPACE, is_install=True)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def applied_by_operator(objects: list[Object]) -> list[Object]:
    """Return what the operator applies: the manifests in the web app's ConfigMap."""
    data = found(objects, "ConfigMap", f"{RELEASE}-webapp")["data"]
    return [each for text in data.values() for each in yaml.safe_load_all(text)]


def found(objects: list[Object], kind: str, name: str) -> Object:
    """Return the one object of a kind and name."""
    [one] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return one


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the metadata name and pod template of each workload."""
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]
        elif each["kind"] == "Pod":
            yield each["metadata"]["name"], {"metadata": each["metadata"], "spec": each["spec"]}


def with_oidc(**changed: Any) -> Object:
    """Return values of `auth: oidc`, with some that are changed."""
    return PLAIN | OIDC | {"webapp": {"oidc": {**OIDC["webapp"]["oidc"], **changed}}}


def environment(template: Object) -> dict[str, str]:
    """Return the plain environment of a pod's first container."""
    return {each["name"]: each.get("value", "") for each in template["spec"]["containers"][0].get("env", [])}


def text(content: Object) -> str:
    """Return an object as kubectl reads it."""
    return json.dumps(content)
