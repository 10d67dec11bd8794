"""Statistics over HTTP: the page, its plots, and the same figures as JSON, for two users with different rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jsonschema
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument, Respondent
from hitl.core.respondents import Respondents
from hitl.records.index import note_settled
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl_webapp.durations import span
from hitl_webapp.stats.figures import Figures
from hitl_webapp.stats.plots import Plot, counts_plot, times_plot
from tests.web.serving import WebApp, run, running, visible_text
from tests.web.test_browser import shot
from tests.web.test_inbox_api import SECRET, as_user

HOSTILE = '<script>alert(1)</script>\u202e"x'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    """A month of two teams, and one question that is open for both."""
    folder = tmp_path_factory.mktemp("stats")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        run(_month(found))
        both = Respondents(groups=["sre", "finance"])
        found.ask("waits", respondents=both, origin=Origin(project="billing"))
        bodies: dict[str, dict[str, Any]] = {"now": {"value": 7}, "declined": {"reject": True, "comment": "no"}}
        for request_id, body in bodies.items():
            found.ask(request_id, respondents=Respondents(groups=["sre"]), origin=Origin(project=HOSTILE))
            sent = httpx.post(
                f"{found.url}/submit/json", json={"request_id": request_id, **body}, headers=as_user("ann", "sre")
            )
            assert sent.status_code == 200, sent.text
        yield found


async def _month(app: WebApp) -> None:
    now = datetime.now(UTC)
    kinds: list[Any] = ["answered", "answered", "answered", "rejected", "timed_out", "cancelled"]
    for number in range(24):
        team, kind = ("sre", "finance")[number % 2], kinds[number // 2 % 6]
        asked_at = now - timedelta(days=number + 1)
        origin = Origin(project=f"project-{number % 3}", namespace="payments")
        named = {"respondents": Respondents(groups=[team]), "origin": origin, "timeout_seconds": 90 * 86_400}
        await app._ask(f"old-{number}", {"now": asked_at, **named})
        request = await read_request(app.store, f"old-{number}")
        outcome = OutcomeDocument(
            request_id=request.request_id,
            data_type="int",
            status="completed",
            value=7 if kind == "answered" else None,
            outcome=kind,
            reason="x",
            submission_id="s",
            answered_at=asked_at + timedelta(minutes=2**number % 1_000),
            respondent=Respondent(via="web", name="ann", verified=True),
            request_sha256=request.sha256,
        )
        await app.store.create_once(keys.response_key(request.request_id), outcome.to_bytes())
        await note_settled(Records(app.store), request.document, outcome)


def stats(app: WebApp, user: str = "ann", groups: str = "sre", **parameters: str) -> dict[str, Any]:
    reply = httpx.get(f"{app.url}/stats", params=parameters, headers=as_user(user, groups), timeout=60)
    assert reply.status_code == 200, reply.text
    content: dict[str, Any] = reply.json()
    return content


def page(app: WebApp, user: str = "ann", groups: str = "sre", **parameters: str) -> str:
    reply = httpx.get(f"{app.url}/statistics", params=parameters, headers=as_user(user, groups), timeout=60)
    assert reply.status_code == 200
    return reply.text


def test_each_sees_the_figures_of_what_they_may_see(app: WebApp) -> None:
    sre, finance, eve = stats(app), stats(app, "bob", "finance"), stats(app, "eve", "")
    assert [sre["total"][each] for each in ("open", "answered", "rejected", "timed_out", "cancelled")] == [
        1,
        7,
        3,
        2,
        2,
    ]
    assert [finance["total"][each] for each in ("open", "answered", "rejected")] == [1, 6, 2]
    assert sre["complete"]
    assert sre["total"]["seconds_to_answer"]["count"] == 10
    # Whose question it is too, they may see on the question itself.
    assert {each["team"]: each["open"] for each in sre["by_team"]} == {"sre": 1, "finance": 1}
    assert eve["total"] == {**dict.fromkeys(eve["total"], 0), "oldest_open_at": None} | {
        "seconds_to_answer": {"count": 0, "p50": None, "p90": None}
    }
    assert (eve["by_team"], eve["by_project"], eve["by_week"]) == ([], [], [])


def test_filters_narrow_every_figure(app: WebApp) -> None:
    assert stats(app, project="billing")["total"]["open"] == 1
    assert stats(app, group="finance")["total"]["answered"] == 0
    assert stats(app, namespace="payments", project="project-0")["total"]["answered"] == 2
    week = stats(app, weeks="1")
    assert len(week["by_week"]) == 1
    assert week["by_week"][0]["begins"] == week["settled_from"][:10]
    assert stats(app, view="mine")["total"]["answered"] == 0


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"team": "sre"}, "There is no parameter"),
        ({"weeks": "3"}, 'weeks is "3": it must be one of 1, 4, 13, 26.'),
    ],
)
def test_what_cannot_be_counted_is_a_problem_that_says_what_can(
    app: WebApp, parameters: dict[str, str], told: str
) -> None:
    reply = httpx.get(f"{app.url}/stats", params=parameters, headers=as_user("ann"))
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
    assert told in reply.json()["detail"]


def test_who_did_not_sign_in_gets_no_statistics(app: WebApp, shared_app: WebApp) -> None:
    for url, status in ((app.url, 401), (shared_app.url, 403)):
        assert httpx.get(f"{url}/stats").json()["status"] == status
        assert httpx.get(f"{url}/statistics").status_code == status


def test_the_reply_and_the_example_are_as_the_api_describes_them(app: WebApp) -> None:
    described = httpx.get(f"{app.url}/openapi.json").json()["paths"]["/stats"]["get"]
    content = described["responses"]["200"]["content"]["application/json"]
    for reply in (stats(app), stats(app, "eve", ""), content["example"]):
        jsonschema.validate(reply, content["schema"])
    assert all(each["example"] for each in described["parameters"])
    assert "application/problem+json" in described["responses"]["400"]["content"]


def test_the_page_has_the_figures_as_tables_and_keeps_to_the_policy(app: WebApp) -> None:
    text = page(app)
    words = " ".join(visible_text(text).split())
    assert "Open 1 Oldest open" in words
    assert all(each in words for each in ("group sre", "group finance", "project-0", "billing"))
    assert text.count("<table") == text.count('role="region"') == 3
    # Hostile names are text, and no style stands in the page.
    assert not re.search(r"<script>|\sstyle=|<style|\u202e", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert '<a href="/statistics?project=billing">' in text
    assert '<a href="/statistics">Statistics</a>' in httpx.get(app.url, headers=as_user("ann")).text
    nothing = page(app, project="nowhere")
    assert "No question matches." in nothing
    assert 'value="nowhere"' in nothing


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing_in_the_statistics_and_nothing_sticks_out(
    app: WebApp, browser: Browser, scheme: Any, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, extra_http_headers=as_user("ann", "sre")
    )
    found, told = context.new_page(), []
    found.on("console", lambda message: told.append(message.text))
    found.goto(f"{app.url}/statistics")

    axe = Axe().run(found, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})

    shot(found, f"statistics-{scheme}-{width}")
    assert axe.violations_count == 0, axe.generate_report()
    assert found.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The browser tells what the policy refused.
    assert told == []
    assert (
        found.evaluate(
            "[...document.querySelectorAll('.plot')].map((each) => each.getBoundingClientRect().width > 200)"
        )
        == [True] * 6
    )
    # No bar and no word of a plot lies outside of it, and no two words lie on each other.
    assert found.evaluate(_MISPLACED) == []
    context.close()


_MISPLACED = """() => {
  const found = [];
  for (const plot of document.querySelectorAll(".plot")) {
    const place = (each) => ({ name: each.textContent || "bar", ...each.getBoundingClientRect().toJSON() });
    const whole = place(plot);
    const [words, bars] = ["text", "rect"].map((kind) => [...plot.querySelectorAll(kind)].map(place));
    for (const each of [...words, ...bars])
      if (each.left < whole.left - 2 || each.right > whole.right + 2) found.push(each.name);
    const across = (a, b) => a.left < b.right && b.left < a.right;
    const along = (a, b) => a.top < b.bottom - 3 && b.top < a.bottom - 3;
    for (const a of words)
      for (const b of words) if (a !== b && across(a, b) && along(a, b)) found.push(`${a.name} on ${b.name}`);
  }
  return found;
}"""


def test_each_answer_is_timed_once_by_the_web_app_that_recorded_it(app: WebApp) -> None:
    def timed(outcome: str) -> float:
        lines = httpx.get(f"{app.url}/metrics").text.splitlines()
        name = f'hitl_web_answer_seconds_count{{outcome="{outcome}"}} '
        return sum(float(each.removeprefix(name)) for each in lines if each.startswith(name))

    app.ask("timed", respondents=Respondents(groups=["sre"]), data_type=bool)
    before = timed("answered"), timed("rejected")
    for value, status in ((True, 200), (True, 200), (False, 409)):
        sent = httpx.post(
            f"{app.url}/submit/json", json={"request_id": "timed", "value": value}, headers=as_user("ann", "sre")
        )
        assert sent.status_code == status
    assert (timed("answered"), timed("rejected")) == (before[0] + 1, before[1])


def figures(*times: float, **counts: Any) -> Figures:
    return Figures(times=list(times), **counts)


def widths(plot: Plot) -> list[list[tuple[str, float, float]]]:
    return [[(part.kind, part.x, part.width) for part in bar.parts] for bar in plot.bars]


def test_a_bar_is_as_long_as_what_it_stands_for() -> None:
    plot = counts_plot([("a", figures(answered=10, rejected=5)), ("b", figures(open=3)), ("c", figures())])
    assert [(each.x, each.label) for each in plot.ticks] == [
        (0, "0"),
        (25, "5"),
        (50, "10"),
        (75, "15"),
        (100, "20"),
    ]
    assert widths(plot) == [[("answered", 0, 50), ("rejected", 50, 25)], [("open", 0, 15)], []]
    assert [bar.value for bar in plot.bars] == ["15", "3", "0"]
    assert [each.label for each in counts_plot([("a", figures(open=2))]).ticks] == ["0", "1", "2"]
    for number in (1, 4, 5, 99, 100, 101, 5_000, 100_000):
        scale = counts_plot([("a", figures(open=number))]).ticks
        assert int(scale[-1].label.replace(",", "")) >= number


def test_times_lie_on_a_scale_from_seconds_to_weeks() -> None:
    assert times_plot([("a", figures(answered=0))]) is None
    plot = times_plot([("a", figures(60, 60, 3_600)), ("b", figures(0.2)), ("c", figures(400 * 86_400.0, 1e9))])
    assert plot is not None
    assert [bar.value for bar in plot.bars] == ["1 min – 1 h", "0 s – 0 s", "400 d – 11,574 d"]
    assert (plot.ticks[0].label, plot.ticks[0].x) == ("1 s", 0)
    assert 2 <= len(plot.ticks) <= 5
    places = [(part.x, part.x + part.width) for bar in plot.bars for part in bar.parts]
    assert all(0 <= start <= end <= 100 for start, end in places)
    assert places[1][0] < places[0][0] < places[0][1] < places[2][0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7_200, "2 h"), (90_061, "1 d 1 h"), (1e8, "1,157 d 9 h")],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said
