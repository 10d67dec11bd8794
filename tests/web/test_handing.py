"""A question is handed over to somebody else: in the form, over the API, in bulk, and what each sees of it."""

from __future__ import annotations

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from hitl.core.approval import Approval
from tests.web.serving import WebApp, visible_text
from tests.web.test_identity import as_user
from tests.web.test_votes import api, asked, form, page, signed_in, status

__all__ = ["signed_in"]
FOR_ANN = {"respondents": {"users": ["ann"]}, "approval": None, "requester": ""}


def shown(app: WebApp, name: str, request_id: str) -> bool:
    url = f"{app.url}/form/{request_id}"
    return httpx.get(url, headers=as_user(name)).status_code == 200


def test_somebody_else_sees_and_answers_it_once_it_is_handed_over(signed_in: WebApp) -> None:
    question = asked(signed_in, "handed", **FOR_ANN)
    assert not shown(signed_in, "bob", "handed")
    assert form(question, "bob", value="true").status_code == 403
    leads = form(question, "ann", step="delegate", value="true", comment="mind the time")
    assert 'id="to"' in leads.text
    # What was typed is there on the way back.
    assert "mind the time" in form(question, "ann", step="back", kept="true", comment="mind the time").text

    for to, why in (("", "A name is needed."), ("ann", "to yourself"), ("  ", "A name is needed.")):
        refused = form(question, "ann", step="hand-over", to=to)
        assert refused.status_code in (403, 422)
        assert why in refused.text
        assert 'aria-invalid="true"' in refused.text
    handed = form(question, "ann", step="hand-over", to="bob")
    assert handed.status_code == 200
    assert "You handed this question over to bob." in visible_text(handed.text)
    assert "Send answer" not in page(question, "ann")
    assert "Take it back" in page(question, "ann")
    assert form(question, "ann", value="true").status_code == 403
    assert "take that back before you answer" in api(question, "ann", value=True).text

    assert "You answer on behalf of ann" in " ".join(page(question, "bob").split())
    assert "Hand over to somebody else" not in page(question, "bob")
    assert "nobody hands on what they were handed" in form(question, "bob", step="hand-over", to="cem").text
    assert not shown(signed_in, "cem", "handed")
    assert form(question, "bob", value="true").status_code == 200
    outcome = question.stored()
    assert outcome is not None
    assert (outcome["respondent"]["name"], outcome["respondent"]["on_behalf_of"]) == ("bob", "ann")
    assert "bob on behalf of ann" in " ".join(page(question, "bob").split())
    assert form(question, "ann", step="withdraw").status_code in (200, 409)


def test_it_is_taken_back_in_the_form_or_over_the_api_until_it_is_used(signed_in: WebApp) -> None:
    question = asked(signed_in, "taken-back", **FOR_ANN)
    handed = api(question, "ann", delegate_to="bob")
    assert (handed.status_code, handed.json()["status"]) == (200, "delegated")
    assert api(question, "ann", delegate_to="cem").status_code == 409
    assert api(question, "ann", delegate_to="cem", value=True).status_code == 400
    assert shown(signed_in, "bob", "taken-back")

    taken = form(question, "ann", step="withdraw")
    assert "You took it back from bob." in visible_text(taken.text)
    assert "Send answer" in visible_text(taken.text)
    assert not shown(signed_in, "bob", "taken-back")
    assert api(question, "bob", value=True).status_code == 403

    assert api(question, "ann", delegate_to="cem").status_code == 200
    gone = httpx.delete(f"{signed_in.url}/votes/taken-back", headers=as_user("ann"))
    assert (gone.status_code, gone.json()["status"], gone.json()["approval"]) == (200, "withdrawn", None)
    assert api(question, "ann", value=True).json()["status"] == "submitted"


