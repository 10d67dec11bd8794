"""Several questions at once: each is settled by itself, and every result is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

import hitl
from hitl.core.evidence import Evidence
from hitl.core.respondents import Respondents
from tests.web.serving import PAST, Question, WebApp, running, visible_text
from tests.web.test_inbox_api import SECRET, as_user


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    folder = tmp_path_factory.mktemp("bulk")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


def ask(app: WebApp, name: str, count: int, **content: Any) -> list[Question]:
    return [app.ask(f"{name}-{number}", **content) for number in range(count)]


def bulk(app: WebApp, ids: list[str], user: str = "ann", **content: Any) -> list[dict[str, Any]]:
    reply = httpx.post(f"{app.url}/bulk", json={"request_ids": ids, **content}, headers=as_user(user), timeout=60)
    assert reply.status_code == 200, reply.text
    results: list[dict[str, Any]] = reply.json()["results"]
    assert [each["request_id"] for each in results] == ids
    return results


def by(question: Question) -> tuple[str, Any]:
    outcome = question.stored()
    assert outcome is not None
    return outcome["respondent"]["name"], outcome["value"]


def test_each_question_has_a_result_of_its_own(app: WebApp) -> None:
    first, taken, mine, small = ask(app, "each", 4, json_schema={"type": "integer", "minimum": 5})
    other = app.ask("each-of-bob", respondents=Respondents(users=["bob"]))
    httpx.post(f"{app.url}/submit/json", json={"request_id": taken.request_id, "value": 6}, headers=as_user("bob"))
    httpx.post(f"{app.url}/submit/json", json={"request_id": mine.request_id, "value": 7}, headers=as_user("ann"))
    ids = [first.request_id, taken.request_id, mine.request_id, other.request_id, "each-nobody"]

    results = bulk(app, ids, value=7, comment="all alike")

    assert [each["status"] for each in results] == [200, 409, 200, 403, 404]
    assert results[1]["outcome"]["respondent"]["name"] == "bob"
    assert "link" not in results[1]["outcome"]["respondent"]
    assert [by(first), by(taken), by(mine)] == [("ann", 7), ("bob", 6), ("ann", 7)]
    assert other.stored() is None
    [refused] = bulk(app, [small.request_id], value=4)
    assert (refused["status"], small.stored()) == (422, None)
    [declined] = bulk(app, [small.request_id], reject=True, comment="no")
    assert declined["outcome"]["outcome"] == "rejected"


def test_while_others_answer_all_results_are_true_and_each_question_has_one_outcome(app: WebApp) -> None:
    questions = ask(app, "race", 100)
    ids = [each.request_id for each in questions]

    def one(number: int) -> list[int]:
        with httpx.Client(headers=as_user(f"user-{number}"), timeout=60) as client:
            return [
                client.post(f"{app.url}/submit/json", json={"request_id": each, "value": number}).status_code
                for each in ids[number::10]
            ]

    with ThreadPoolExecutor(21) as pool:
        others = [pool.submit(one, number) for number in range(20)]
        results = pool.submit(bulk, app, ids, value=100).result()
        statuses = Counter(status for each in others for status in each.result())

    won = [each["request_id"] for each in results if each["status"] == 200]
    assert {each["status"] for each in results} <= {200, 409}
    for question, result in zip(questions, results, strict=True):
        name, value = by(question)
        assert (name == "ann") is (question.request_id in won)
        assert result["outcome"]["value"] == value
    assert statuses[200] + len(won) == 100


@pytest.mark.parametrize(
    "content",
    [
        {"request_ids": [], "value": 1},
        {"request_ids": [f"q-{number}" for number in range(101)], "value": 1},
        {"request_ids": ["../x"], "value": 1},
        {"request_ids": "q-1", "value": 1},
        {"request_ids": ["q-1"]},
        {"request_ids": ["q-1"], "value": 1, "reject": True},
        {"request_ids": ["q-1"], "value": 1, "rejects": True},
        {"request_ids": ["q-1"], "value": 1, "reject": "no"},
        {"request_ids": ["q-1"], "value": 1, "comment": "x" * 4_097},
        ["q-1"],
    ],
)
def test_what_is_unclear_is_refused_as_a_whole(app: WebApp, content: Any) -> None:
    reply = httpx.post(f"{app.url}/bulk", json=content, headers=as_user("ann"))
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")


def test_who_did_not_sign_in_and_other_sites_submit_nothing(app: WebApp, shared_app: WebApp) -> None:
    body = {"request_ids": ["q-1"], "value": 1}
    assert httpx.post(f"{app.url}/bulk", json=body).status_code == 401
    assert httpx.get(f"{app.url}/bulk", params={"id": "q-1"}).status_code == 401
    assert httpx.post(f"{shared_app.url}/bulk", json=body).status_code == 403
    evil = {**as_user("ann"), "Origin": "https://evil.example"}
    assert httpx.post(f"{app.url}/bulk", data={"id": "q-1", "value": "1"}, headers=evil).status_code == 403


def test_the_page_says_what_will_happen_and_what_happened(app: WebApp) -> None:
    ask(app, "page", 3, event_name="rows to keep", data_type=str, choices=["red", "green"])
    other = app.ask("page-number", event_name="how many")
    ids = {"id": ["page-0", "page-1", "page-2", "page-number", "page-nobody"]}
    page = " ".join(visible_text(httpx.get(f"{app.url}/bulk", params=ids, headers=as_user("ann")).text).split())
    assert "These questions take answers of 2 kinds" in page
    assert "There is no question of this id." in page
    ids = {"id": ["page-0", "page-1", "page-2"]}
    page = " ".join(visible_text(httpx.get(f"{app.url}/bulk", params=ids, headers=as_user("ann")).text).split())
    assert "The same answer will be saved for each of these 3 questions" in page

    def post(**data: Any) -> str:
        reply = httpx.post(f"{app.url}/bulk", data=data, headers=as_user("ann"))
        return f"{reply.status_code} {' '.join(visible_text(reply.text).split())}"

    refused = post(id=["page-0", "page-1"], value="blue", comment="typed")
    assert refused.startswith("422 Error: Answer several questions")
    assert "rows to keep: choose red or green." in refused
    assert "typed" in refused
    both = post(id=["page-0"], reject="1", value="green", comment="typed")
    assert both.startswith("422")
    assert "You gave an answer and declined as well" in both
    assert "typed" in both
    reason = post(id=["page-0"], reject="1", comment=" ")
    assert reason.startswith("422")
    assert "A reason is needed: write why you decline to answer." in reason
    assert Question(app, "page-0", "", "").stored() is None
    assert post(id=["page-0", "page-1"], value="x", kept="y").startswith("400")
    done = post(id=["page-0", "page-1", "page-2"], value="green", comment="as usual")
    assert "3 of 3 saved" in done
    assert "rows to keep How many?" in done
    assert by(Question(app, "page-2", "", "")) == ("ann", "green")
    assert "1 of 1 saved" in post(id="page-number", reject="1", comment="no idea")
    assert (other.stored() or {})["outcome"] == "rejected"


def test_nothing_selected_is_said_so_and_no_page_is_a_dead_end(app: WebApp) -> None:
    reply = httpx.get(f"{app.url}/bulk", headers=as_user("ann"))
    assert (reply.status_code, "Select at least one question in the list" in reply.text) == (400, True)
    missing = httpx.get(f"{app.url}/form/nobody", headers=as_user("ann"))
    assert missing.status_code == 404
    assert all('<a href="/">All your questions</a>' in each for each in (reply.text, missing.text))


def test_what_a_schema_lists_is_offered_and_recorded(app: WebApp) -> None:
    listed = {"oneOf": [{"const": "eu-1", "title": "Frankfurt"}, {"const": "us-1", "title": "Ohio"}]}
    questions = ask(app, "listed", 2, data_type=str, json_schema=listed)
    ids = {"id": [each.request_id for each in questions]}
    page = visible_text(httpx.get(f"{app.url}/bulk", params=ids, headers=as_user("ann")).text)

    reply = httpx.post(f"{app.url}/bulk", data={**ids, "value": "us-1"}, headers=as_user("ann"))

    assert "Frankfurt" in page
    assert "Ohio" in page
    assert "2 of 2 saved" in reply.text
    assert [by(each) for each in questions] == [("ann", "us-1")] * 2


def test_a_choice_that_is_not_safe_to_print_is_recorded_by_its_place(app: WebApp) -> None:
    questions = ask(app, "unsafe", 2, data_type=str, choices=["yes", "\u202eoN"])
    ids = {"id": [each.request_id for each in questions]}
    assert "3 of" not in httpx.post(f"{app.url}/bulk", data={**ids, "choice": "2"}, headers=as_user("ann")).text
    reply = httpx.post(f"{app.url}/bulk", data={**ids, "choice": "1"}, headers=as_user("ann"))
    assert "2 of 2 saved" in reply.text
    assert [by(each) for each in questions] == [("ann", "\u202eoN")] * 2


PLACE = {
    "type": "object",
    "required": ["zone"],
    "properties": {
        "zone": {"type": "string", "title": "Zone", "minLength": 2},
        "tags": {"type": "array", "title": "Tags", "items": {"type": "string"}},
    },
}


def test_an_answer_in_parts_has_its_form_and_its_faults_at_the_fields(app: WebApp) -> None:
    first, second = ask(app, "parts", 2, data_type="json", json_schema=PLACE, default={"zone": "eu"})
    ids = {"id": [first.request_id, second.request_id]}
    page = httpx.get(f"{app.url}/bulk", params=ids, headers=as_user("ann")).text
    assert 'name="v/zone"' in page
    assert 'textarea id="value"' not in page
    assert "eu<" not in page, "what is filled in for one is not for all"

    def post(**fields: str) -> str:
        reply = httpx.post(
            f"{app.url}/bulk", data={**ids, "v~form": "1", "v/tags~rows": "0", **fields}, headers=as_user("ann")
        )
        return f"{reply.status_code} {reply.text}"

    more = post(step="add v/tags", **{"v/zone": "z1", "comment": "typed"})
    assert more.startswith("200")
    assert all(each in more for each in ('name="v/tags/0"', "\nz1<", "\ntyped<"))
    short = post(**{"v/zone": "z"})
    assert short.startswith("422")
    assert 'id="v/zone-error"' in short
    assert first.stored() is None
    assert "2 of 2 saved" in post(**{"v/zone": "z1", "v/tags~rows": "1", "v/tags/0": "a"})
    assert [by(each) for each in (first, second)] == [("ann", {"zone": "z1", "tags": ["a"]})] * 2


def test_null_is_an_answer_where_a_question_takes_it(app: WebApp) -> None:
    takes, other = app.ask("null", data_type=int | None), app.ask("no-null", data_type=int)

    results = bulk(app, [takes.request_id, other.request_id], value=None)

    assert [each["status"] for each in results] == [200, 422]
    assert by(takes) == ("ann", None)
    assert other.stored() is None
    reject = {"request_ids": [other.request_id], "reject": True, "value": 7}
    assert httpx.post(f"{app.url}/bulk", json=reject, headers=as_user("ann")).status_code == 400


def test_who_filled_in_parts_and_declines_all_is_asked_which_it_is(app: WebApp) -> None:
    first, second = ask(app, "both", 2, data_type="json", json_schema=PLACE)
    fields = {"id": [first.request_id, second.request_id], "v~form": "1", "reject": "1", "comment": "go on, then"}

    def post(**parts: str) -> httpx.Response:
        return httpx.post(f"{app.url}/bulk", data={**fields, **parts}, headers=as_user("ann"))

    both = post(**{"v/zone": "z1", "v/tags~rows": "1", "v/tags/0": "a"})
    assert both.status_code == 422
    assert "You gave an answer and declined as well" in both.text
    assert "z1<" in both.text
    assert (first.stored(), second.stored()) == (None, None)
    assert "2 of 2 saved" in post(**{"v/zone": "", "v/tags~rows": "0"}).text


def test_what_is_past_its_deadline_is_said_to_be_late(app: WebApp) -> None:
    [question] = ask(app, "late", 1, now=datetime.now(UTC) - timedelta(seconds=601))

    reply = httpx.post(f"{app.url}/bulk", data={"id": question.request_id, "value": "7"}, headers=as_user("ann"))

    assert "The deadline has passed" in visible_text(reply.text)
    assert "another kind" not in reply.text


def test_what_is_settled_or_takes_a_file_is_not_said_to_be_saved(app: WebApp) -> None:
    waits, ended, sends = ask(app, "closed", 3, event_name="ship it")
    late = app.ask("closed-late", event_name="late", now=datetime.now(UTC) - PAST)
    file = app.ask("closed-file", event_name="send it", data_type=hitl.File)
    sends.api(8, headers=as_user("ann"))
    httpx.post(f"{app.url}/submit/json", json={"request_id": ended.request_id, "value": 7}, headers=as_user("bob"))
    ids = {"id": [each.request_id for each in (waits, ended, sends, late, file)]}

    page = " ".join(visible_text(httpx.get(f"{app.url}/bulk", params=ids, headers=as_user("ann")).text).split())

    assert "Your answer will be saved for this question" in page
    assert "Decline to answer" in page
    assert "Send 1 answer" in page
    assert "This question was answered. Recorded: 7, by bob." in page
    assert "Nobody answered" in page
    assert "It is answered by a file: open it to send one." in page
    only = httpx.get(f"{app.url}/bulk", params={"id": ended.request_id}, headers=as_user("ann")).text
    assert "None of these questions takes an answer here." in only
    assert "<form" not in only


def test_evidence_that_is_not_shown_is_named(app: WebApp) -> None:
    link = Evidence(name="Loss by epoch", kind="link", url="https://runs.example/1")
    [question] = ask(app, "beside", 1, evidence=[link])
    page = httpx.get(f"{app.url}/bulk", params={"id": question.request_id}, headers=as_user("ann")).text
    assert "Evidence that is not shown here: Loss by epoch. Open the question to see it." in visible_text(
        page.replace("<bdi>", "").replace("</bdi>", "")
    )


def test_choices_of_equal_labels_are_told_apart(app: WebApp) -> None:
    [question] = ask(app, "labels", 1, data_type=str, choices={"keep": "Go on", "drop": "Go on"})
    page = httpx.get(f"{app.url}/bulk", params={"id": question.request_id}, headers=as_user("ann")).text
    assert "Go on (keep)" in page
    assert "Go on (drop)" in page


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"choice": "1" * 5_000}, 400),
        ({"choice": "0", "value": "red"}, 400),
        ({"value": "red", "v/a": "1"}, 400),
        ({"v~form": "1", "v/a": "1"}, 400),
        ({"step": "add v"}, 400),
        ({"step": "decline"}, 400),
        ({"value": "red", "reject": "1", "comment": "no"}, 422),
        ({"choice": "0", "reject": "true"}, 400),
        ({"choice": "0", "reject": "0"}, 400),
    ],
)
def test_what_could_mean_two_things_records_nothing(app: WebApp, sent: dict[str, str], status: int) -> None:
    [question] = ask(app, f"two-{abs(hash(str(sent)))}", 1, data_type=str, choices=["red", "green"])
    reply = httpx.post(f"{app.url}/bulk", data={"id": question.request_id, **sent}, headers=as_user("ann"))
    assert reply.status_code == status
    assert question.stored() is None


def test_ten_alike_are_answered_by_keyboard_on_a_phone_and_axe_finds_nothing(
    app: WebApp, browser: Browser, tmp_path: Path
) -> None:
    questions = ask(app, "keys", 3, event_name="ship it", prompt="Ship?", data_type=bool, timeout_seconds=60)
    context = browser.new_context(viewport={"width": 360, "height": 800}, extra_http_headers=as_user("ann"))
    page = context.new_page()
    page.goto(f"{app.url}/?type=bool")
    for _ in questions:
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.locator(".select:checked")).to_have_count(3)
    _clean(page)
    page.get_by_role("button", name="Answer the selected ones together").press("Enter")
    page.wait_for_url("**/bulk?**")
    _clean(page)
    page.get_by_label("Yes").press("Space")
    page.get_by_role("button", name="Send 3 answers").press("Enter")
    expect(page.locator("h1")).to_have_text("3 of 3 saved")
    _clean(page)
    assert [by(each) for each in questions] == [("ann", True)] * 3
    context.close()


def _clean(page: Any) -> None:
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
