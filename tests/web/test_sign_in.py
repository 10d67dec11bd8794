"""Signing in by OpenID Connect: the pod that the chart renders, with a real oauth2-proxy.

The provider is a stand-in, see `tests.web.identity_provider`: it signs real tokens.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.backends.processes import PATIENCE, free_ports
from tests.chart.charts import PLAIN, Object
from tests.cluster.installs import oauth2_proxy
from tests.web.identity_provider import CLIENT, SECRET, Person, StandInProvider, certificate, provided
from tests.web.pod import NOTHING, Pod, running_pod
from tests.web.serving import Question

PEOPLE = {
    "ann": Person("ann@example.org", ["sre", "staff", "équipe"]),
    "bob": Person("bob@example.org", ["finance", "staff"]),
    "cy": Person("cy@example.org", ["guests"]),
    "dora": Person("dora@example.org", ["sre"], verified=False),
    "eve": Person("eve@example.com", ["sre"]),
}


@dataclass(frozen=True)
class Site:
    """The pod, and the provider at which people sign in."""

    pod: Pod
    provider: StandInProvider
    ca: Path

    def ask(self, request_id: str, **asked: Any) -> Question:
        return self.pod.app.ask(request_id, **asked)

    def client(self) -> httpx.Client:
        """Return a browser without scripts, to which nobody has signed in."""
        context = ssl.create_default_context(cafile=self.ca)
        return httpx.Client(base_url=self.pod.url, verify=context, follow_redirects=True, timeout=PATIENCE)

    @contextmanager
    def signed_in(self, name: str) -> Iterator[httpx.Client]:
        """Give one in which somebody has signed in, by the link of the first page."""
        with self.client() as client:
            assert follow(client, "/", name).is_success
            yield client


def follow(client: httpx.Client, page: str, name: str) -> httpx.Response:
    """Sign in by the link of a page, and return the page that this ends at."""
    asked = client.get(page)
    [sign_in] = re.findall(r'<a href="(/oauth2/start[^"]*)"', asked.text)
    return choose(client, client.get(unescape(sign_in)), name)


def choose(client: httpx.Client, choice: httpx.Response, name: str) -> httpx.Response:
    assert "Who are you?" in choice.text, choice.text
    [link] = re.findall(rf'href="(/authorize/{name}[^"]*)"', choice.text)
    return client.get(choice.url.join(unescape(link)))


@contextmanager
def running_site(
    folder: Path, oidc: Object, *, sign_out: str = "", other: Mapping[str, str] = NOTHING
) -> Iterator[Site]:
    """Run a provider, and the chart's pod with some values of `webapp.oidc`. `sign_out` is the provider's page."""
    try:
        oauth2_proxy()
    except RuntimeError as error:
        pytest.skip(f"not tested with oauth2-proxy, which cannot be built here: {error}")
    front, back, port = free_ports(3)
    ca = certificate(folder)
    endpoint, issuer = f"http://127.0.0.1:{front}", f"https://127.0.0.1:{port}"
    client = {"issuerUrl": issuer, "clientId": CLIENT, "existingSecret": "client", "caConfigMap": "ca"}
    left = {"signOutUrl": f"{issuer}{sign_out}"} if sign_out else {}
    values = PLAIN | {"auth": "oidc", "endpoint": endpoint, "webapp": {"oidc": {**oidc, **client, **left}}}
    files = {"client": {"client-secret": SECRET}, "ca": {"ca.crt": ca[0].read_text()}}
    provider = StandInProvider(issuer, [f"{endpoint}/oauth2/callback"], dict(PEOPLE))
    with (
        provided(provider, "127.0.0.1", port, ca),
        running_pod(values, files, folder, front, back, other) as pod,
    ):
        yield Site(pod, provider, ca[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for the tests that each ask questions of their own."""
    allowed = {"allowedEmailDomains": ["Example.org"], "allowedGroups": ["sre", "finance"]}
    with running_site(tmp_path_factory.mktemp("sign-in"), allowed) as found:
        yield found


