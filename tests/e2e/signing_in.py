"""The release as people sign in: behind a proxy, at a provider, or not at all."""

import json
from typing import Any

from tests.e2e.cluster import (
    CHART,
    ENDPOINT,
    RELEASE,
    SYSTEM,
    apply,
    cluster,
    get,
    kubectl,
    until,
    values,
    wait_ready,
)

# In earnest the proxy has TLS, and then browsers say which page a form comes from.
AS_WITH_TLS = f"--unsafely-treat-insecure-origin-as-secure={ENDPOINT}"

_PROXY_SECRET = "what-only-the-proxy-knows"


def behind_a_proxy(**more: Any) -> None:
    """Have a proxy name the users, by the headers of `named`."""
    secret("proxy", secret=_PROXY_SECRET)
    upgrade("proxy", more, proxy={"existingSecret": "proxy"})


def named(user: str, groups: str) -> dict[str, str]:
    """Return the headers by which the proxy says who somebody is."""
    return {"X-Forwarded-User": user, "X-Forwarded-Groups": groups, "X-HITL-Proxy-Secret": _PROXY_SECRET}


def secret(name: str, namespace: str = SYSTEM, **content: str) -> None:
    """Apply a Secret."""
    metadata = {"name": name, "namespace": namespace}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content})


def upgrade(auth: str, more: dict[str, Any] | None = None, **webapp: Any) -> None:
    """Upgrade the release: how people sign in, other values, and those of the web app."""
    with cluster() as found:
        given = values(auth=auth, webapp={"ingress": {"enabled": True}, **webapp}, **(more or {}))
        found.upgrade(CHART, RELEASE, given)
    wait_ready()


def rolled_out(container: str, argument: str) -> None:
    """Wait until the web app runs as it is now: one of its containers has an argument or variable like this."""

    def is_applied() -> bool:
        deployment = get("deployment", f"{RELEASE}-webapp", SYSTEM) or {"spec": {"template": {"spec": {}}}}
        containers = deployment["spec"]["template"]["spec"].get("containers", [])
        return any(each["name"] == container and argument in str(each) for each in containers)

    def is_alone() -> bool:
        pods = json.loads(kubectl("get", "pods", "-n", SYSTEM, "-o", "json").stdout)["items"]
        ours = [each["metadata"] for each in pods if each["metadata"]["name"].startswith(f"{RELEASE}-webapp-")]
        return bool(ours) and not any("deletionTimestamp" in each for each in ours)

    until("the web app as it is now", is_applied)
    kubectl("rollout", "status", f"deployment/{RELEASE}-webapp", "-n", SYSTEM, "--timeout=90s")
    # A pod that ends answers as before, and would sign nobody in.
    until("the pods before are gone", is_alone)
