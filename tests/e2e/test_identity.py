"""Who answered, where people sign in at a proxy in front of the web app."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.browser import browsing, send, shot
from tests.e2e.cluster import (
    CHART,
    ENDPOINT,
    RELEASE,
    SYSTEM,
    apply,
    ask,
    cluster,
    get,
    kubectl,
    phase,
    until,
    values,
    wait_ready,
)

pytestmark = pytest.mark.cluster

_SECRET = "what-only-the-proxy-knows"
_ADA = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "sre", "X-HITL-Proxy-Secret": _SECRET}
# In earnest the proxy has TLS, and then browsers say which page a form comes from.
_AS_WITH_TLS = f"--unsafely-treat-insecure-origin-as-secure={ENDPOINT}"


@pytest.fixture
def proxied() -> Iterator[None]:
    """The release as it is behind a proxy that names its users."""
    secret = {"name": "proxy", "namespace": SYSTEM}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {"secret": _SECRET}})
    _upgrade("proxy", webapp={"ingress": {"enabled": True}, "proxy": {"existingSecret": "proxy"}})
    yield
    _upgrade("link")


def _upgrade(auth: str, **more: Any) -> None:
    with cluster() as found:
        found.upgrade(CHART, RELEASE, values(auth=auth, **more))
    wait_ready()


def _auth() -> str:
    """Return how the web app is told to know who answers."""
    deployment = get("deployment", f"{RELEASE}-webapp", SYSTEM)
    if deployment is None:
        return ""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return next(str(each["value"]) for each in container["env"] if each["name"] == "HITL_AUTH")


@pytest.mark.usefixtures("proxied")
def test_behind_a_proxy_the_inbox_shows_what_waits_and_an_answer_has_a_verified_name(chromium: str) -> None:
    ask("approval", prompt="Deploy **billing** to production?", dataType="bool", respondents={"users": ["ada"]})
    ask("for-others", respondents={"users": ["bob"]})
    until("the web app as it is now", lambda: _auth() == "proxy")
    kubectl("rollout", "status", f"deployment/{RELEASE}-webapp", "-n", SYSTEM, "--timeout=90s")
    with browsing(chromium, _AS_WITH_TLS, headers=_ADA) as page:

        def shows_the_inbox() -> bool:
            # For a moment the Service may still lead to the pod that ends.
            page.goto(ENDPOINT)
            return "Your questions" in page.title()

        until("the inbox", shows_the_inbox)
        shot(page, "cluster-inbox")
        assert page.locator("text=for-others").count() == 0
        page.click("text=approval")
        page.check("[name=value][value=true]")
        send(page)
    status = phase("approval", "Answered")["status"]
    assert (status["answeredBy"], status["answeredVia"], status["verified"]) == ("ada", "web", True)
    assert (get("humaninput", "for-others") or {})["status"]["phase"] == "Pending"
