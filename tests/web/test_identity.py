"""Who is believed to be whom."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hitl.core.respondents import Respondents
from tests.web.controls import Controls
from tests.web.serving import Question, WebApp, running, visible_text

SECRET = "a-secret-of-the-proxy"


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[WebApp]:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    with running(str(tmp_path / "root"), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET_FILE=str(secret)) as app:
        yield app


def as_user(name: str, groups: str = "", secret: str = SECRET) -> dict[str, str]:
    return {"X-HITL-Proxy-Secret": secret, "X-Forwarded-User": name, "X-Forwarded-Groups": groups}


def post(question: Question, headers: dict[str, str]) -> httpx.Response:
    body = {"request_id": question.request_id, "value": 1}
    return httpx.post(f"{question.app.url}/submit/json", json=body, headers=headers)


def test_the_proxys_user_is_recorded_as_verified(proxied: WebApp) -> None:
    question = proxied.ask(respondents=None)

    assert post(question, as_user("ann")).status_code == 200

    outcome = question.stored()
    assert outcome is not None
    assert outcome["respondent"]["name"] == "ann"
    assert outcome["respondent"]["verified"] is True


def test_headers_from_anyone_else_are_dropped(proxied: WebApp) -> None:
    question = proxied.ask()

    assert post(question, as_user("ann", secret="guessed")).status_code == 401
    assert post(question, {"X-Forwarded-User": "ann"}).status_code == 401
    assert httpx.get(proxied.url, headers={"X-Forwarded-User": "ann"}).status_code == 401
    assert question.stored() is None


def test_a_page_that_hides_where_it_comes_from_cannot_use_the_proxys_identity(proxied: WebApp) -> None:
    question = proxied.ask()

    sent = httpx.post(
        f"{proxied.url}/submit",
        data={"request_id": question.request_id, "value": "1"},
        headers={**as_user("ann"), "Origin": "null"},
    )

    assert sent.status_code == 403
    assert question.stored() is None


def test_only_whom_the_question_names_may_see_and_answer_it(proxied: WebApp) -> None:
    question = proxied.ask(respondents=Respondents(users=["ann"], groups=["leads"]))

    assert post(question, as_user("bob")).status_code == 403
    assert httpx.get(question.url.partition("?")[0], headers=as_user("bob")).status_code == 403
    assert post(question, {}).status_code == 401
    by_link = question.api(1)
    assert by_link.status_code == 403
    assert "names who may answer" in by_link.json()["detail"]
    assert question.stored() is None
    assert post(question, as_user("cy", groups="staff, leads")).status_code == 200


def test_on_call_people_answer_once_their_time_has_come(proxied: WebApp) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    later = {"respondents": {"users": ["ann"]}, "timeout_seconds": 7_200, "now": now - timedelta(minutes=30)}
    come = proxied.ask("come", event_name="come", escalate=[(60, {"groups": ["oncall"]})], **later)
    # So late that no machine is slow enough.
    not_yet = proxied.ask("not-yet", event_name="not yet", escalate=[(7_199, {"groups": ["oncall"]})], **later)
    bob = as_user("bob", groups="oncall")

    forms = [httpx.get(f"{proxied.url}/form/{each.request_id}", headers=bob) for each in (come, not_yet)]
    assert [each.status_code for each in forms] == [200, 403]
    at = now - timedelta(minutes=29)
    said = " ".join(visible_text(forms[0].text).split())
    assert f"From {at:%Y-%m-%d %H:%M:%S} UTC on, group oncall may answer as well." in said
    inbox = httpx.get(proxied.url, headers=bob).text
    assert ("come" in inbox, "not yet" in inbox) == (True, False)
    assert [
        each["request_id"] for each in httpx.get(f"{proxied.url}/questions", headers=bob).json()["questions"]
    ] == ["come"]
    assert [post(each, bob).status_code for each in (not_yet, come)] == [403, 200]
    assert post(not_yet, as_user("ann")).status_code == 200
    assert come.stored()["respondent"]["name"] == "bob"  # type: ignore[index]  # it was answered


def test_the_audits_log_says_once_who_was_refused(proxied: WebApp) -> None:
    question = proxied.ask(respondents=Respondents(users=["ann"]))

    post(question, as_user("bob"))
    post(question, {})
    question.api(1)

    audit = proxied.logged("hitl.audit")
    assert {each["request_id"] for each in audit} == {question.request_id}
    assert [(each["result"], each["name"], each["verified"]) for each in audit] == [
        ("NotAllowed", "bob", True),
        ("Unauthenticated", "", False),
        ("NotAllowed", "", False),
    ]


def test_the_inbox_shows_what_this_visitor_may_see_oldest_first(proxied: WebApp) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    proxied.ask("newer", event_name="newer one", prompt="Ship **2.4** &\n`<b>`?", now=now)
    proxied.ask("older", event_name="older one", now=now - timedelta(minutes=5))
    proxied.ask("hidden", event_name="not for ann", respondents=Respondents(users=["bob"]))
    done = proxied.ask("done", event_name="settled one")
    done.api(3)

    page = httpx.get(proxied.url, headers=as_user("ann")).text

    assert page.index("older one") < page.index("newer one") < page.index("settled one")
    assert "not for ann" not in page
    assert "Ship 2.4 &amp; &lt;b&gt;?" in page


def test_a_name_is_recorded_whole_or_not_at_all(proxied: WebApp) -> None:
    question = proxied.ask()

    assert post(question, as_user("a" * 257)).status_code == 403
    assert question.stored() is None
    assert post(question, as_user("a" * 256)).status_code == 200


def test_two_secrets_are_valid_while_one_replaces_the_other(proxied: WebApp, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\nthe-next-one\n")
    for secret in (SECRET, "the-next-one"):
        assert httpx.get(proxied.url, headers=as_user("ann", secret=secret)).status_code == 200


def test_a_proxy_without_a_secret_is_refused_at_start() -> None:
    from hitl_webapp.settings import WebSettings

    with pytest.raises(ValueError, match="HITL_PROXY_SECRET"):
        WebSettings(auth="proxy")


def test_where_groups_are_named_only_their_members_use_the_site(tmp_path: Path) -> None:
    settings = {"HITL_AUTH": "proxy", "HITL_PROXY_SECRET": SECRET, "HITL_SIGN_OUT_URL": "/out?rd=%2F"}
    allowed = {"HITL_PROXY_ALLOWED_GROUPS": '["leads", "sre"]'}
    with running(str(tmp_path / "root"), tmp_path, None, **settings, **allowed) as app:
        question = app.ask()
        for groups in ("", "staff", "leads-of-others", "Leads"):
            page = httpx.get(app.url, headers=as_user("bob", groups))
            assert page.status_code == 403
            assert "You are signed in as bob. This site is only for members of leads, sre." in page.text
            assert '<a href="/out?rd=%2F">Sign out</a>' in page.text
            assert post(question, as_user("bob", groups)).status_code == 403
        assert question.stored() is None
        assert (
            '<a href="/out?rd=%2F">Sign out</a>' in httpx.get(app.url, headers=as_user("ann", "staff, sre")).text
        )
        assert post(question, as_user("ann", "staff, sre")).status_code == 200


def test_what_a_form_sent_after_the_session_is_kept_to_be_sent_again(proxied: WebApp) -> None:
    question = proxied.ask(data_type=str)
    sent = {"request_id": question.request_id, "value": 'a "quoted"\r\n<b>text</b>', "comment": "why"}

    page = httpx.post(f"{proxied.url}/submit", data=sent)

    assert page.status_code == 401
    assert question.stored() is None
    controls = Controls()
    controls.feed(page.text)
    assert dict(controls.sent) == sent
    assert httpx.post(f"{proxied.url}/submit", data=dict(controls.sent), headers=as_user("ann")).is_success
    assert (question.stored() or {})["value"] == 'a "quoted"\n<b>text</b>'
    several = httpx.post(f"{proxied.url}/bulk", data={"id": [question.request_id], "value": "kept"})
    assert several.status_code == 401
    assert 'value="kept"' in several.text
    # A program has no page to look at.
    api = httpx.post(f"{proxied.url}/submit/json", json={"request_id": question.request_id, "value": "x"})
    assert api.headers["content-type"] == "application/problem+json"
