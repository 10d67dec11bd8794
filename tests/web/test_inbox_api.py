"""The inbox over HTTP: as JSON, as pages, for two users with different rights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hitl.core.documents import Origin
from hitl.core.respondents import Respondents
from tests.backends.processes import PATIENCE
from tests.web.serving import WebApp, run, running, visible_text

SECRET = "s"


def as_user(name: str, groups: str = "") -> dict[str, str]:
    return {"X-HITL-Proxy-Secret": SECRET, "X-Forwarded-User": name, "X-Forwarded-Groups": groups}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    """120 questions for everybody, some for a user or a group, and one that was answered."""
    folder = tmp_path_factory.mktemp("inbox-api")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        run(_ask_all(app))
        app.ask("of-ann", event_name="deploy eu", respondents=Respondents(users=["ann"]), timeout_seconds=60)
        app.ask("of-sre", event_name="deploy us", respondents=Respondents(groups=["sre"]), data_type=bool)
        app.ask("of-bob", event_name="deploy asia", respondents=Respondents(users=["bob"]))
        done = app.ask("done", event_name="rows to keep", prompt="How many **rows**?")
        httpx.post(
            f"{app.url}/submit/json",
            json={"request_id": done.request_id, "value": 42, "comment": "as last week"},
            headers=as_user("ann"),
        ).raise_for_status()
        yield app


async def _ask_all(app: WebApp) -> None:
    now = datetime.now(UTC)
    for number in range(120):
        origin = Origin(project="p", run=f"r{number % 40}", namespace="payments")
        name = f"q-{number:03}"
        await app._ask(name, {"origin": origin, "timeout_seconds": 3_600 + number, "now": now, "event_name": name})


def listed(app: WebApp, user: str = "ann", groups: str = "", **parameters: str) -> dict[str, Any]:
    reply = httpx.get(f"{app.url}/questions", params=parameters, headers=as_user(user, groups))
    assert reply.status_code == 200, reply.text
    content: dict[str, Any] = reply.json()
    return content


def names(content: dict[str, Any]) -> list[str]:
    return [each["request_id"] for each in content["questions"]]


def test_links_lead_through_all_questions_and_back(team: WebApp) -> None:
    first = listed(team)
    assert names(first)[0] == "of-ann"
    assert first["counts"] == {"all": 121, "mine": 1, "groups": 0}
    assert (first["previous"], first["complete"]) == (None, True)
    found, page = names(first), first
    while page["next"]:
        page = httpx.get(team.url + page["next"], headers=as_user("ann")).json()
        found += names(page)
    assert found == ["of-ann", *(f"q-{number:03}" for number in range(120))]
    back = httpx.get(team.url + page["previous"], headers=as_user("ann")).json()
    assert names(back) == found[50:100]


def test_each_sees_their_own_and_no_count_tells_of_others(team: WebApp) -> None:
    assert names(listed(team, "ann", text="deploy")) == ["of-ann"]
    assert names(listed(team, "bob", text="deploy")) == ["of-bob"]
    assert names(listed(team, "bob", "ops, sre", text="deploy")) == ["of-sre", "of-bob"]
    assert listed(team, "eve", text="deploy")["counts"] == {"all": 0, "mine": 0, "groups": 0}
    assert names(listed(team, "eve", text="of-ann", state="any")) == []
    assert names(listed(team, "bob", "sre", view="groups")) == ["of-sre"]


def test_filters_and_what_a_settled_question_says(team: WebApp) -> None:
    assert names(listed(team, run="r7", sort="name")) == ["q-007", "q-047", "q-087"]
    assert listed(team, project="p", namespace="payments", asked_by="run")["counts"]["all"] == 120
    assert names(listed(team, "sre", "sre", type="bool")) == ["of-sre"]
    [done] = listed(team, state="answered")["questions"]
    assert (done["state"], done["prompt"], done["form"]) == ("answered", "How many rows?", "/form/done")
    ended = done["ended"]
    assert [ended[each] for each in ("value", "by", "verified", "comment")] == ["42", "ann", True, "as last week"]
    assert ended["seconds"] >= 0
    assert names(listed(team, "ann", state="settled", sort="ended")) == ["done"]


def test_one_question_is_shown_to_who_may_see_it(team: WebApp) -> None:
    done = httpx.get(f"{team.url}/questions/done", headers=as_user("ann")).json()
    assert (done["state"], done["question"]["prompt"], done["outcome"]["value"]) == (
        "answered",
        "How many **rows**?",
        42,
    )
    assert not {"request_path", "response_path"} & done["question"].keys(), "places in storage are told to nobody"
    assert httpx.get(f"{team.url}/questions/of-ann", headers=as_user("ann")).json()["state"] == "open"
    assert httpx.get(f"{team.url}/questions/of-ann", headers=as_user("bob")).status_code == 403
    assert httpx.get(f"{team.url}/questions/nobody", headers=as_user("bob")).status_code == 404
    assert httpx.get(f"{team.url}/questions/of-ann").status_code == 401


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"namespaces": "x"}, "There is no parameter"),
        ({"state": "new"}, 'state is "new": it must be one of open'),
        ({"after": "x"}, "place"),
    ],
)
def test_what_cannot_be_asked_for_is_a_problem_that_says_what_can(
    team: WebApp, parameters: dict[str, str], told: str
) -> None:
    reply = httpx.get(f"{team.url}/questions", params=parameters, headers=as_user("ann"))
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
    assert told in reply.json()["detail"]


@pytest.mark.parametrize("text", ["\0", "\0\0 \0", '"', "*", "NOT", "a:b", "\u202e", "-", "(" * 256, "a " * 128])
def test_no_words_are_taken_for_a_search_of_another_kind(team: WebApp, text: str) -> None:
    assert names(listed(team, text=text)) == []


def test_the_head_of_a_stream_has_an_end(team: WebApp) -> None:
    with httpx.Client(headers=as_user("ann"), timeout=PATIENCE) as client:
        # More than one visitor may have, so each of them was let go of.
        for _ in range(25):
            assert client.head(f"{team.url}/questions/events").status_code == 200
        # Over the same connection, so the reply before it was at its end.
        assert client.get(f"{team.url}/questions").status_code == 200


def test_who_did_not_sign_in_sees_no_list(team: WebApp, shared_app: WebApp) -> None:
    assert httpx.get(f"{team.url}/questions").status_code == 401
    assert httpx.get(f"{shared_app.url}/questions").status_code == 403
    assert httpx.get(f"{shared_app.url}/next").status_code == 403


def test_the_page_works_as_a_form_and_leads_on(team: WebApp) -> None:
    found = httpx.get(team.url, params={"run": "r7", "state": "any", "text": ""}, headers=as_user("ann"))
    assert found.status_code == 200
    text = " ".join(visible_text(found.text).split())
    assert all(each in text for each in ("q-007", "q-047", "q-087"))
    assert "All (3)" in text
    assert 'class="entries beside"' in found.text
    first = httpx.get(team.url, headers=as_user("ann")).text
    assert "59 minutes left" in first or "1 hour left" in first
    assert 'href="/?after=' in first
    settled = " ".join(visible_text(httpx.get(f"{team.url}/?state=settled", headers=as_user("ann")).text).split())
    assert "answered by ann via api at" in settled
    assert "Value: 42" in settled
    assert "Comment: as last week" in settled
    nothing = httpx.get(team.url, params={"text": "nothing like it"}, headers=as_user("ann")).text
    assert "No question matches." in nothing


def test_a_form_has_the_way_to_the_next_question(team: WebApp) -> None:
    form = httpx.get(f"{team.url}/form/of-ann", headers=as_user("ann")).text
    assert '<a href="/next?after=of-ann">Next question</a>' in form
    assert '<nav class="site"' in form
    after = httpx.get(f"{team.url}/next", params={"after": "of-ann"}, headers=as_user("ann"))
    assert (after.status_code, after.headers["location"]) == (303, "/form/q-000")
    nowhere = httpx.get(f"{team.url}/next", params={"after": "x" * 4_000}, headers=as_user("ann"))
    assert nowhere.headers["location"] == "/form/of-ann"


def test_a_hint_is_taken_from_anybody(team: WebApp) -> None:
    for each in ("done", "nobody", "..%2Fx"):
        assert httpx.post(f"{team.url}/hints/{each}").status_code in (202, 404)
    assert names(listed(team, state="answered")) == ["done"]


def test_a_web_app_starts_without_the_inbox() -> None:
    program = (
        "import sys; from hitl_webapp.main import create_app; from hitl_webapp.settings import WebSettings;"
        "create_app(WebSettings(storage_root='memory://x')); print('hitl_webapp.inbox.index' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"
