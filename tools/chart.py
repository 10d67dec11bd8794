#!/usr/bin/env python3
"""Writes the chart's values.yaml and values.schema.json, both from the models below.

`tools/chart.py` writes them; `tools/chart.py --check` fails when they are not what it would write.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CHART: Final = Path(__file__).parents[1] / "charts" / "hitl"

Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$")]
Texts: TypeAlias = dict[str, str]
_REMOTE: Final = r"(s3|s3a|gs|az|azure|abfs|abfss)://.+"
Object: TypeAlias = dict[str, Any]
PullPolicy: TypeAlias = Literal["Always", "IfNotPresent", "Never"]
Auth: TypeAlias = Literal["link", "oidc", "proxy", "kubernetes"]
# oauth2-proxy puts environment variables in where it finds a dollar sign.
Plain: TypeAlias = Annotated[str, Field(pattern=r"^[^$\s]*$")]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]


class Section(BaseModel):
    """A group of values; a misspelt one is refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True
    )


class Image(Section):
    """The image of the operator, the web app and the command."""

    repository: str = Field(default="localhost/hitl", min_length=1)
    """Where you pushed the image that the Dockerfile builds."""
    tag: str = ""
    """Empty: the chart's appVersion."""
    digest: Digest = ""
    """For example sha256:…. It is used instead of the tag."""
    pull_policy: PullPolicy = "IfNotPresent"
    pull_secrets: list[str] = []
    """Names of Secrets in the release's namespace, for every pod of the chart."""


class Crds(Section):
    """The custom resource definitions."""

    enabled: bool = True
    """Install the CRDs with the chart."""
    keep: bool = True
    """Keep the CRDs, and so every HumanInput, when the chart is uninstalled."""


class EmbeddedImage(Section):
    """SeaweedFS."""

    repository: str = Field(default="docker.io/chrislusf/seaweedfs", min_length=1)
    tag: str = "4.48"
    pull_policy: PullPolicy = "IfNotPresent"


class Embedded(Section):
    """A storage for trying out."""

    enabled: bool = False
    """Run SeaweedFS, one pod with one volume, as the storage. For trying out: there is no copy of the data."""
    image: EmbeddedImage = EmbeddedImage()
    command: list[str] = ["weed"]
    """How its image starts SeaweedFS."""
    size: str = "1Gi"
    """The volume's size."""
    storage_class_name: str | None = None
    """null: the cluster's default. An empty text: an existing volume."""
    resources: Object = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


class Storage(Section):
    """Where questions and outcomes are kept."""

    url: str = Field(default="", pattern=rf"^({_REMOTE})?$")
    """The root's URL: s3://bucket/prefix, gs://…, az://…. It, `roots` or `embedded` is needed."""
    options: Object = {}
    """Options for the storage client, such as {endpoint: http://…}. They are kept in a Secret."""
    existing_secret: str = ""
    """A Secret in the release's namespace whose keys become environment variables of the operator and the
    web app, such as AWS_ACCESS_KEY_ID. Empty: workload identity, by `serviceAccount.annotations`."""
    embedded: Embedded = Embedded()


class Root(Section):
    """One of several roots."""

    name: Name
    url: str = Field(pattern=rf"^{_REMOTE}$")
    options: Object = {}
    """As `storage.options`. Credentials that differ between roots belong here."""
    namespaces: list[str] = Field(min_length=1)
    """The namespaces of the root's questions. A request that names another namespace is ignored."""
    endpoint: str = Field(default="", pattern=r"^(https?://[^/]+)?$")
    """As the top-level `endpoint`."""
    existing_secret: str = ""
    """As `storage.existingSecret`, for this root's web app."""


class ServiceAccount(Section):
    """A component's service account."""

    annotations: Texts = {}
    """For workload identity, such as eks.amazonaws.com/role-arn or iam.gke.io/gcp-service-account."""


class Pod(Section):
    """The settings of each component's pods."""

    resources: Object = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    service_account: ServiceAccount = ServiceAccount()
    env: list[Object] = []
    """More environment variables, as in a container's `env`."""
    annotations: Texts = {}
    labels: Texts = {}
    node_selector: Texts = {}
    tolerations: list[Object] = []
    affinity: Object = {}
    priority_class_name: str = ""