def test_two_users_of_different_groups_see_and_answer_only_theirs(site: Site) -> None:
    named = {"ann": {"groups": ["sre"]}, "bob": {"groups": ["finance"]}}
    asked = {name: site.ask(f"for-{name}", event_name=f"of {name}", respondents=named[name]) for name in named}
    for name, other in (("ann", "bob"), ("bob", "ann")):
        mine, theirs = asked[name], asked[other]
        with site.signed_in(name) as client:
            for page in ("/", "/?text=of", "/?view=groups", "/?state=any"):
                shown = client.get(page).text
                assert f"of {name}" in shown
                assert f"of {other}" not in shown, page
            listed = client.get("/questions", params={"text": "of"}).json()
            assert [each["request_id"] for each in listed["questions"]] == [mine.request_id]
            every = client.get("/questions", params={"state": "any"}).json()
            assert theirs.request_id not in str(every)
            assert listed["counts"] == {"all": 1, "mine": 0, "groups": 1}
            assert client.get(f"/form/{mine.request_id}").status_code == 200
            assert client.get(f"/questions/{theirs.request_id}").status_code == 403
            refused = client.get(f"/form/{theirs.request_id}")
            assert refused.status_code == 403
            assert f"you are {PEOPLE[name].email}" in refused.text
            assert ">Sign out</a>" in refused.text
            teams = {each["team"] for each in client.get("/stats").json()["by_team"]}
            assert teams & {"sre", "finance"} == {PEOPLE[name].groups[0]}
            both = {"request_ids": [theirs.request_id, mine.request_id], "value": 7}
            results = client.post("/bulk", json=both).json()["results"]
            assert [each["status"] for each in results] == [403, 200]
            one = client.post("/submit", data={"request_id": theirs.request_id, "value": "9"})
            assert (one.status_code, (theirs.stored() or {"value": 7})["value"]) == (403, 7)
        outcome = mine.stored()
        assert outcome is not None
        assert outcome["respondent"]["name"] == PEOPLE[name].email
        assert outcome["respondent"]["verified"] is True
        assert outcome["respondent"]["groups"] == PEOPLE[name].groups


