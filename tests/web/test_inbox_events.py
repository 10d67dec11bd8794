"""Open pages are told of changes, and of nothing that their visitor may not see."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from hitl.core.respondents import Respondents
from hitl.storage import Store
from hitl_webapp.auth import Principal
from hitl_webapp.inbox import events
from hitl_webapp.inbox.events import Streams
from hitl_webapp.inbox.inbox import Inbox
from hitl_webapp.inbox.queries import Query
from hitl_webapp.problems import TooMany
from tests.web.serving import WebApp, running
from tests.web.test_inbox import asked
from tests.web.test_inbox_api import SECRET, as_user

CHANGED = b"\nevent: changed\ndata: {}\n\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often, and at each look reads the storage again."""
    monkeypatch.setattr(events, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr("hitl_webapp.inbox.inbox._KEPT_FACTOR", 0.0)
    monkeypatch.setattr("hitl_webapp.inbox.inbox._LONG_FACTOR", 0.0)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[WebApp]:
    with running(str(tmp_path / "root"), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as found:
        yield found


class Visits:
    """A stream of one visitor, and whether they are still signed in."""

    def __init__(self, streams: Streams, name: str, version: str = "") -> None:
        self.principal: Principal | None = Principal(name=name, verified=True)
        self.events: list[bytes] = []
        self._stream = streams.opened(name, self._look, Query(), self._now, version)

    async def _look(self) -> Principal | None:
        return self.principal

    async def _now(self) -> datetime:
        return datetime.now(UTC)

    async def follow(self) -> None:
        async for each in self._stream:
            self.events.append(each)

    @property
    def changes(self) -> int:
        return sum(CHANGED in each for each in self.events)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    found = Store(str(tmp_path / "root"))
    await asked(found, "first")
    return found


@pytest.mark.usefixtures("quick")
async def test_a_page_is_told_of_what_its_visitor_may_see_and_of_nothing_else(store: Store) -> None:
    inbox = Inbox(store)
    streams = Streams(inbox, asyncio.Event())
    ann, bob = Visits(streams, "ann"), Visits(streams, "bob")
    tasks = [asyncio.create_task(each.follow()) for each in (ann, bob)]
    await until(lambda: streams.open == 2)
    await until(lambda: ann.events and bob.events and inbox.version)

    for number in range(3):
        await asked(store, f"for-bob-{number}", respondents=Respondents(users=["bob"]))
        await until(lambda number=number: bob.changes >= number + 1)
    assert ann.changes == 0
    await asked(store, "for-all")
    await until(lambda: ann.changes == 1)

    # Who is not signed in any more is told nothing more.
    ann.principal = bob.principal = None
    await asked(store, "another")
    await asyncio.gather(*tasks)
    assert streams.open == 0
    inbox.close()


@pytest.mark.usefixtures("quick")
async def test_what_changed_before_the_stream_began_is_told_at_once(store: Store) -> None:
    inbox = Inbox(store)
    ann = Principal(name="ann", verified=True)
    before = (await inbox.listing(ann, Query(), datetime.now(UTC))).version
    await asked(store, "second")
    ending = asyncio.Event()
    streams = Streams(inbox, ending)
    old, new = Visits(streams, "ann", before), Visits(streams, "ann")
    tasks = [asyncio.create_task(each.follow()) for each in (old, new)]
    await until(lambda: old.changes == 1)
    now = (await inbox.listing(ann, Query(), datetime.now(UTC))).version
    assert f"id: {now}\n".encode() in old.events[-1]
    again = Visits(streams, "ann", now)
    tasks.append(asyncio.create_task(again.follow()))
    await asked(store, "third")
    await until(lambda: old.changes == 2)
    await until(lambda: again.changes == 1)
    ending.set()
    await asyncio.gather(*tasks)
    inbox.close()


@pytest.mark.usefixtures("quick")
async def test_there_are_only_so_many_streams_and_all_end_with_the_server(store: Store) -> None:
    ending = asyncio.Event()
    inbox = Inbox(store)
    streams = Streams(inbox, ending, most=2)
    tasks = [asyncio.create_task(Visits(streams, "ann").follow()) for _ in range(2)]
    await until(lambda: streams.open == 2)
    with pytest.raises(TooMany):
        Visits(streams, "ann")
    ending.set()
    await asyncio.gather(*tasks)

    assert streams.open == 0
    inbox.close()


@pytest.mark.usefixtures("quick")
async def test_streams_that_are_asked_for_at_once_are_no_more_than_there_may_be(store: Store) -> None:
    ending = asyncio.Event()
    inbox = Inbox(store)
    streams = Streams(inbox, ending, most=2)
    tasks = [asyncio.create_task(each.follow()) for each in [Visits(streams, "ann") for _ in range(5)]]
    # Those that are too many end by themselves.
    await until(lambda: sum(each.done() for each in tasks) == 3)
    assert streams.open == 2
    ending.set()
    await asyncio.gather(*tasks)
    inbox.close()


@pytest.mark.usefixtures("quick")
async def test_one_visitor_leaves_streams_for_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST_EACH", 2)
    ending = asyncio.Event()
    inbox = Inbox(store)
    streams = Streams(inbox, ending)
    tasks = [asyncio.create_task(Visits(streams, name).follow()) for name in ("ann", "ann", "bob")]
    await until(lambda: streams.open == 3)
    with pytest.raises(TooMany):
        Visits(streams, "ann")
    tasks.append(asyncio.create_task(Visits(streams, "bob").follow()))
    await until(lambda: streams.open == 4)
    ending.set()
    await asyncio.gather(*tasks)

    again = asyncio.create_task(Visits(streams, "ann").follow())
    await again
    inbox.close()


def test_a_stream_over_http_needs_a_visitor_and_ends_with_the_web_app(app: WebApp) -> None:
    assert httpx.get(f"{app.url}/questions/events").status_code == 401
    assert httpx.get(f"{app.url}/questions/events?x=1", headers=as_user("ann")).status_code == 400
    with httpx.stream("GET", f"{app.url}/questions/events", headers=as_user("ann"), timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.iter_lines()
        assert next(lines) == "retry: 5000"
        # The stream's first look may have seen a question already; the next one is new to it.
        for number in itertools.count():
            app.ask(f"new-{number}")
            httpx.post(f"{app.url}/hints/new-{number}")
            if "changed" in next(lines):
                break
        app.stop()
        assert list(lines) is not None
    assert app.process is not None
    assert app.process.returncode in (0, -15)
    app.start()


@pytest.fixture
def signed_in(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(extra_http_headers=as_user("ann"))
    yield context.new_page()
    context.close()


def test_an_open_page_shows_what_is_new_and_what_is_gone(app: WebApp, signed_in: Page) -> None:
    first = app.ask("first", event_name="the first one")
    signed_in.goto(app.url)
    expect(signed_in.locator("#live")).to_contain_text("the first one")

    app.ask("second", event_name="the second one", timeout_seconds=900)
    httpx.post(f"{app.url}/hints/second")
    expect(signed_in.locator("#live")).to_contain_text("the second one", timeout=20_000)
    signed_in.keyboard.press("j")
    signed_in.keyboard.press("j")
    expect(signed_in.locator("a:focus")).to_contain_text("the second one")

    first.api(7)
    expect(signed_in.locator("section:has(#waiting)")).not_to_contain_text("the first one", timeout=20_000)
    # Who was at a question is still there.
    expect(signed_in.locator("a:focus")).to_contain_text("the second one")
    signed_in.keyboard.press("/")
    expect(signed_in.locator("#f-text")).to_be_focused()
    signed_in.keyboard.type("jk?")
    assert signed_in.input_value("#f-text") == "jk?"


def test_keys_lead_from_question_to_question_to_the_end(app: WebApp, signed_in: Page) -> None:
    for number in range(3):
        app.ask(f"q-{number}", event_name=f"question {number}", timeout_seconds=600 + number)
    signed_in.goto(app.url)
    for number in range(3):
        signed_in.keyboard.press("j")
        expect(signed_in.locator("a:focus")).to_contain_text(f"question {number}")
    signed_in.keyboard.press("k")
    signed_in.keyboard.press("Enter")
    signed_in.wait_for_url("**/form/q-1")
    signed_in.fill("#value", "4")
    signed_in.click("text=Send answer")
    signed_in.click("text=Next question")
    signed_in.wait_for_url("**/form/q-2")
    signed_in.goto(app.url)
    signed_in.keyboard.press("?")
    signed_in.uncheck("#keys-on")
    signed_in.locator("h1").click()
    signed_in.keyboard.press("j")
    assert signed_in.locator(".entries a:focus").count() == 0