class Flyte(Section):
    """Flyte 2 in the same cluster."""

    task_actions: bool = False
    """Watch Flyte's TaskActions, and cancel questions whose workflow was aborted or has ended. The operator gets
    the rights get, list and watch on them. Needs Flyte's CRD taskactions.flyte.org."""


class Operator(Pod):
    """The operator."""

    replicas: int = Field(default=1, ge=1, le=64)
    """Pods. With several, each does the work of a part of the namespaces, and of those whose pod died."""
    sweep_seconds: float = Field(default=3, gt=0)
    """Seconds between two looks for new questions and outcomes. A hint makes it look at once."""
    open_seconds: float = Field(default=30, gt=0)
    """Seconds between two pages of the index of open questions."""
    audit_seconds: float = Field(default=300, gt=0)
    """Seconds between two pages of the full scan of the storage."""
    retention_days: float = Field(default=30, gt=0)
    """Days after its outcome when a question is deleted from the storage."""
    ttl_seconds: int = Field(default=604800, ge=0)
    """Seconds after its outcome when the HumanInput of a question asked through storage is deleted."""
    workers: int = Field(default=32, ge=1, le=512)
    """How many objects of each root are processed at the same time."""
    flyte: Flyte = Flyte()


class Proxy(Section):
    """A trusted proxy that names users, with `auth: proxy`."""

    existing_secret: str = ""
    """With `auth: proxy`: a Secret with what the proxy may send as X-HITL-Proxy-Secret, one value a line."""
    secret_key: str = "secret"  # noqa: S105 - the name of a key
    user_header: str = "X-Forwarded-User"
    groups_header: str = "X-Forwarded-Groups"


class OidcImage(Section):
    """oauth2-proxy. The chart is tested with this version alone."""

    repository: str = Field(default="quay.io/oauth2-proxy/oauth2-proxy", min_length=1)
    """The image, or your copy of it. Its entry point is oauth2-proxy."""
    tag: str = Field(default="v7.15.6", min_length=1)
    """Its version."""
    digest: Digest = ""
    """For example sha256:…. It is used instead of the tag."""
    pull_policy: PullPolicy = "IfNotPresent"


class OidcSession(Section):
    """How long somebody is signed in. The session is in a cookie that oauth2-proxy alone can read."""

    hours: int = Field(default=12, ge=1, le=8760)
    """Hours until people must sign in again."""
    refresh_minutes: int = Field(default=0, ge=0)
    """Minutes until the provider is asked for the user's groups again. It needs refresh tokens: most providers
    give them for the scope offline_access. 0: the groups stay those of the sign-in."""
    existing_secret: str = ""
    """A Secret with the keys cookie (32 letters and digits) and proxy (letters and digits), for tools that render
    the chart without the cluster. Empty: the chart generates a Secret once, and keeps it over upgrades."""


class Oidc(Section):
    """Sign-in by OpenID Connect, with `auth: oidc`: oauth2-proxy runs beside the web app."""

    issuer_url: str = Field(default="", pattern=r"^(https?://[^$\s]+)?$")
    """The provider's issuer URL, as its discovery document has it, such as https://login.example.org/realms/staff."""
    client_id: Plain = ""
    """The client's ID at the provider. Its redirect URL is the `endpoint` with /oauth2/callback."""
    existing_secret: str = ""
    """A Secret in the release's namespace with the client's secret."""
    secret_key: str = "client-secret"  # noqa: S105 - the name of a key
    """Its key in there. The value has no line end."""
    scopes: list[Plain] = Field(default=["openid", "email", "profile"], min_length=1)
    """What is asked of the provider. Some providers give groups only for the scope groups."""
    username_claim: Plain = Field(default="email", min_length=1)
    """The claim with the name that is recorded, and that a question's respondents.users has. Users must not be
    able to choose it. An e-mail address that the provider calls unverified is refused."""
    groups_claim: Plain = Field(default="groups", min_length=1)
    """The claim with the user's groups, which a question's respondents.groups has."""
    allowed_email_domains: list[Plain] = []
    """Domains whose e-mail addresses may sign in, such as [example.org]. ["*"]: every user of the
    provider. It or `allowedGroups` is needed; with both, both must hold."""
    allowed_groups: list[Annotated[str, Field(pattern=r"^[^,]+$")]] = []
    """Groups whose members may use the web app. Each request is checked."""
    sign_out_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """Where people go after signing out: the provider's page that ends its session too. Empty: back to the web
    app. While the provider's session lasts, signing in again takes no password."""
    ca_config_map: str = ""
    """A ConfigMap with the key ca.crt: the provider's CA, if it is not a public one."""
    image: OidcImage = OidcImage()
    session: OidcSession = OidcSession()
    resources: Object = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    """Those of oauth2-proxy. With 300 open pages it takes some 50 MiB."""