def test_a_form_that_a_browser_sends_again_says_what_stands(signed_in: WebApp) -> None:
    question = asked(signed_in, "sent-again", **FOR_ANN)
    for way in ({"to": "bob", "step": "hand-over"}, {"step": "withdraw"}):
        assert form(question, "ann", submission_id=f"the-{way['step']}", **way).status_code == 200

    again = form(question, "ann", submission_id="the-hand-over", to="bob", step="hand-over")
    assert "handed this question over to bob before, and took it back since" in visible_text(again.text)
    other = form(question, "ann", submission_id="the-hand-over", to="cem", step="hand-over")
    assert other.status_code == 409
    assert "You handed this question over to cem" not in visible_text(other.text)
    assert not shown(signed_in, "bob", "sent-again")
    assert not shown(signed_in, "cem", "sent-again")

    assert form(question, "ann", submission_id="a-new-one", to="cem", step="hand-over").status_code == 200
    back = form(question, "ann", submission_id="the-withdraw", step="withdraw")
    assert "what you have said since stands" in visible_text(back.text)
    assert "You took it back" not in visible_text(back.text)
    assert shown(signed_in, "cem", "sent-again")


def test_a_vote_on_behalf_of_somebody_takes_their_seat_and_says_so(signed_in: WebApp) -> None:
    question = asked(signed_in, "seat", respondents={"groups": ["sre", "security"]})
    assert api(question, "asker", "sre", delegate_to="bob").status_code == 403
    assert "cannot be handed over to asker" in api(question, "ann", "sre", delegate_to="asker").text
    assert api(question, "ann", "sre", delegate_to="bob").status_code == 200

    both = {"request_ids": ["seat"], "value": True}
    results = httpx.post(f"{signed_in.url}/bulk", json=both, headers=as_user("bob")).json()["results"]
    assert results[0]["detail"] == "1/2 agree so far. Still needed: 1 more."
    [vote] = status(question, "bob")["approval"]["votes"]
    assert (vote["name"], vote["on_behalf_of"]) == ("bob", "ann")
    assert "bob on behalf of ann" in " ".join(page(question, "bob").split())
    stays = form(question, "ann", "sre", step="withdraw")
    assert "who has acted on it: that stands" in visible_text(stays.text)
    assert api(question, "cem", "security", value=True).json()["status"] == "submitted"


def test_nothing_is_handed_over_where_nobody_signs_in_or_everybody_may_answer(
    signed_in: WebApp, shared_app: WebApp
) -> None:
    anybody = asked(signed_in, "anybody", approval=Approval(required=2), requester="")
    assert "Hand over to somebody else" not in page(anybody, "ann")
    assert "nothing to hand over" in api(anybody, "ann", delegate_to="bob").text
    by_link = shared_app.ask("by-link")
    body = {"request_id": by_link.request_id, "token": by_link.token, "delegate_to": "bob"}
    refused = httpx.post(f"{shared_app.url}/submit/json", json=body)
    assert (refused.status_code, "sign in first" in refused.text) == (403, True)


def test_it_is_handed_over_by_keyboard_on_a_phone_and_axe_finds_nothing(
    signed_in: WebApp, browser: Browser
) -> None:
    question = asked(signed_in, "by-keyboard", **FOR_ANN)
    context = browser.new_context(viewport={"width": 360, "height": 800}, extra_http_headers=as_user("ann"))
    page = context.new_page()
    page.goto(f"{signed_in.url}/form/by-keyboard")
    clean(page)
    page.get_by_role("button", name="Hand over to somebody else…").press("Enter")
    expect(page.locator("h1")).to_have_text("Hand over to somebody else")
    clean(page)
    page.get_by_label("Who answers instead?").press("Enter")
    expect(page.locator("#to-error")).to_have_text("A name is needed.")
    clean(page)
    page.keyboard.type("bob")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()
    clean(page)
    page.get_by_role("button", name="Take it back").press("Enter")
    expect(page.get_by_role("button", name="Send answer")).to_be_visible()
    context.close()
    assert question.stored() is None


def clean(page: Page) -> None:
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