def test_an_open_page_is_told_through_the_side_car_at_once(site: Site) -> None:
    with site.signed_in("ann") as client, client.stream("GET", "/questions/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 5000"
        before = client.get("/questions").json()
        site.ask("told", respondents={"groups": ["sre"]})
        client.post("/hints/told")
        assert next(line for line in lines if line.startswith("event")) == "event: changed"
        assert client.get("/questions").json() != before


def test_no_header_that_a_client_sends_names_anybody(site: Site) -> None:
    question = site.ask("forged", respondents={"groups": ["sre"]})
    body = {"request_id": question.request_id, "value": 1}
    named = {"X-Forwarded-User": "ann@example.org", "X-Forwarded-Groups": "sre", "X-HITL-Proxy-Secret": "guessed"}
    forged = [
        list(named.items()),
        [(name.replace("-", "_"), text) for name, text in named.items()],
        [(name.lower(), text) for name, text in named.items()] * 2,
        [*named.items(), ("Connection", "X-Forwarded-User, X-Forwarded-Groups, X-HITL-Proxy-Secret")],
    ]
    with site.client() as nobody, site.signed_in("bob") as bob:
        for headers in forged:
            assert nobody.get("/questions", headers=headers).status_code == 401
            assert nobody.post("/submit/json", json=body, headers=headers).status_code == 401
            for refused in (bob.post("/submit/json", json=body, headers=headers), bob.get("/form/forged")):
                assert refused.status_code in (401, 403)
                assert "ann@" not in refused.text
    # Past the side-car, as another pod may, without the secret that only the side-car has.
    past = httpx.post(f"{site.pod.app.url}/submit/json", json=body, headers=named)
    assert past.status_code == 401
    assert question.stored() is None


def test_a_link_needs_no_sign_in_and_its_token_is_in_no_log(site: Site) -> None:
    with site.client() as client:
        for number, mangled in enumerate(("?token={}", "?a=b&amp;token={}", "?token={}).", "?token={};")):
            question = site.ask(f"by-link-{number}")
            form = client.get(f"/form/{question.request_id}{mangled.format(question.token)}")
            assert form.status_code == 200, mangled
        sent = {"request_id": question.request_id, "token": question.token, "value": "5", "name": "A guest"}
        assert client.post("/submit", data=sent).status_code == 200
        assert (question.stored() or {})["respondent"]["verified"] is False
        other = site.ask("by-program")
        bearer = {"Authorization": f"Bearer {other.token}"}
        assert client.post(
            "/submit/json", json={"request_id": "by-program", "value": 6}, headers=bearer
        ).is_success
    logs = site.pod.log.read_text() + site.pod.app.log.read_text()
    assert [token for token in (question.token, other.token, SECRET) if token in logs] == []


def test_probes_metrics_and_hints_need_no_sign_in(site: Site) -> None:
    with site.client() as client:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.get("/ready").json()["status"] == "ready"
        assert "hitl_web" in client.get("/metrics").text
        assert client.post("/hints/nothing").status_code == 202
        assert client.get("/oauth2/ready").is_success
        # An ingress may ask this for other sites.
        assert client.get("/oauth2/auth").status_code == 401


def test_the_sign_in_link_of_a_question_leads_back_to_it(site: Site) -> None:
    question = site.ask("leads-back", respondents={"groups": ["sre"]})
    by_link = f"/form/leads-back?token={question.token}"
    with site.client() as client:
        assert "Sign in to answer it." in client.get(by_link).text
        form = follow(client, by_link, "ann")
        assert str(form.url) == f"{site.pod.url}/form/leads-back"
        assert "ann@example.org" in form.text
        # A moment ago somebody else saw the same address.
        assert "ann@example.org" in client.get(by_link).text


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example", "javascript:x"],
)
def test_signing_in_and_out_lead_to_no_other_site(site: Site, elsewhere: str) -> None:
    with site.client() as client:
        choice = client.get("/oauth2/start", params={"rd": elsewhere})
        home = choose(client, choice, "ann")
        assert (str(home.url), home.status_code) == (f"{site.pod.url}/", 200)
        gone = client.get("/oauth2/sign_out", params={"rd": elsewhere})
        assert (str(gone.url), gone.status_code) == (f"{site.pod.url}/", 401)


def test_a_session_that_ends_while_somebody_writes_loses_nothing(site: Site, browser: Browser) -> None:
    question = site.ask("ends-meanwhile", data_type=str, respondents={"groups": ["sre"]})
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{site.pod.url}/form/ends-meanwhile")
    page.click("a:has-text('Sign in')")
    page.click("a:has-text('ann')")
    page.fill("[name=value]", "what I wrote\nin two lines")
    # As a browser does when the cookie's time is over.
    context.clear_cookies()
    page.click("button.primary")
    assert page.inner_text("h1") == "You were signed out"
    assert not Axe().run(page).response["violations"]
    assert question.stored() is None
    with context.expect_page() as opened:
        page.click("a:has-text('Sign in')")
    opened.value.click("a:has-text('ann')")
    opened.value.wait_for_selector("nav.site")
    assert opened.value.url == f"{site.pod.url}/form/ends-meanwhile"
    page.click("text=Send again")
    page.wait_for_selector(".outcome")
    stored = question.stored() or {}
    assert (stored["value"], stored["respondent"]["name"]) == ("what I wrote\nin two lines", "ann@example.org")
    page.click("text=Sign out")
    page.wait_for_selector("text=You are not signed in")
    assert [each for each in context.cookies(site.pod.url) if "csrf" not in each.get("name", "")] == []
    context.close()