class Ingress(Section):
    """The web app's Ingress."""

    enabled: bool = False
    """Needs `endpoint`, which has the host."""
    class_name: str = ""
    annotations: Texts = {}
    tls_secret: str = ""
    """A Secret with the certificate. Empty: the ingress controller's own."""


class HttpRoute(Section):
    """The web app's HTTPRoute, of the Gateway API."""

    enabled: bool = False
    """Needs `endpoint`, which has the host, and the Gateway API."""
    parent_refs: list[Object] = []
    """The Gateways, such as [{name: public, namespace: gateways}]."""
    annotations: Texts = {}


class Webapp(Pod):
    """The web app: the form and the API."""

    mode: Literal["managed", "external"] = "managed"
    """managed: the operator runs it while questions are open. external: you run it."""
    replicas: int = Field(default=1, ge=1)
    """Number of pods while questions are open. With 2, draining a node causes no outage."""
    idle_seconds: float = Field(default=3600, ge=0)
    """Seconds until it stops after the last pending question."""
    resources: Object = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}
    oidc: Oidc = Oidc()
    proxy: Proxy = Proxy()
    ingress: Ingress = Ingress()
    http_route: HttpRoute = HttpRoute()


class Notifications(Section):
    """Notices that the operator sends to NotificationTargets."""

    secret_names: list[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]] = [
        "hitl-notifications"
    ]
    """Names of Secrets that the operator may read wherever questions are. A NotificationTarget that names another
    one needs a Role in its namespace."""
    private_addresses: bool = False
    """Let NotificationTargets use http, and addresses inside the cluster. Then everybody who may create one can
    have the operator post there."""


class Identity(Section):
    """How admission identifies who answers."""

    policies: bool = True
    """Install the admission policies, which check who may answer. Without them, only roles do."""
    mutating_admission_policy: Literal["auto", True, False] = "auto"
    """Whether the API server stamps who answered. auto: if it serves v1 (Kubernetes 1.36 or later)."""


class GroupVotes(Section):
    """How many people must be of a group."""

    name: str = Field(min_length=1)
    required: int = Field(ge=1, le=64)


class DefaultApproval(Section):
    """For a HumanInput that has neither `approval` nor `policyRef`: the fields of `spec.approval`."""

    required_responses: int = Field(default=0, ge=0, le=64)
    """How many people must give the same answer. 0: there is no default, and one person decides."""
    groups: list[GroupVotes] = Field(default=[], max_length=16)
    """How many of them must be of which group, such as [{name: sre, required: 1}]."""
    rejections: int = Field(default=1, ge=1, le=64)
    """How many people must decline, so that the question is rejected."""
    exclude_requester: bool = False
    """Whether who creates the HumanInput may not vote."""
    comment_required: Literal["Never", "OnReject", "Always"] = "Never"
    """Who must write a comment."""
    allow_links: bool = False
    """Whether votes count whose sender is not verified."""


class Policy(Section):
    """Who must agree where a HumanInput does not say so. It is copied when the question is asked."""

    default_approval: DefaultApproval = DefaultApproval()
    except_namespaces: list[str] = []
    """Namespaces without this default."""


