"""The web app with `auth: kubernetes`: who may see and answer is what a real API server says."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from hitl.core.documents import Origin
from hitl.core.respondents import Respondents
from tests.chart.charts import (
    NAMESPACE,
    PLAIN,
    RELEASE,
    Object,
    applied_by_operator,
    environment,
    found,
    render,
    text,
)
from tests.chart.installed import Installed
from tests.cluster.control_plane import ControlPlane
from tests.docs.commands import run_block
from tests.library.test_cli import hitl_
from tests.web.serving import Question, WebApp, running, visible_text

AUDIENCE = "hitl.flyte.org"
_RELEASE = "token"
_ACCOUNT = "token-webapp"
_FORGED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"


@dataclass(frozen=True)
class Team:
    """A namespace with service accounts, and the web app before them."""

    plane: ControlPlane
    app: WebApp
    namespace: str

    def ask(self, human_input: str = "ship-it", namespace: str | None = None, **asked: Any) -> Question:
        """Store a question, as the operator does for a HumanInput of this name."""
        origin = Origin(namespace=self.namespace if namespace is None else namespace, human_input=human_input)
        return self.app.ask(f"q-{uuid.uuid4().hex[:12]}", origin=origin, **asked)

    def name(self, account: str) -> str:
        """Return an account's user name."""
        return f"system:serviceaccount:{self.namespace}:{account}"

    def token(self, account: str, audience: str = "") -> str:
        """Return a token as `kubectl create token` gives it."""
        more = [f"--audience={audience}"] if audience else []
        return self.plane.kubectl("create", "token", account, "-n", self.namespace, *more).out.strip()

    def signed_in(self, account: str) -> dict[str, str]:
        """Return the header by which an account says who it is."""
        return bearing(self.token(account))


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def post(question: Question, headers: dict[str, str], value: int = 1) -> httpx.Response:
    body = {"request_id": question.request_id, "value": value}
    return httpx.post(f"{question.app.url}/submit/json", json=body, headers=headers, timeout=60)


def send_form(question: Question, headers: dict[str, str], value: str = "1") -> httpx.Response:
    data = {"request_id": question.request_id, "value": value}
    return httpx.post(f"{question.app.url}/submit", data=data, headers=headers, timeout=60)


def see(question: Question, headers: dict[str, str], page: str = "form") -> httpx.Response:
    return httpx.get(f"{question.app.url}/{page}/{question.request_id}", headers=headers, timeout=60)


def rendered(release: str = _RELEASE) -> list[Object]:
    return render({**PLAIN, "auth": "kubernetes"}, name=release)


def give_rights(plane: ControlPlane) -> Path:
    """Apply what the chart gives the web app in this mode, and nothing else; return its kubeconfig."""
    plane.kubectl("create", "namespace", NAMESPACE, check=False)
    objects = rendered()
    for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"):
        plane.kubectl("apply", "-f", "-", stdin=text(found(objects, kind, _ACCOUNT)))
    account = f"--as=system:serviceaccount:{NAMESPACE}:{_ACCOUNT}"
    wait_until_may(plane, account, "create", "tokenreviews.authentication.k8s.io")
    return plane.service_account(NAMESPACE, _ACCOUNT)


def wait_until_may(plane: ControlPlane, *question: str) -> None:
    plane.until(" ".join(question), lambda: plane.kubectl("auth", "can-i", *question, check=False).code == 0)


def serving(root: Path, kubeconfig: Path) -> Any:
    [deployment] = [each for each in applied_by_operator(rendered(RELEASE)) if each["kind"] == "Deployment"]
    auth = environment(deployment["spec"]["template"])["HITL_AUTH"]
    return running(str(root / "root"), root, HITL_AUTH=auth, KUBECONFIG=str(kubeconfig))


