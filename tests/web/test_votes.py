"""Several people agree: what each sees and is told, in the form and over the API, and who is refused."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from hitl.core.approval import Approval
from hitl.core.tally import tally
from hitl.records.requests import read_request
from hitl.records.votes import read_votes
from tests.backends.processes import PATIENCE
from tests.docs.commands import run_block
from tests.web.serving import Question, WebApp, run, running, visible_text
from tests.web.test_identity import SECRET, as_user

POLICY = Approval(required=2, groups={"sre": 1}, exclude_requester=True, comment_required="OnReject")


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("signed-in")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        yield app


def asked(app: WebApp, request_id: str, **changes: Any) -> Question:
    content = {"data_type": bool, "prompt": "Ship it?", "approval": POLICY, "requester": "asker"}
    return app.ask(request_id, **{**content, **changes})


def form(question: Question, name: str, groups: str = "", **fields: str) -> httpx.Response:
    headers = {**as_user(name, groups), "Origin": question.app.url}
    data = {"request_id": question.request_id, **fields}
    return httpx.post(f"{question.app.url}/submit", data=data, headers=headers)


def api(question: Question, name: str, groups: str = "", **fields: Any) -> httpx.Response:
    body = {"request_id": question.request_id, **fields}
    return httpx.post(f"{question.app.url}/submit/json", json=body, headers=as_user(name, groups))


def page(question: Question, name: str) -> str:
    reply = httpx.get(f"{question.app.url}/form/{question.request_id}", headers=as_user(name))
    assert reply.status_code == 200
    return visible_text(reply.text)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def status(question: Question, name: str = "ann") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(
        f"{question.app.url}/status/{question.request_id}", headers=as_user(name)
    ).json()
    return found


def test_two_people_agree_in_the_form_and_over_the_api(signed_in: WebApp) -> None:
    question = asked(signed_in, "agreed")
    assert "2 people must give the same answer, among them 1 of sre" in page(question, "ann")
    assert "0/2 agree so far. Still needed: 1 more of sre, 1 more." in page(question, "ann")

    first = form(question, "ann", value="true", comment="looks good")
    assert first.status_code == 200
    text = visible_text(first.text)
    assert "Your vote was saved." in text
    assert "1/2 agree so far. Still needed: 1 more of sre." in text
    assert question.stored() is None

    # Whoever looks sees who said what; who voted has no second form.
    assert "looks good" in page(question, "bob")
    assert "Send answer" in page(question, "bob")
    assert "ann (you)" in " ".join(page(question, "ann").split())
    assert "(you)" not in page(question, "bob")
    assert "Send answer" not in page(question, "ann")
    pending = status(question)
    assert (pending["status"], pending["approval"]["agree"], pending["approval"]["needed"]) == (
        "pending",
        1,
        [{"group": "sre", "required": 1}],
    )
    again = form(question, "ann", value="true")
    assert again.status_code == 200
    assert "The same vote was sent before: its comment is kept" in visible_text(again.text)

    last = api(question, "bob", "sre", value=True)
    assert last.status_code == 200
    assert last.json()["status"] == "submitted"
    assert [each["name"] for each in last.json()["outcome"]["votes"]] == ["ann", "bob"]
    assert status(question)["approval"] is None
    ended = page(question, "ann")
    assert "Agreed by" in ended
    assert "ann" in ended
    assert "bob" in ended
    inbox = httpx.get(f"{signed_in.url}/", params={"state": "settled"}, headers=as_user("eve"))
    assert "answered by ann and bob via" in " ".join(visible_text(inbox.text).split())
    assert form(question, "eve", "sre", value="false").status_code == 409


def test_a_vote_shows_in_the_list_and_with_the_question(signed_in: WebApp) -> None:
    question = asked(signed_in, "listed", approval=Approval(required=2), requester="")
    assert form(question, "ann", value="true").status_code == 200

    def listed(name: str) -> dict[str, Any]:
        params = {"text": "listed", "state": "open"}
        found = httpx.get(f"{signed_in.url}/questions", params=params, headers=as_user(name)).json()
        return {each["request_id"]: each["approval"] for each in found["questions"]}["listed"] or {}

    until(lambda: listed("ann").get("agree") == 1)
    assert (listed("ann")["voted"], listed("bob")["voted"]) == (True, False)
    one = httpx.get(f"{signed_in.url}/questions/listed", headers=as_user("bob")).json()
    assert [each["name"] for each in one["approval"]["votes"]] == ["ann"]
    assert form(question, "ann", step="withdraw").status_code == 200
    until(lambda: listed("ann")["agree"] == 0)


def test_the_policy_page_lets_four_people_vote_by_curl(signed_in: WebApp) -> None:
    policy = Approval(required=3, groups={"sre": 2, "security": 1}, exclude_requester=True)
    question = asked(signed_in, "tried", approval=policy, requester="ann")
    names = {"http://127.0.0.1:8080": signed_in.url, "only-for-this-try": SECRET, "ask-2496a8cc": "tried"}

    ann, bob, cem, dan = map(json.loads, run_block("docs/policy.md", "vote()", names).splitlines())

    assert "others must decide" in ann["detail"]
    assert "Still needed: 1 more of security, 1 more of sre." in bob["message"]
    assert "Still needed: 1 more of security." in cem["message"]
    assert [each["name"] for each in dan["outcome"]["votes"]] == ["bob", "cem", "dan"]
    assert (question.stored() or {})["value"] is True


def test_the_requester_is_refused_on_each_channel_and_told_why(signed_in: WebApp) -> None:
    question = asked(signed_in, "asked-by-asker")

    for refused in (
        form(question, "asker", "sre", value="true"),
        form(question, "asker", "sre", reject="1", comment="no"),
        api(question, "asker", "sre", value=True),
        api(question, "asker", "sre", reject=True, comment="no"),
        httpx.post(
            f"{signed_in.url}/bulk",
            json={"request_ids": [question.request_id], "value": True},
            headers=as_user("asker"),
        ),
    ):
        assert "others must decide" in refused.text
        assert refused.status_code == 403 or refused.json()["results"][0]["status"] == 403
    assert "others must decide" in page(question, "asker")
    assert run(votes(question)) == []
    lines = [line for line in signed_in.logged("hitl.audit") if line["request_id"] == question.request_id]
    assert [line["result"] for line in lines] == ["NotAllowed"] * 5


async def votes(question: Question) -> list[str]:
    store = question.app.store
    request = await read_request(store, question.request_id)
    found = [each for each in await read_votes(store, request) if each.end != "withdrawn"]
    assert tally(request.document, [each.vote for each in found], request.document.created_at) is None
    return [each.vote.respondent.name for each in found]


def test_a_vote_is_changed_by_withdrawing_it_in_the_form_or_over_the_api(signed_in: WebApp) -> None:
    question = asked(signed_in, "changed")
    form(question, "ann", value="true")

    changed = form(question, "ann", value="false")
    assert changed.status_code == 409
    assert "You answered true before, and that vote stands" in visible_text(changed.text)
    assert api(question, "ann", value=False).status_code == 409

    withdrawn = form(question, "ann", step="withdraw")
    assert withdrawn.status_code == 200
    assert "Your vote was withdrawn." in visible_text(withdrawn.text)
    assert "0/2 agree so far" in visible_text(withdrawn.text)
    assert run(votes(question)) == []
    assert form(question, "ann", step="withdraw").status_code == 200
    assert form(question, "bob", step="withdraw").status_code == 422

    assert api(question, "ann", value=False).json()["status"] == "voted"
    url = f"{signed_in.url}/votes/{question.request_id}"
    gone = httpx.delete(url, headers=as_user("ann"))
    assert (gone.status_code, gone.json()["status"], gone.json()["outcome"]) == (200, "withdrawn", None)
    assert httpx.delete(url, headers=as_user("ann")).status_code == 200
    assert httpx.delete(url, headers=as_user("bob")).status_code == 422
    assert httpx.delete(url).status_code == 401


def test_what_arrives_again_after_a_withdrawal_changes_nothing(signed_in: WebApp) -> None:
    question = asked(signed_in, "again")
    url = f"{signed_in.url}/votes/{question.request_id}"

    def sent(key: str, **fields: Any) -> httpx.Response:
        body = {"request_id": question.request_id, **fields}
        headers = {**as_user("ann"), "Idempotency-Key": key}
        return httpx.post(f"{question.app.url}/submit/json", json=body, headers=headers)

    assert sent("k1", value=True).json()["status"] == "voted"
    withdrawal = {**as_user("ann"), "Idempotency-Key": "w1"}
    assert httpx.delete(url, headers=withdrawal).json()["status"] == "withdrawn"
    assert sent("k1", value=True).status_code == 409
    assert sent("k1", value=False).status_code == 409
    assert run(votes(question)) == []
    assert sent("k2", value=False).json()["status"] == "voted"
    assert httpx.delete(url, headers=withdrawal).status_code == 200
    assert run(votes(question)) == ["ann"]


def test_a_browser_that_loads_the_page_after_a_vote_again_does_not_vote_again(signed_in: WebApp) -> None:
    question = asked(signed_in, "reloaded")
    shown = httpx.get(f"{question.app.url}/form/{question.request_id}", headers=as_user("ann")).text
    [name] = set(re.findall(r'name="submission_id" value="([^"]+)"', shown))

    assert form(question, "ann", value="true", submission_id=name).status_code == 200
    after = form(question, "ann", step="withdraw", submission_id="of another page").text
    assert run(votes(question)) == []
    reloaded = form(question, "ann", value="true", submission_id=name)
    assert reloaded.status_code == 409
    assert "send a new submission" in visible_text(reloaded.text)
    assert run(votes(question)) == []
    [fresh] = set(re.findall(r'name="submission_id" value="([^"]+)"', after))
    assert form(question, "ann", value="true", submission_id=fresh).status_code == 200
    assert run(votes(question)) == ["ann"]


def test_a_page_of_another_site_cannot_withdraw_a_vote(signed_in: WebApp) -> None:
    question = asked(signed_in, "not-yours")
    form(question, "ann", value="true")
    evil = {**as_user("ann"), "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    assert httpx.delete(f"{signed_in.url}/votes/{question.request_id}", headers=evil).status_code == 403
    sent = {"request_id": question.request_id, "step": "withdraw"}
    assert httpx.post(f"{signed_in.url}/submit", data=sent, headers=evil).status_code == 403
    assert run(votes(question)) == ["ann"]


def test_who_declines_says_why_and_ends_it(signed_in: WebApp) -> None:
    question = asked(signed_in, "declined")

    assert api(question, "ann", reject=True).status_code == 422
    assert form(question, "ann", reject="1", comment="too risky").status_code == 200

    outcome = question.stored()
    assert outcome is not None
    assert (outcome["outcome"], outcome["comment"]) == ("rejected", "too risky")
    assert [each["name"] for each in outcome["votes"]] == ["ann"]


def test_a_comment_that_is_needed_is_asked_for_in_its_field(signed_in: WebApp) -> None:
    question = asked(
        signed_in, "commented", approval=Approval(required=2, comment_required="Always"), requester=""
    )

    reply = form(question, "ann", value="true")
    assert reply.status_code == 422
    assert 'id="comment-error"' in reply.text
    assert api(question, "ann", value=True).status_code == 422
    assert form(question, "ann", value="true", comment="fine").status_code == 200


def test_several_questions_are_voted_on_at_once(signed_in: WebApp) -> None:
    one, other = asked(signed_in, "at-once-1"), asked(signed_in, "at-once-2")
    ids = [one.request_id, other.request_id]
    body = {"request_ids": ids, "value": True}
    selected = httpx.get(f"{signed_in.url}/bulk", params={"id": ids}, headers=as_user("ann", "sre"))
    told = " ".join(visible_text(selected.text).split())
    assert told.count("2 people must give the same answer, among them 1 of sre.") == 2
    assert "it is your vote, which you can withdraw" in told
    assert "cannot be changed afterwards" not in told

    results = httpx.post(f"{signed_in.url}/bulk", json=body, headers=as_user("ann", "sre")).json()["results"]

    assert [each["status"] for each in results] == [200, 200]
    assert {each["detail"] for each in results} == {"1/2 agree so far. Still needed: 1 more."}
    assert run(votes(one)) == ["ann"]
    api(one, "bob", value=True)
    ended = httpx.get(f"{signed_in.url}/bulk", params={"id": ids}, headers=as_user("cem"))
    assert "Recorded: Yes, by ann and bob." in visible_text(ended.text)


def test_on_a_phone_all_who_agreed_stand_below_each_other(signed_in: WebApp, browser: Browser) -> None:
    question = asked(signed_in, "on-a-phone")
    for name in ("ann", "bob"):
        api(question, name, "sre", value=True)
    context = browser.new_context(viewport={"width": 360, "height": 800}, extra_http_headers=as_user("cem"))
    shown = context.new_page()
    shown.goto(f"{signed_in.url}/form/{question.request_id}")

    boxes = [box for each in shown.locator(".outcome dd").all() if (box := each.bounding_box())]
    context.close()
    assert len(boxes) == 5
    assert len({box["x"] for box in boxes}) == 1
    assert min(box["width"] for box in boxes) > 150


def test_where_nobody_signs_in_a_vote_is_refused_with_a_sentence(shared_app: WebApp) -> None:
    question = shared_app.ask("by-name", approval=Approval(required=2))

    assert "nobody has verified yours" in visible_text(httpx.get(question.url).text)
    assert question.form("1").status_code == 403
    assert question.api(1).status_code == 403
    assert question.stored() is None


def test_with_links_each_link_has_one_vote_where_the_policy_says_so(shared_app: WebApp) -> None:
    question = shared_app.ask("by-links", approval=Approval(required=2, allow_links=True))

    assert question.form("4", name="ann").status_code == 200
    assert question.form("4", name="bob").status_code == 200
    assert "unverified" in visible_text(httpx.get(question.url).text)
    assert question.stored() is None
    withdrawn = question.form("", step="withdraw")
    assert "Your vote was withdrawn." in visible_text(withdrawn.text)
    assert question.form("4", name="ann").status_code == 200
    headers = {"Authorization": f"Bearer {question.token}"}
    assert httpx.delete(f"{shared_app.url}/votes/{question.request_id}", headers=headers).status_code == 200
    assert httpx.delete(f"{shared_app.url}/votes/{question.request_id}").status_code == 403


def test_a_question_for_one_person_has_no_votes(shared_app: WebApp) -> None:
    question = shared_app.ask("for-one")
    headers = {"Authorization": f"Bearer {question.token}"}

    assert httpx.delete(f"{shared_app.url}/votes/{question.request_id}", headers=headers).status_code == 400
    assert question.form("", step="withdraw").status_code == 400
    assert "Who must agree" not in httpx.get(question.url).text
