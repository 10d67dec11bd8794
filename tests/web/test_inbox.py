"""The inbox of a large or damaged root: bounded, off the event loop, one survey for all who want it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hitl.core import keys
from hitl.core.documents import Respondent
from hitl.core.respondents import Respondents
from hitl.errors import NotAllowed, StorageUnavailable
from hitl.records.requests import read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from hitl_webapp import pages, survey
from hitl_webapp.admission import Admitted
from hitl_webapp.auth import Principal, nobody
from hitl_webapp.inbox import inbox as inboxes
from hitl_webapp.inbox.inbox import Inbox
from hitl_webapp.inbox.listing import Listing
from hitl_webapp.inbox.queries import PAGE, Query
from hitl_webapp.service import Service
from hitl_webapp.settings import WebSettings
from tests.library.samples import create_request, draft_request, settle
from tests.web.serving import running
from tests.web.test_inbox_rights import Limited

ANN = Principal(name="ann", verified=True)


class Admin(Principal):
    """Stands for a visitor who has a right to all namespaces."""

    limited = True


ADMIN = Admin(name="ann", verified=True)
HEADERS = {"X-HITL-Proxy-Secret": "s", "X-Forwarded-User": "ann"}


async def asked(store: Store, request_id: str, **content: Any) -> None:
    now = content.pop("now", None) or datetime.now(UTC)
    wanted = {"event_name": request_id, "data_type": int, "prompt": "How many?", "timeout_seconds": 600, **content}
    await create_request(store, draft_request(request_id=request_id, now=now, root=store.url, **wanted))


async def answered(service: Service, request_id: str) -> None:
    request = await read_request(service.store, request_id)
    submission = Submission("answered", Respondent(via="web", name="ann", verified=True), value="7")
    await service.submissions.settle(Admitted(request, ANN), submission)


def service_over(store: Store) -> Service:
    return Service(store, WebSettings(storage_root=store.url), nobody)


async def listing(inbox: Inbox, principal: Principal = ANN, query: Query = Query()) -> Listing:  # noqa: B008 - frozen
    return await inbox.listing(principal, query, datetime.now(UTC))


def page_of(found: Listing) -> str:
    return pages.render("inbox.html", found=found, name="ann")


def waiting(found: Listing) -> list[str]:
    return [each.request_id for each in found.rows]


def settled(found: Listing) -> list[str]:
    return [each.request_id for each in found.settled]


def aged(root: Path, request_id: str, name: str, seconds: float) -> None:
    """Let an object be as old as a question of long ago."""
    moment = (datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()
    os.utime(root / keys.PREFIX / request_id / name, (moment, moment))


def copied(root: Path, number: int) -> None:
    """Put many questions into a root, as files."""
    document = draft_request(
        request_id="model",
        event_name="x",
        data_type=int,
        prompt="How **many**?",
        timeout_seconds=600,
        now=datetime.now(UTC),
    )
    text = document.to_bytes().decode()
    for each in range(number):
        folder = root / keys.PREFIX / f"r{each}"
        folder.mkdir(parents=True)
        (folder / "request.json").write_text(text.replace('"model"', f'"r{each}"'))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_inbox_over_20000_questions_costs_little_and_says_what_it_left_out(tmp_path: Path) -> None:
    copied(tmp_path / "root", 20_000)
    with running(str(tmp_path / "root"), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET="s") as app:
        assert app.process
        before = cpu_seconds(app.process.pid)
        with httpx.Client(headers=HEADERS, timeout=120) as client:
            found = client.get(app.url)
            again = [client.get(app.url) for _ in range(5)]
        spent = cpu_seconds(app.process.pid) - before

    assert found.status_code == 200
    # How many there are is told to nobody who may not see all of them.
    assert "Not all questions were looked at" in found.text
    assert "20,000" not in found.text
    assert found.text.count("<li>") == PAGE
    assert '<span class="tag">2,000</span>' in found.text
    assert 'rel="next"' in found.text
    assert all(each.status_code == 200 for each in again)
    # One takes about half a second; six that each read everything took 60 before.
    assert spent < 6


async def test_nothing_is_read_on_the_event_loop_and_twenty_visitors_share_one_survey(tmp_path: Path) -> None:
    copied(tmp_path / "root", 300)
    calls: list[tuple[str, int]] = []
    store = Store(str(tmp_path / "root"), watcher=lambda name, _: calls.append((name, threading.get_ident())))
    inbox = Inbox(store)
    # As the web app does when it starts.
    await store.probe()
    calls.clear()

    found = await asyncio.gather(*(listing(inbox) for _ in range(20)))

    assert {(len(each.rows), each.total) for each in found} == {(PAGE, 300)}
    assert threading.get_ident() not in {thread for _, thread in calls}
    assert len({thread for _, thread in calls}) == 1
    assert sum(name == "read" for name, _ in calls) == 300


async def test_what_was_read_once_is_not_read_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    reads: list[str] = []
    store = Store(str(root), watcher=lambda name, _: reads.append(name) if name == "read" else None)
    service = service_over(store)
    for name in ("open", "settled"):
        await asked(store, name)
    await answered(service, "settled")
    first = await survey.survey(store)
    reads.clear()

    second = await survey.survey(store, first)
    await answered(service, "open")
    reads.clear()
    third = await survey.survey(store, second)

    assert second.entries == first.entries
    assert {name for name, each in third.entries.items() if each.outcome} == {"open", "settled"}
    assert len(reads) == 1, "the new outcome alone"


async def test_another_question_under_the_same_id_is_read_anew(tmp_path: Path) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    await asked(store, "again", prompt="first")
    await answered(service_over(store), "again")
    first = await survey.survey(store)
    for name in ("request.json", "response.json"):
        (root / keys.PREFIX / "again" / name).unlink()
    await asked(store, "again", prompt="second")
    aged(root, "again", "request.json", -60)

    second = await survey.survey(store, first)

    assert second.entries["again"].request.prompt == "second"
    assert second.entries["again"].outcome is None


async def test_waiting_questions_come_before_settled_ones_and_the_last_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "MOST_READ", 4)
    root = tmp_path / "root"
    store = Store(str(root))
    service = service_over(store)
    for number in range(6):
        for kind in ("open", "settled"):
            await asked(store, f"{kind}-{number}")
            aged(root, f"{kind}-{number}", "request.json", number)
        await answered(service, f"settled-{number}")
        aged(root, f"settled-{number}", "response.json", number)

    found = await survey.survey(store)
    for number in (1, 2, 3, 4, 5):
        await answered(service, f"open-{number}")
        aged(root, f"open-{number}", "response.json", 100)
    later = await survey.survey(store)

    assert sorted(found.entries) == ["open-0", "open-1", "open-2", "open-3"]
    assert (found.looked_at, found.there, found.counted) == (4, 12, True)
    assert sorted(later.entries) == ["open-0", "settled-0", "settled-1", "settled-2"]


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_BYTES", 25_000), ("READ_SECONDS", -1.0), ("MOST_READ", 2), ("MOST_COUNTED", 3)]
)
async def test_every_bound_ends_the_reading_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(survey, limit, value)
    store = Store(str(tmp_path / "root"))
    for number in range(20):
        await asked(store, f"q-{number}", prompt="x" * 10_000)

    found = await listing(Inbox(store))

    assert found.progress.looked_at < 20
    assert "Not all questions were looked at" in page_of(found)


class Slow(Store):
    """A store that lists three keys and then keeps one waiting, as a storage far away may."""

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        left = 3
        async for each in super().list_keys(prefix):
            if left == 0:
                await asyncio.sleep(60)
            left -= 1
            yield each


async def test_a_listing_that_takes_too_long_is_used_as_far_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "LIST_SECONDS", 1.0)
    store = Slow(str(tmp_path / "root"))
    for number in range(5):
        await asked(store, f"q-{number}")

    found = await listing(Inbox(store))

    assert (len(found.rows), found.progress.counted) == (3, False)
    assert "Not all questions were looked at" in page_of(found)


async def test_what_is_kept_of_a_question_is_small(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    schema = {"enum": ["x" * 60_000, 7]}
    await asked(store, "large", data_type="json", prompt="p" * 16_000, json_schema=schema)
    request = await read_request(store, "large")
    by_ann = Respondent(via="web", name="ann", verified=True)
    submission = Submission("answered", by_ann, value=json.dumps("x" * 60_000), comment="c" * 4_000)
    await settle(store, request, submission, now=datetime.now(UTC), markers=False)

    entry = (await survey.survey(store)).entries["large"]

    assert entry.outcome
    assert len(entry.request.to_bytes()) + len(entry.outcome.to_bytes()) < 4_000


BAD = ["folder", "fifo", "damaged", "of another", "loop", "outcome is a folder", "outcome is damaged", "too large"]


def spoil(root: Path, kind: str) -> str:
    """Put a question that cannot be read into a root, and return its id."""
    name = f"bad-{kind.replace(' ', '-')}"
    folder = root / keys.PREFIX / name
    folder.mkdir()
    request, response = folder / "request.json", folder / "response.json"
    good = (root / keys.PREFIX / "good" / "request.json").read_text()
    own = good.replace('"good"', f'"{name}"')
    match kind:
        case "folder":
            request.mkdir()
        case "fifo":
            os.mkfifo(request)
        case "damaged":
            request.write_text("{")
        case "of another":
            request.write_text(good)
        case "loop":
            request.symlink_to("request.json")
        case "outcome is a folder":
            request.write_text(own)
            response.mkdir()
            (response / "x").write_text("x")
        case "outcome is damaged":
            request.write_text(own)
            response.write_text('{"schema_version": 1}')
        case "too large":
            request.write_bytes(b" " * (5 * 1024 * 1024))
    return name


@pytest.mark.parametrize("kinds", [[each] for each in BAD] + [BAD], ids=[*BAD, "all of them"])
async def test_a_question_that_cannot_be_read_costs_its_own_line_and_is_named(
    tmp_path: Path, kinds: list[str]
) -> None:
    root = tmp_path / "root"
    store = Store(str(root))
    await asked(store, "good")
    await asked(store, "settled")
    await answered(service_over(store), "settled")
    bad = sorted(spoil(root, kind) for kind in kinds)
    (root / keys.PREFIX / "a-file").write_text("nothing of ours")

    found = await listing(Inbox(store), ADMIN)

    assert (waiting(found), settled(found)) == (["good"], ["settled"])
    page = page_of(found)
    assert list(found.unreadable) in ([each for each in bad if each != "bad-outcome-is-a-folder"], bad)
    assert all(f"<code>{each}</code>" in page for each in found.unreadable)
    assert str(tmp_path) not in page


async def test_only_who_has_a_right_to_every_question_is_told_which_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stranger(Admin):
        async def require_may_see_all(self) -> None:
            raise NotAllowed("no")

    store = Store(str(tmp_path / "root"))
    await asked(store, "good")
    spoil(tmp_path / "root", "damaged")
    inbox = Inbox(store)

    assert (await listing(inbox, ADMIN)).unreadable == ("bad-damaged",)
    assert (await listing(inbox, Stranger(name="x", verified=True))).unreadable == ()
    # Behind a proxy, rights are those that a question names, and this one names nobody that could be read.
    found = await listing(inbox, ANN)
    assert found.unreadable == ()
    assert "bad-damaged" not in page_of(found)
    assert [each.message for each in caplog.records if "bad-damaged" in each.message] == [
        "left out of the inbox: the question bad-damaged is damaged, or may not be read"
    ]


async def test_visitors_share_an_index_and_each_sees_what_is_theirs(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    await asked(store, "for-all")
    await asked(store, "for-bob", respondents=Respondents(users=["bob"]))
    inbox = Inbox(store, clock=lambda: 0.0)

    async def seen(name: str) -> set[str]:
        return set(waiting(await listing(inbox, Principal(name=name, verified=True))))

    assert (await seen("ann"), await seen("bob")) == ({"for-all"}, {"for-all", "for-bob"})


async def test_an_answer_that_this_web_app_recorded_is_seen_at_once(tmp_path: Path) -> None:
    reads: list[str] = []
    store = Store(str(tmp_path / "root"), watcher=lambda name, _: reads.append(name) if name == "list" else None)
    await asked(store, "one")
    # What was read seems to be from a while ago, and to stay.
    seconds = [0.0]
    service = service_over(store)
    inbox = Inbox(store, clock=lambda: seconds[0])
    service.questions.told = inbox.note
    before = await listing(inbox)
    inbox._fresh_until = 1e9
    seconds[0] = 10.0
    await answered(service, "one")
    reads.clear()

    after = await listing(inbox)

    assert not reads
    assert [waiting(before), waiting(after), settled(after)] == [["one"], [], ["one"]]
    assert after.as_of
    assert "Questions as of" in page_of(after)


async def test_a_question_past_its_deadline_does_not_wait_and_is_not_said_to_be_settled(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    await asked(store, "late", now=datetime.now(UTC) - timedelta(hours=1))

    found = await listing(Inbox(store))

    assert (found.rows, [each.ended for each in found.settled]) == ((), [None])
    assert "the deadline has passed" in page_of(found)
    assert await store.read(keys.response_key("late")) is None, "looking records nothing"


class Away(Store):
    """A store that can be made to fail or to hang: no real one does so on demand."""

    gone = False
    hang: threading.Event | None = None

    async def list_keys(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        self._answer()
        async for each in super().list_keys(prefix):
            yield each

    async def list_request_ids(self) -> list[str]:
        self._answer()
        return await super().list_request_ids()

    def _answer(self) -> None:
        if self.hang is not None:
            self.hang.wait(30)
        if self.gone:
            raise StorageUnavailable("away")


async def test_an_inbox_without_storage_says_so_and_works_once_it_is_back(tmp_path: Path) -> None:
    store = Away(str(tmp_path / "root"))
    await asked(store, "one")
    inbox = Inbox(store)
    store.gone = True

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await listing(inbox)
    store.gone = False

    assert waiting(await listing(inbox)) == ["one"]


async def test_an_inbox_whose_storage_went_away_shows_what_it_knows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "_KEPT_FACTOR", 0.0)
    store = Away(str(tmp_path / "root"))
    await asked(store, "one")
    inbox = Inbox(store)
    assert not (await listing(inbox)).away
    store.gone = True

    found = await listing(inbox)
    assert (waiting(found), found.away) == (["one"], True)
    assert "The storage does not answer. What you see may be old" in page_of(found)
    store.gone = False

    assert not (await listing(inbox)).away


@dataclass(frozen=True, kw_only=True)
class Everywhere(Limited):
    """A visitor with a right in every namespace, also in those that have no question."""

    async def require_may_see_all(self) -> None:
        """Nothing is refused."""


@dataclass(frozen=True, kw_only=True)
class Nowhere(Limited):
    """A visitor without any right."""

    async def require_may_see_all(self) -> None:
        raise NotAllowed("no")


async def test_who_has_no_right_is_told_so_and_who_has_all_sees_an_empty_inbox(tmp_path: Path) -> None:
    inbox = Inbox(Store(str(tmp_path / "root")))
    for visitor, told in (
        (Everywhere(name="ann", verified=True, spaces=frozenset()), False),
        (Nowhere(name="bob", verified=True, spaces=frozenset()), True),
    ):
        found = await listing(inbox, visitor)
        page = page_of(found)
        assert (found.nowhere, "You may see no questions here" in page) == (told, told)
        assert ("No question waits for you." in page) is not told


@contextmanager
def hanging(store: Away) -> Iterator[None]:
    store.hang = threading.Event()
    try:
        yield
    finally:
        store.hang.set()


async def test_storage_that_hangs_is_asked_once_and_the_last_inbox_is_shown_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(inboxes, "_KEPT_FACTOR", 0.0)
    store = Away(str(tmp_path / "root"))
    await asked(store, "one")
    fresh = Inbox(store)
    with hanging(store), pytest.raises(StorageUnavailable):
        await listing(fresh)
    known = Inbox(store)
    while True:
        # On a busy machine one reading may take longer than this patience.
        try:
            await listing(known)
            break
        except StorageUnavailable:
            continue
    threads = threading.active_count()
    with hanging(store):
        found = [await listing(known) for _ in range(5)]
        assert threading.active_count() <= threads + 1

    assert [waiting(each) for each in found] == [["one"]] * 5