def bind(plane: ControlPlane, namespace: str, account: str, role: str, kind: str = "clusterrole") -> None:
    plane.kubectl(
        "create", "rolebinding", f"{account}-{role}", "-n", namespace,
        f"--{kind}={role}", f"--serviceaccount={namespace}:{account}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def team(stamped: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A web app with the chart's rights alone; accounts with the chart's roles, and one with a role of its own."""
    plane, namespace = stamped.plane, stamped.namespace
    kubeconfig = give_rights(plane)
    for account in ("viewer", "responder", "stranger", "one", "auditor"):
        plane.kubectl("create", "serviceaccount", account, "-n", namespace)
    for role in ("viewer", "responder"):
        bind(plane, namespace, role, f"{stamped.release}-{role}")
    plane.kubectl(
        "create", "role", "answers-ship-it", "-n", namespace,
        "--verb=answer", f"--resource=humaninputs.{AUDIENCE}", "--resource-name=ship-it",
    )  # fmt: skip
    bind(plane, namespace, "one", "answers-ship-it", "role")
    plane.kubectl(
        "create", "clusterrolebinding", "auditor",
        f"--clusterrole={stamped.release}-viewer", f"--serviceaccount={namespace}:auditor",
    )  # fmt: skip
    auditor = f"--as=system:serviceaccount:{namespace}:auditor"
    wait_until_may(plane, auditor, "get", "humaninputs", "-A")
    with serving(tmp_path_factory.mktemp("auth"), kubeconfig) as app:
        yield Team(plane, app, namespace)


def audited(app: WebApp, request_id: str) -> list[Object]:
    """Return the audit's lines about a question."""
    return [each for each in app.logged("hitl.audit") if each["request_id"] == request_id]


def test_who_may_answer_is_recorded_under_their_own_name(team: Team) -> None:
    by_api, by_form = team.ask(), team.ask()

    assert post(by_api, team.signed_in("responder")).status_code == 200
    page = send_form(by_form, {**team.signed_in("responder"), "Origin": team.app.url})

    assert page.status_code == 200
    for question, via in ((by_api, "api"), (by_form, "web")):
        outcome = question.stored()
        assert outcome is not None
        respondent = outcome["respondent"]
        assert (respondent["name"], respondent["via"]) == (team.name("responder"), via)
        assert respondent["verified"] is True
        assert f"system:serviceaccounts:{team.namespace}" in respondent["groups"]
        assert respondent["link"] == ""
        [line] = audited(team.app, question.request_id)
        assert (line["result"], line["name"], line["via"], line["verified"]) == (
            "Recorded", team.name("responder"), via, True,
        )  # fmt: skip


def test_a_token_made_for_this_service_alone_is_taken(team: Team) -> None:
    question, token = team.ask(), team.token("responder", AUDIENCE)

    assert post(question, bearing(token)).status_code == 200

    # It is worth nothing to the API server itself.
    review = {"spec": {"token": token}}
    done = team.plane.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert not json.loads(done.out)["status"].get("authenticated")


def test_the_page_s_command_answers_with_a_token_of_ones_own(team: Team) -> None:
    question = team.ask()
    names = {
        "https://hitl.example.org": team.app.url,
        '"ID"': f'"{question.request_id}"',
        "payments": team.namespace,
        "token approver": "token responder",
    }

    printed = run_block("docs/http-api.md", "token=$(kubectl create token", names, **team.plane.environment())

    respondent = json.loads(printed)["outcome"]["respondent"]
    assert (respondent["name"], respondent["verified"]) == (team.name("responder"), True)


@pytest.mark.parametrize("page", ["form", "status"])
def test_who_may_get_sees_a_question_and_may_not_answer_it(team: Team, page: str) -> None:
    question, viewer = team.ask("look-only"), team.signed_in("viewer")

    seen, refused = see(question, viewer, page), post(question, viewer)

    assert seen.status_code == 200
    assert "How many?" in seen.text
    assert "<form" not in seen.text
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    sentence = refused.json()["detail"]
    for said in (team.name("viewer"), "verb answer", "humaninputs.hitl.flyte.org", "role responder"):
        assert said in sentence
    assert f"{team.namespace}/look-only" in sentence
    assert page == "status" or sentence in unescape(visible_text(seen.text))
    assert send_form(question, viewer).status_code == 403
    assert question.stored() is None
    assert [(each["result"], each["name"]) for each in audited(team.app, question.request_id)] == [
        ("NotAllowed", team.name("viewer"))
    ] * 2


def _worthless(team: Team, kind: str) -> str:
    match kind:
        case "forged":
            return _FORGED
        case "altered":
            token = team.token("responder")
            return token[:-8] + token[-8:].swapcase()
        case "of another audience":
            return team.token("responder", "vault.example.org")
    return ""


@pytest.mark.parametrize("kind", ["none", "forged", "altered", "of another audience"])
def test_whoever_has_no_token_that_counts_is_asked_who_they_are(team: Team, kind: str) -> None:
    question, token = team.ask(), _worthless(team, kind)

    replies = [
        post(question, bearing(token)),
        send_form(question, bearing(token)),
        see(question, bearing(token)),
        see(question, bearing(token), "status"),
        httpx.get(team.app.url, headers=bearing(token)),
    ]

    assert [reply.status_code for reply in replies] == [401] * 5
    assert replies[0].headers["www-authenticate"] == "Bearer"
    assert replies[0].json()["title"] == "Sign in"
    for reply in replies:
        assert "kubectl create token" in reply.text
        assert "kubectl hitl" in reply.text
    assert question.stored() is None
    assert [(each["result"], each["name"]) for each in audited(team.app, question.request_id)] == [
        ("Unauthenticated", "")
    ] * 2


def test_a_link_lets_nobody_in_by_itself(team: Team) -> None:
    question = team.ask()

    assert question.api(1).status_code == 401
    assert question.form("1", name="the boss").status_code == 401
    assert post(question, bearing(question.token)).status_code == 401
    assert httpx.get(question.url).status_code == 401
    assert question.api(1, headers=team.signed_in("viewer")).status_code == 403
    assert question.stored() is None
    # It leads whoever signed in to the form, which does not pass it on.
    page = httpx.get(question.url, headers=team.signed_in("responder"))
    assert page.status_code == 200
    assert question.token not in page.text


def test_a_question_that_is_not_there_looks_like_one_that_may_not_be_seen(team: Team) -> None:
    hidden, stranger = team.ask(), team.signed_in("stranger")
    absent = Question(team.app, "q-absent", "", "")
    unspeakable = Question(team.app, "../../etc/passwd", "", "")

    for reply_to in (post, send_form, see, lambda question, headers: see(question, headers, "status")):
        replies = [reply_to(question, stranger) for question in (hidden, absent)]
        assert {reply.status_code for reply in replies} == {403}
        assert len({reply.text for reply in replies}) == 1
        assert len({tuple(name for name, _ in reply.headers.items()) for reply in replies}) == 1
    sentence = post(hidden, stranger).json()["detail"]
    for said in (team.name("stranger"), "verb get or answer", "humaninputs.hitl.flyte.org", "role responder"):
        assert said in sentence
    assert hidden.request_id not in sentence
    assert post(unspeakable, stranger).json()["detail"] == sentence
    assert hidden.stored() is None
    # Whoever may see everything is told that there is nothing.
    assert see(absent, team.signed_in("auditor"), "status").status_code == 404


def test_respondents_apply_besides(team: Team) -> None:
    named = Respondents(users=[team.name("one")], groups=["system:serviceaccounts:elsewhere"])
    question = team.ask(respondents=named)
    grouped = team.ask(respondents=Respondents(groups=[f"system:serviceaccounts:{team.namespace}"]))
    responder = team.signed_in("responder")

    for reply in (post(question, responder), see(question, responder)):
        assert reply.status_code == 403
        assert f"for others to see and answer; you are {team.name('responder')}" in reply.text
    # To be named gives no right.
    assert post(grouped, team.signed_in("stranger")).status_code == 403
    assert (question.stored(), grouped.stored()) == (None, None)
    assert post(question, team.signed_in("one")).status_code == 200
    assert post(grouped, responder).status_code == 200


def test_a_right_to_one_name_is_the_right_to_that_humaninput(team: Team) -> None:
    one = team.signed_in("one")
    born_there, other, elsewhere = team.ask("ship-it"), team.ask("scrap-it"), team.ask("ship-it", "default")
    asked_through_storage = team.app.ask("ship-it", origin=Origin(namespace=team.namespace))

    assert post(other, one).status_code == 403
    assert post(elsewhere, one).status_code == 403
    assert see(born_there, one).status_code == 200
    assert post(born_there, one).status_code == 200
    assert post(asked_through_storage, one).status_code == 200


def test_a_question_of_no_namespace_takes_a_right_to_all(team: Team) -> None:
    question = team.ask("ship-it", "")

    assert post(question, team.signed_in("responder")).status_code == 403
    assert see(question, team.signed_in("auditor"), "status").status_code == 200
    refused = post(question, team.signed_in("auditor"))
    assert refused.status_code == 403
    assert "in every namespace" in refused.json()["detail"]


def test_the_inbox_shows_what_may_be_seen(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.ask(event_name="for the team")
    team.ask(event_name="of others", namespace="default")
    team.ask(event_name="for one of them", respondents=Respondents(users=["somebody"]))

    def inbox(account: str) -> str:
        reply = httpx.get(team.app.url, headers=team.signed_in(account), timeout=60)
        assert reply.status_code == 200
        return reply.text

    for account in ("viewer", "responder"):
        page = inbox(account)
        assert "for the team" in page
        assert "of others" not in page
        assert "for one of them" not in page
    assert "of others" in inbox("auditor")
    stranger = inbox("stranger")
    assert "You may see no questions here" in stranger
    assert "No question waits for you." not in stranger
    listed = httpx.get(f"{team.app.url}/questions", headers=team.signed_in("stranger"), timeout=60).json()
    assert listed["questions"] == []
    assert listed["notice"].startswith("You may see no questions here")
    monkeypatch.setenv("HITL_TOKEN", team.token("stranger"))
    done = hitl_("list", "--server", team.app.url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "You may see no questions here" in done.stderr
    monkeypatch.setenv("HITL_TOKEN", team.token("viewer"))
    assert "for the team" in str(json.loads(hitl_("list", "--server", team.app.url, "--json").stdout))


def test_a_page_of_many_questions_costs_a_review_for_each_namespace(team: Team) -> None:
    for _ in range(20):
        team.ask(f"ask-{uuid.uuid4().hex[:8]}")
        team.ask(namespace="default")
    viewer = team.signed_in("viewer")
    names = ("tokenreviews", "subjectaccessreviews")
    before = [team.plane.requests(name) for name in names]

    assert "How many?" in httpx.get(team.app.url, headers=viewer, timeout=60).text

    # Of the token: by its audience, then as one of the API server's. Of the namespaces: `get`, and where that is
    # refused `answer`. `""` is that of questions which name none.
    token, access = [team.plane.requests(name) - each for name, each in zip(names, before, strict=True)]
    assert token == 2
    assert access <= 5


def test_what_is_taken_away_ends(team: Team) -> None:
    """A moment later: what the API server said holds for some seconds."""
    team.plane.kubectl("create", "serviceaccount", "leaver", "-n", team.namespace)
    bind(team.plane, team.namespace, "leaver", f"{RELEASE}-viewer")
    question, leaver = team.ask(), team.signed_in("leaver")
    team.plane.until("a right", lambda: see(question, leaver).status_code == 200)

    team.plane.kubectl("delete", "rolebinding", f"leaver-{RELEASE}-viewer", "-n", team.namespace)
    team.plane.until("the right's end", lambda: see(question, leaver).status_code == 403)
    team.plane.kubectl("delete", "serviceaccount", "leaver", "-n", team.namespace)
    team.plane.until("the account's end", lambda: see(question, leaver).status_code == 401)


def test_no_token_is_in_any_log_line(team: Team) -> None:
    question = team.ask()
    tokens = [team.token("responder"), team.token("stranger"), team.token("responder", "elsewhere"), _FORGED]
    for token in tokens:
        see(question, bearing(token))
        post(question, bearing(token), value=2)
        # Where it does not belong.
        httpx.get(f"{team.app.url}/form/{question.request_id}", params={"token": token})
        httpx.post(f"{team.app.url}/submit/json", json={"request_id": question.request_id, "token": token})

    log = team.app.log.read_text()
    assert f'"/form/{question.request_id}"' in log
    assert "token=" not in log
    for token in tokens:
        # Its last part alone would be worth nothing; no part is there.
        for part in token.split(".")[1:]:
            assert part not in log


def test_the_web_app_has_no_other_right(team: Team) -> None:
    def may(kubeconfig: Path) -> set[str]:
        lines = team.plane.kubectl("auth", "can-i", "--list", kubeconfig=kubeconfig).out.splitlines()[1:]
        return {" ".join(line.split()) for line in lines}

    web = may(team.plane.service_account(NAMESPACE, _ACCOUNT))
    anybody = may(team.plane.service_account(team.namespace, "stranger"))

    assert web - anybody == {
        "tokenreviews.authentication.k8s.io [] [] [create]",
        "subjectaccessreviews.authorization.k8s.io [] [] [create]",
    }


def test_without_its_rights_it_lets_nobody_in_and_says_why_in_its_log(team: Team, tmp_path: Path) -> None:
    with serving(tmp_path, team.plane.service_account(team.namespace, "stranger")) as app:
        question = app.ask(origin=Origin(namespace=team.namespace, human_input="ship-it"))

        reply = post(question, team.signed_in("responder"))

        assert reply.status_code == 502
        assert "tell the administrators of this service" in reply.json()["detail"]
        assert "tokenreviews" not in reply.text
        assert question.stored() is None
        assert any('cannot create resource "tokenreviews"' in line["message"] for line in app.logged("hitl.web"))


def test_while_the_api_server_is_away_nothing_is_recorded_and_no_list_is_empty(
    own_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = "payments"
    own_plane.kubectl("create", "namespace", namespace)
    own_plane.kubectl("create", "serviceaccount", "responder", "-n", namespace)
    own_plane.kubectl("apply", "-f", "-", stdin=text(found(rendered(), "ClusterRole", f"{_RELEASE}-responder")))
    bind(own_plane, namespace, "responder", f"{_RELEASE}-responder")
    with serving(tmp_path, give_rights(own_plane)) as app:
        team = Team(own_plane, app, namespace)
        question, responder = team.ask(), team.signed_in("responder")
        own_plane.stop_api()

        away = [post(question, responder), send_form(question, responder), see(question, responder)]
        away += [httpx.get(app.url + path, headers=responder, timeout=60) for path in ("/", "/questions", "/next")]
        monkeypatch.setenv("HITL_TOKEN", responder["Authorization"].removeprefix("Bearer "))
        listed = hitl_("list", "--server", app.url)

        assert [reply.status_code for reply in away] == [503] * 6
        assert all("The API server" in reply.text for reply in away[3:])
        assert ">Try again</a>" in away[3].text
        assert (listed.exit_code, listed.stdout) == (5, "")
        assert "The API server" in listed.stderr
        assert "Try again in 5 s." in listed.stderr
        assert {reply.headers["retry-after"] for reply in away} == {"5"}
        assert "API server" in away[0].json()["detail"]
        assert question.stored() is None
        refused = audited(app, question.request_id)
        assert [each["result"] for each in refused] == ["ClusterUnavailable"] * 2
        own_plane.start_api()
        own_plane.until("an answer", lambda: post(question, responder).status_code == 200)
        outcome = question.stored()
        assert outcome is not None
        assert outcome["respondent"]["name"] == team.name("responder")


def test_the_other_modes_load_no_client_of_the_api_server() -> None:
    script = (
        "import sys, anyio\n"
        "from hitl_webapp.main import create_app\n"
        "from hitl_webapp.settings import WebSettings\n"
        "async def main():\n"
        "    for settings in (WebSettings(auth='link'), WebSettings(auth='proxy', proxy_secret='x')):\n"
        "        app = create_app(settings)\n"
        "        async with app.router.lifespan_context(app): pass\n"
        "anyio.run(main)\n"
        "print(sorted({'aiohttp', 'kubernetes', 'hitl.cluster.client'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"HITL_STORAGE_ROOT": "memory://modes", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