class NetworkPolicy(Section):
    """Which connections are allowed."""

    enabled: bool = True
    """Install NetworkPolicies. The cluster's network must enforce them."""
    webapp_from: list[Object] = []
    """Who may reach the web app, as in a rule's `from`. Empty: anybody."""
    hints_from: list[Object] = []
    """Who may reach the operator, in addition to the web app: pods that send hints, Prometheus."""
    egress: list[Object] = []
    """Rules for what the operator and the web app may reach (storage, API server), in addition to DNS and each
    other. Empty: anything."""


class Switch(Section):
    """An optional object, and its labels."""

    enabled: bool = False
    labels: Texts = {}


class Dashboard(Switch):
    """The dashboard for Grafana: a ConfigMap that the sidecar of Grafana's chart reads. One shows all releases."""

    labels: Texts = {"grafana_dashboard": "1"}
    """By which the sidecar finds it."""
    annotations: Texts = {}
    """Such as the folder, in the annotation that the sidecar is set to read."""


class Monitoring(Section):
    """For Prometheus."""

    service_monitor: Switch = Switch()
    """A ServiceMonitor for the operator and the web app. It needs the Prometheus operator."""
    prometheus_rule: Switch = Switch()
    """Alerts. They need the Prometheus operator."""
    grafana_dashboard: Dashboard = Dashboard()


class Values(Section):
    """The chart's values."""

    global_: Object = Field(default={}, alias="global")
    """Values that Helm passes to all subcharts. This chart does not use them."""
    name_override: str = Field(default="", max_length=40)
    """The label `app.kubernetes.io/name`. Empty: the chart's name."""
    fullname_override: str = Field(default="", max_length=40)
    """The prefix of every object's name. Empty: the release's name."""
    image: Image = Image()
    crds: Crds = Crds()
    storage: Storage = Storage()
    roots: list[Root] = []
    """Several roots instead of `storage.url`, for tenants who do not trust each other. Each has name, url,
    options, namespaces, endpoint and existingSecret."""
    namespaces: list[str] = []
    """The namespaces of questions. The operator has rights only there. Empty: the whole cluster."""
    endpoint: str = Field(default="", pattern=r"^(https?://[^/]+)?$")
    """The web app's base URL as people reach it, such as https://hitl.example.org, without a slash at its end.
    Empty: its Service's."""
    auth: Auth = "link"
    """Who may answer in the web app: link (everyone who has a link), oidc (users who sign in by OpenID Connect,
    see `webapp.oidc`), proxy (users that a trusted proxy names) or kubernetes (users with the verb `answer`, by
    token)."""
    operator: Operator = Operator()
    webapp: Webapp = Webapp()
    identity: Identity = Identity()
    notifications: Notifications = Notifications()
    policy: Policy = Policy()
    network_policy: NetworkPolicy = NetworkPolicy()
    monitoring: Monitoring = Monitoring()


def values_yaml() -> str:
    """Return values.yaml: each value's default, below its docstring."""
    head = "# Generated by `tools/chart.py`, which has these descriptions. Do not edit.\n"
    return head + "\n".join(_lines(Values(), ""))[1:] + "\n"


def _lines(section: Section, indent: str) -> list[str]:
    lines = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if not indent:
            lines.append("")
        described = field.description or (isinstance(value, Section) and type(value).__doc__) or ""
        lines += [f"{indent}# {text}" for text in textwrap.wrap(described, 100 - len(indent))]
        if isinstance(value, Section):
            lines += [f"{indent}{field.alias}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{field.alias}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def schema_json() -> str:
    """Return values.schema.json."""
    schema = Values.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(_untitled(schema), indent=2, ensure_ascii=False) + "\n"


def _untitled(node: Any) -> Any:
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if not isinstance(node, dict):
        return node
    # A title that is no text is a property of that name.
    return {
        key: _untitled(value)
        for key, value in node.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }


def main() -> int:
    """Write both files, or compare."""
    wanted = {CHART / "values.yaml": values_yaml(), CHART / "values.schema.json": schema_json()}
    if "--check" not in sys.argv[1:]:
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for name in stale:
        print(f"charts/hitl/{name} is not what tools/chart.py writes: run it")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
