"""The operator's settings, from `HITL_*`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hitl.core.approval import Approval
from hitl.settings import Unproven, warn_of_misspelt
from hitl.storage import Store, Watcher

WebappMode: TypeAlias = Literal["managed", "external"]


class RootSettings(BaseModel):
    """One root: where it lies, and whose questions it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="default", pattern=r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$")
    url: str
    options: dict[str, Any] = {}
    namespaces: tuple[str, ...] = ()
    endpoint: str = ""
    webapp_url: str = Field(default="", pattern=r"^(http://[^/?#@\s]+(/[^?#\s]*)?)?$")
    unproven: Unproven = "refuse"

    @field_validator("webapp_url")
    @classmethod
    def _names_a_host(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            # The resolver takes names in IDNA, and no empty label.
            known = not url or (parts.hostname and parts.port != 0 and parts.hostname.encode("idna"))
        except ValueError:
            known = False
        if not known:
            raise ValueError("it is no address such as http://hitl-webapp-pods.hitl.svc:8080: check host and port")
        return url

    def serves(self, namespace: str) -> bool:
        """Tell whether questions of a namespace belong here; of every one, when none is named."""
        return not self.namespaces or namespace in self.namespaces

    def open_store(self, watcher: Watcher | None = None) -> Store:
        """Open the store under the root.

        Raises:
            StorageUnsuitable: for a kind of storage that cannot be served.
        """
        return Store(self.url, self.options, watcher=watcher, unproven=self.unproven == "allow")


class OperatorSettings(BaseSettings):
    """Which roots and namespaces the operator keeps in sync, and how."""

    model_config = SettingsConfigDict(
        env_prefix="HITL_",
        extra="ignore",
        populate_by_name=True,
        use_attribute_docstrings=True,
        cli_prog_name="hitl-operator",
        cli_kebab_case=True,
        cli_implicit_flags=True,
    )

    storage_root: str = ""
    """The URL of the one root, such as `s3://bucket/hitl`. For several use `HITL_ROOTS`."""
    storage_options: dict[str, Any] = {}
    """JSON: options for the storage client of that root, such as `{"endpoint": "http://…"}`."""
    storage_unproven: Unproven = "refuse"
    """`allow`: use kinds of storage that HITL's contract tests do not run on, after the proof at start."""
    endpoint: str = ""
    """The base URL of that root's web app, as people reach it."""
    webapp_url: str = ""
    """The address of that root's web apps inside the cluster, such as `http://hitl-webapp-pods.hitl.svc:8080`.
    Each address of its host name is told of new questions and outcomes at once. Empty: none is."""
    roots: list[RootSettings] = []
    """JSON: a list of roots, each with `name`, `url`, `options`, `namespaces`, `endpoint` and `webapp_url`,
    instead of `HITL_STORAGE_ROOT`. A question counts only where its namespace is one of its root's."""
    namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """The namespaces to watch, separated by commas. Empty: all of them."""
    port: int = Field(default=8080, ge=0, le=65535)
    """The port of `/healthz`, `/readyz`, `/metrics` and `POST /hints/{request_id}`; 0 takes a free one."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's probes and hints come from outside it
    """The address to listen on."""
    sweep_seconds: float = Field(default=3, gt=0)
    """Seconds between two looks for markers, which name questions and outcomes."""
    open_seconds: float = Field(default=30, gt=0)
    """Seconds between two pages of a thousand open questions in the index of each root, where questions without a
    HumanInput are found. The first round after a start does not pause."""
    audit_seconds: float = Field(default=300, gt=0)
    """Seconds between two pages of a thousand objects in the full scan of each root, which finds what is missing
    in the index. The first scan after a start takes a page each `open_seconds`."""
    anchor_seconds: float = Field(default=60, gt=0)
    """Seconds between two looks at the audit of each root, whose newest hash is anchored in the cluster."""
    audit_anchor: str = ""
    """The ConfigMap, in the operator's own namespace, that holds the newest hash of the audit of each root. Empty:
    none does, and only the metric shows it."""
    retention_days: float = Field(default=30, gt=0)
    """How many days after its outcome a question is kept in storage. Less than a day counts as a day, and so does
    what would end within a day after the deadline: a program may still wait."""
    ttl_seconds: int = Field(default=604_800, ge=0)
    """Seconds after its outcome when the HumanInput of a question that was asked through storage is deleted."""
    idle_seconds: float = Field(default=3600, ge=0)
    """How many seconds the web app goes on after the last pending question."""
    webapp_mode: WebappMode = "managed"
    """`managed`: the operator runs the web app on demand. `external`: somebody else does."""
    webapp_templates: Path | None = None
    """A folder with one file `{root name}.yaml` for each root: the web app's Deployment, Service and so on."""
    operator_namespace: str = ""
    """The operator's own namespace, where the web app runs. Empty: that of its credentials."""
    operator_deployment: str = ""
    """The operator's own Deployment, which owns the web app's objects, so that they go when it goes."""
    lease: str = "hitl-operator"
    """The Lease that keeps a second operator idle. Empty: none does."""
    shards: int = Field(default=1, ge=1, le=64)
    """Into how many parts the namespaces are divided, each with a Lease of its own, so that as many operators
    share the work. All of them need the same number."""
    auth: Literal["link", "proxy", "kubernetes"] = "link"
    """How the web app knows who answers. With `link`, a question asked in Kubernetes gets a Secret with a link,
    unless it is answered first."""
    identity_verified: bool = False
    """Whether the cluster stamps `respondent` at admission, so that what it says can be believed."""
    default_approval: Approval | None = None
    """JSON: who must agree on a HumanInput without `approval` and `policyRef`, as `spec.approval` says it, such as
    `{"requiredResponses": 2}`. Unset: one person decides. It is copied when the question is asked."""
    default_except: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces whose HumanInputs do not get the default approval, separated by commas."""
    flyte_task_actions: bool = False
    """Whether the operator watches Flyte's TaskActions (`taskactions.flyte.org`, which it only reads), and cancels
    questions whose workflow has ended. For clusters where Flyte 2 runs its tasks."""
    kubeconfig: str | None = None
    """A kubeconfig file. Unset: the pod's own credentials inside a cluster, else the usual kubeconfig."""
    context: str | None = None
    """The context of the kubeconfig. Unset: its current one."""
    notify: SecretStr = SecretStr("")
    """Where the operator sends notices about the questions of every namespace that it watches, beside each
    namespace's NotificationTargets: a webhook's URL, or a JSON list of targets, see [Notices](notify.md). Empty:
    nowhere."""
    notify_private: Literal["refuse", "allow"] = "refuse"
    """`allow`: NotificationTargets and `HITL_NOTIFY` may use http, and addresses that are not public, too. Then
    everybody who may create a NotificationTarget can have the operator post to what is inside the cluster."""
    workers: int = Field(default=32, ge=1, le=512)
    """How many objects of each root are worked on side by side."""

    @model_validator(mode="before")
    @classmethod
    def _split_namespaces(cls, values: Any) -> Any:
        for field in ("namespaces", "default_except"):
            named = values.get(field) if isinstance(values, dict) else None
            if isinstance(named, str):
                values[field] = tuple(each.strip() for each in named.split(",") if each.strip())
        return values

    @model_validator(mode="after")
    def _has_roots(self) -> Self:
        if bool(self.storage_root) == bool(self.roots):
            raise ValueError("set either HITL_STORAGE_ROOT, for one root, or HITL_ROOTS, for several")
        names = [root.name for root in self.all_roots()]
        if len(set(names)) != len(names):
            raise ValueError("two roots of HITL_ROOTS have the same name: give each its own")
        for namespace in {each for root in self.roots for each in root.namespaces}:
            if sum(root.serves(namespace) for root in self.roots) > 1:
                raise ValueError(f"namespace {namespace} belongs to two roots: name it in one only")
        if len(self.roots) > 1 and not all(root.namespaces for root in self.roots):
            raise ValueError("each of several roots must name its namespaces")
        return self

    def model_post_init(self, _context: Any, /) -> None:
        """Look for settings that are misspelt."""
        warn_of_misspelt(type(self).model_fields)

    def all_roots(self) -> list[RootSettings]:
        """Return the roots."""
        unproven = self.storage_unproven
        if self.roots:
            allowed = {"unproven": unproven} if unproven == "allow" else {}
            return [root.model_copy(update=allowed) for root in self.roots]
        alone = RootSettings(
            url=self.storage_root,
            options=self.storage_options,
            endpoint=self.endpoint,
            webapp_url=self.webapp_url,
            unproven=unproven,
        )
        return [alone]

    def default_for(self, namespace: str) -> Approval | None:
        """Return who must agree on a HumanInput of a namespace that does not say so; None: one person decides."""
        return None if namespace in self.default_except else self.default_approval

    @property
    def retention(self) -> timedelta:
        """How long a settled question is kept in storage."""
        return timedelta(days=self.retention_days)