def test_who_signs_out_is_nobody_and_sees_the_way_in(site: Site) -> None:
    with site.signed_in("ann") as client:
        [sign_out] = re.findall(r'<a href="([^"]*)">Sign out</a>', client.get("/").text)
        left = client.get(unescape(sign_out))
        assert (left.status_code, left.url.path) == (401, "/")
        assert "You are not signed in" in left.text
        assert 'href="/oauth2/start?rd=%2F"' in left.text
        assert client.get("/questions").status_code == 401


@pytest.mark.parametrize("name", ["cy", "dora", "eve"])
def test_who_may_not_use_the_site_gets_no_further(site: Site, name: str) -> None:
    site.ask("open-to-all")
    with site.client() as client:
        page = follow(client, "/", name)
        if name == "cy":
            # The provider knows cy, so the page says with which account they came, and how to use another.
            assert "You are signed in as cy@example.org" in page.text
            assert "Sign out" in page.text
        assert page.status_code in (403, 500)
        for path in ("/", "/questions", "/form/open-to-all"):
            assert client.get(path).status_code == (403 if name == "cy" else 401)
        refused = client.post("/submit/json", json={"request_id": "open-to-all", "value": 1})
        assert refused.status_code == (403 if name == "cy" else 401)


def test_a_cookie_that_was_changed_is_no_session(site: Site) -> None:
    with site.signed_in("ann") as client:
        [(name, value)] = [(each.name, each.value or "") for each in client.cookies.jar if "csrf" not in each.name]
    with site.client() as client:
        for changed in (value[:-2] + "AA", value[: len(value) // 2], "", value.replace("|", "")):
            assert client.get("/questions", headers={"Cookie": f"{name}={changed}"}).status_code == 401
        assert client.get("/questions", headers={"Cookie": f"{name}={value}"}).is_success


def test_other_pages_cannot_post_with_the_cookie(site: Site) -> None:
    question = site.ask("cross-site")
    with site.signed_in("ann") as client:
        cookies = [each for each in client.cookies.jar if "csrf" not in each.name]
        assert [each.get_nonstandard_attr("SameSite") for each in cookies] == ["Lax"]
        assert all(each.has_nonstandard_attr("HttpOnly") for each in cookies)
        sent = {"request_id": "cross-site", "value": "1"}
        headers = {"Origin": "https://evil.example"}
        assert client.post("/submit", data=sent, headers=headers).status_code == 403
    assert question.stored() is None


def test_groups_are_asked_for_again_and_signing_out_leads_to_the_provider(tmp_path: Path) -> None:
    shorter = {"--cookie-refresh=1m": "--cookie-refresh=1s"}
    oidc = {
        "usernameClaim": "preferred_username",
        "allowedGroups": ["sre", "finance"],
        "scopes": ["openid", "offline_access"],
        "session": {"hours": 1, "refreshMinutes": 1},
    }
    with running_site(tmp_path, oidc, sign_out="/logout", other=shorter) as site:
        for group in ("sre", "finance"):
            site.ask(f"of-{group}", respondents={"groups": [group]})
        with site.signed_in("ann") as client:
            assert "<bdi>ann</bdi>" in client.get("/form/of-sre").text
            for groups, wanted in (["guests"], [403, 403]), (["finance"], [403, 200]):
                site.provider.people["ann"] = Person("ann@example.org", groups)
                until = time.monotonic() + PATIENCE
                while [client.get(f"/form/of-{each}").status_code for each in ("sre", "finance")] != wanted:
                    assert time.monotonic() < until, groups
                    time.sleep(0.1)
            [sign_out] = re.findall(r'<a href="([^"]*)">Sign out</a>', client.get("/").text)
            assert "Signed out at the provider" in client.get(unescape(sign_out)).text
            assert client.get("/questions").status_code == 401
