"""Who answered, where people sign in: at a proxy in front of the web app, and at an OpenID Connect provider.

The provider is a stand-in, see `tests.web.identity_provider`: it signs real tokens. It runs beside the tests.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page

from tests.backends.processes import free_ports
from tests.e2e.browser import browsing, send, shot
from tests.e2e.cluster import ADDRESS, ENDPOINT, ask, get, phase, require_address, until
from tests.e2e.signing_in import AS_WITH_TLS, behind_a_proxy, named, rolled_out, secret, upgrade
from tests.web.identity_provider import CLIENT, SECRET, Person, StandInProvider, provided

pytestmark = pytest.mark.cluster

_PROXY_IMAGE = os.environ.get("HITL_E2E_OAUTH2_PROXY_IMAGE", "hitl-oauth2-proxy:e2e")
_ADA = named("ada", "sre")


@pytest.fixture(scope="module", autouse=True)
def _by_link_again() -> Iterator[None]:
    """Leave the release as other tests want it."""
    yield
    upgrade("link")


@pytest.fixture
def provider() -> Iterator[None]:
    """A provider, and the release as it signs people in there."""
    require_address()
    [port] = free_ports(1)
    issuer = f"http://{ADDRESS}:{port}"
    people = {"ann": Person("ann@example.org", ["sre"]), "bob": Person("bob@example.org", ["finance"])}
    repository, _, tag = _PROXY_IMAGE.rpartition(":")
    secret("client", **{"client-secret": SECRET})
    with provided(StandInProvider(issuer, [f"{ENDPOINT}/oauth2/callback"], people), ADDRESS, port):
        upgrade(
            "oidc",
            oidc={
                "issuerUrl": issuer,
                "clientId": CLIENT,
                "existingSecret": "client",
                "allowedGroups": ["sre", "finance"],
                "image": {"repository": repository, "tag": tag},
            },
        )
        yield


def _open(page: Page, name: str) -> None:
    """Open a question from the inbox, whose list may just be replaced under the pointer."""

    def is_open() -> bool:
        if page.locator("form[method=post] [name=value]").count() > 0:
            return True
        page.goto(ENDPOINT)
        with suppress(Error):
            page.click(f"main a:has-text('{name}')", timeout=5_000)
            page.wait_for_selector("form[method=post] [name=value]", timeout=5_000)
        return page.locator("form[method=post] [name=value]").count() > 0

    until(f"the form of {name}", is_open)


def test_behind_a_proxy_the_inbox_shows_what_waits_and_an_answer_has_a_verified_name(chromium: str) -> None:
    behind_a_proxy()
    ask("approval", prompt="Deploy **billing** to production?", dataType="bool", respondents={"users": ["ada"]})
    ask("for-others", respondents={"users": ["bob"]})
    rolled_out("webapp", "HITL_PROXY_USER_HEADER")
    with browsing(chromium, AS_WITH_TLS, headers=_ADA) as page:

        def shows_the_inbox() -> bool:
            # For a moment the Service may still lead to the pod that ends.
            page.goto(ENDPOINT)
            return "Your questions" in page.title()

        until("the inbox", shows_the_inbox)
        shot(page, "cluster-inbox")
        assert page.locator("text=for-others").count() == 0
        _open(page, "approval")
        page.check("[name=value][value=true]")
        send(page)
    status = phase("approval", "Answered")["status"]
    assert (status["answeredBy"], status["answeredVia"], status["verified"]) == ("ada", "web", True)
    assert (get("humaninput", "for-others") or {})["status"]["phase"] == "Pending"


@pytest.mark.usefixtures("provider")
def test_two_users_of_different_groups_sign_in_and_each_sees_and_answers_only_theirs(chromium: str) -> None:
    for group in ("sre", "finance"):
        ask(f"for-{group}", respondents={"groups": [group]})
    rolled_out("oauth2-proxy", "--alpha-config")
    # What bob's browser says of itself counts for nothing.
    for name, group, other, forged in (("ann", "sre", "finance", {}), ("bob", "finance", "sre", _ADA)):
        with browsing(chromium, AS_WITH_TLS, headers=forged) as page:

            def asks_to_sign_in(page: Page = page) -> bool:
                page.goto(ENDPOINT)
                return page.locator("text=You are not signed in").count() == 1

            def is_at_the_provider(page: Page = page, name: str = name) -> bool:
                page.goto(ENDPOINT)
                with suppress(Error):
                    page.click("a:has-text('Sign in')", timeout=5_000)
                    page.wait_for_selector(f"a:has-text('{name}')", timeout=5_000)
                return page.locator(f"a:has-text('{name}')").count() > 0

            until("the way in", asks_to_sign_in)
            # Connections that the browser keeps may still lead to a pod that ended.
            until("the provider", is_at_the_provider)
            page.click(f"a:has-text('{name}')")
            page.wait_for_selector("nav.site")
            assert page.locator(f"text=for-{group}").count() == 1
            assert page.locator(f"text=for-{other}").count() == 0
            foreign = phase(f"for-{other}", "Answered" if name == "bob" else "Pending")["status"]["requestID"]
            reply = page.goto(f"{ENDPOINT}/form/{foreign}")
            assert reply is not None
            assert reply.status == 403
            page.goto(ENDPOINT)
            _open(page, f"for-{group}")
            page.fill("[name=value]", "7")
            send(page)
        status = phase(f"for-{group}", "Answered")["status"]
        assert (status["answeredBy"], status["verified"]) == (f"{name}@example.org", True)
