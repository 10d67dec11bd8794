"""Questions of any program: asked, waited for, and every way in which they end."""

import asyncio
import logging
import socket
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
import requests
from pydantic import Field

import hitl
from hitl.author import unseen
from hitl.author.context import choose_mode
from hitl.author.events import Event
from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument, Respondent
from hitl.core.question import Question
from hitl.engines.base import Action
from hitl.errors import ClockApart
from hitl.records.records import Records
from hitl.records.requests import create, read_outcome, read_request
from hitl.records.retention import STALE, collect
from hitl.records.submissions import Submission
from hitl.settings import Settings
from hitl.storage import Store, open_store
from tests.backends.seaweed import BUCKET, Seaweed
from tests.contract.wires import Fate, lossy_wire
from tests.library.running import Program, answer, form_url
from tests.library.samples import Even, Timed, asked, draft_request, event_of, settle


async def event_on(
    records: Records | Store, *, seconds: float = 600, ago: float = 0, **content: Any
) -> Event[Any]:
    """Return an event as `new_event` makes it, asked some seconds ago."""
    store = records if isinstance(records, Store) else records.store
    now = datetime.now(UTC) - timedelta(seconds=ago)
    request = await asked(store, "an-event", now=now, name="an event", timeout_seconds=seconds, **content)
    return event_of(records, request, content.get("data_type", int))


async def settled(store: Store, outcome: Any, **content: Any) -> None:
    request = await read_request(store, "an-event")
    submission = Submission(outcome, Respondent(name="ann", via="api"), **content)
    await settle(store, request, submission, now=datetime.now(UTC), markers=False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


async def test_an_answer_comes_back_as_what_it_is(store: Store) -> None:
    event = await event_on(store, data_type=float)
    waiting = asyncio.ensure_future(event.wait.aio())
    await asyncio.sleep(0.1)
    await settled(store, "answered", value="2")

    value = await waiting

    assert value == 2.0
    assert type(value) is float


async def test_a_model_comes_back_as_the_model(store: Store) -> None:
    event = await event_on(store, data_type=Even)
    await settled(store, "answered", value='{"number": 4}')

    assert await event.wait.aio() == Even(number=4)


async def test_an_answer_that_the_type_refuses_stands_and_says_why(store: Store) -> None:
    event = await event_on(store, data_type=Even)
    await settled(store, "answered", value='{"number": 3}')

    with pytest.raises(hitl.EventUnusable, match="of no use: number: choose an even number") as raised:
        await event.wait.aio()

    assert raised.value.outcome.value == {"number": 3}
    assert raised.value.details == ("number: choose an even number",)


@pytest.mark.parametrize(
    ("data_type", "value"), [(date, "banana"), (Annotated[Decimal, Field(ge=1)], "0.5"), (UUID, "1")]
)
async def test_what_an_earlier_release_let_in_is_of_no_use(store: Store, data_type: Any, value: str) -> None:
    # Its web app checks no formats, and does not know the bounds of a Decimal.
    request = await asked(store, "an-event", now=datetime.now(UTC), data_type=str)
    await settled(store, "answered", value=value)

    with pytest.raises(hitl.EventUnusable, match="of no use") as raised:
        await event_of(store, request, data_type).wait.aio()

    assert raised.value.outcome.value == value


async def test_nobody_answers_in_time(store: Store) -> None:
    event = await event_on(store, seconds=1, ago=60)

    with pytest.raises(TimeoutError) as raised:
        await event.wait.aio()

    assert isinstance(raised.value, hitl.EventTimedOut)
    assert raised.value.outcome.outcome == "timed_out"


async def test_the_default_is_used_at_the_deadline(store: Store) -> None:
    event = await event_on(store, seconds=1, ago=60, default=3, on_timeout="default")

    assert await event.wait.aio() == 3


async def test_a_rejection_says_who_and_why(store: Store) -> None:
    event = await event_on(store)
    await settled(store, "rejected", comment="not on a Friday")

    with pytest.raises(hitl.EventRejected, match=r"ann.*not on a Friday"):
        await event.wait.aio()


async def test_a_withdrawn_question_ends_the_wait(store: Store) -> None:
    event = await event_on(store)
    await event.cancel.aio("no longer needed")

    with pytest.raises(hitl.EventCancelled, match="no longer needed"):
        await event.wait.aio()


async def test_a_damaged_request_is_named(store: Store, tmp_path: Path) -> None:
    event = await event_on(store)
    (tmp_path / "root" / keys.request_key("an-event")).write_text("{ this is not")

    with pytest.raises(hitl.DocumentDamaged, match=r"hitl-requests/an-event/request\.json"):
        await event.wait.aio()


async def test_storage_out_of_reach_is_said_once_and_waited_out(
    seaweed: Seaweed, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(f"s3://{BUCKET}/waiting", seaweed.options)
    event = await event_on(store)
    with caplog.at_level(logging.WARNING, "hitl"):
        waiting = asyncio.ensure_future(event.wait.aio())
        await asyncio.sleep(0.5)
        seaweed.kill()
        while not caplog.records:
            await asyncio.sleep(0.2)
        await asyncio.sleep(3)
        seaweed.start()
        await settled(store, "answered", value="5")

        assert await waiting == 5

    assert [record.message.split(",")[0] for record in caplog.records] == [
        "an event: the storage does not answer",
        "an event: the storage is back",
    ]


@pytest.mark.parametrize(
    ("fate", "told"), [("forbidden", "the storage refuses"), ("internal error", "the storage does not answer")]
)
async def test_a_wait_outlives_a_storage_that_refuses_for_a_while(
    s3_server: Seaweed, caplog: pytest.LogCaptureFixture, fate: Fate, told: str
) -> None:
    direct = Store(f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)
    fates: list[Fate] = ["pass"]
    async with lossy_wire(s3_server.endpoint, lambda _: fates[-1]) as endpoint:
        store = Store(direct.url, {**s3_server.options, "endpoint": endpoint})
        event = await event_on(store)
        fates.append(fate)
        with caplog.at_level(logging.WARNING, "hitl"):
            waiting = asyncio.ensure_future(event.wait.aio())
            while not caplog.records:
                await asyncio.sleep(0.05)
            await settled(direct, "answered", value="5")
            fates.append("pass")

            assert await waiting == 5

    assert [message.split(",")[0] for message in caplog.messages] == [
        f"an event: {told}",
        "an event: the storage is back",
    ]


async def test_a_storage_that_refuses_for_five_minutes_is_told_to_the_author(
    s3_server: Seaweed, caplog: pytest.LogCaptureFixture
) -> None:
    fates: list[Fate] = ["pass"]
    now = [0.0]
    async with lossy_wire(s3_server.endpoint, lambda _: fates[-1]) as endpoint:
        store = Store(f"s3://{BUCKET}/{uuid.uuid4().hex}", {**s3_server.options, "endpoint": endpoint})
        event = await event_on(Records(store, ticks=lambda: now[0]))
        fates.append("forbidden")
        waiting = asyncio.ensure_future(event.wait.aio())
        while not caplog.records:
            await asyncio.sleep(0.05)
        now[0] = 301

        with pytest.raises(hitl.StorageUnsuitable, match="not permitted to read"):
            await waiting


@pytest.fixture
def timed() -> Timed:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    store.time = datetime.now(UTC)
    return store


@pytest.mark.parametrize("hours", [1, 24 * 366])
async def test_a_clock_ahead_settles_no_deadline_and_is_told_once(
    timed: Timed, hours: int, caplog: pytest.LogCaptureFixture
) -> None:
    event = await event_on(Records(timed, now=lambda: timed.time + timedelta(hours=hours)))
    with caplog.at_level(logging.WARNING, "hitl"):
        waiting = asyncio.ensure_future(event.wait.aio())
        while timed.looks < 4:
            await asyncio.sleep(0.05)
        assert await read_outcome(timed, "an-event") is None
        await settled(timed, "answered", value="5")

        assert await waiting == 5

    [told] = [record.message for record in caplog.records]
    assert "an event: the deadline is not settled here" in told
    assert "set the clock" in told


async def test_a_clock_that_was_set_right_settles_the_deadline(timed: Timed) -> None:
    behind = timedelta(hours=1)
    event = await event_on(Records(timed, now=lambda: timed.time - behind))
    waiting = asyncio.ensure_future(event.wait.aio())
    await asyncio.sleep(0.3)
    timed.time += timedelta(hours=1)
    behind = timedelta(0)

    with pytest.raises(hitl.EventTimedOut, match=r"before the deadline \("):
        await waiting


@pytest.mark.parametrize("seconds", [31, -31, 3600])
async def test_a_question_is_not_withdrawn_by_a_clock_that_is_wrong(timed: Timed, seconds: int) -> None:
    event = await event_on(Records(timed, now=lambda: timed.time + timedelta(seconds=seconds)))

    with pytest.raises(ClockApart):
        await event.cancel.aio()

    assert await read_outcome(timed, "an-event") is None


@pytest.mark.parametrize("days", [2, 3])
async def test_whoever_waits_for_what_was_deleted_is_told_so_and_records_nothing(timed: Timed, days: int) -> None:
    event = await event_on(Records(timed, now=lambda: timed.time))
    await settled(timed, "answered", value="5")
    timed.time += timedelta(days=days)
    for _ in range(2):
        await collect(timed, now=timed.time, retention=timedelta(0))
        timed.time += STALE

    with pytest.raises(hitl.RequestNotFound, match="was deleted while this program waited"):
        await event.wait.aio()
    with pytest.raises(hitl.RequestNotFound, match="nothing is recorded"):
        await event.cancel.aio()

    assert await read_outcome(timed, "an-event") is None


@pytest.mark.parametrize("change", [{"request_sha256": "0" * 64}, {"data_type": "json"}, {"request_id": "other"}])
async def test_an_outcome_of_another_question_is_damage_in_storage_and_in_a_trace(
    store: Store, change: dict[str, str]
) -> None:
    event = await event_on(store)
    await settled(store, "answered", value="5")
    right = await read_outcome(store, "an-event")
    assert right is not None
    wrong = right.model_copy(update=change).to_bytes()
    request = await read_request(store, "an-event")
    traced = event_of(store, request, action=cast("Action", _Traced(wrong.decode())))
    await store.delete(keys.response_key("an-event"))
    await store.create_once(keys.response_key("an-event"), wrong)

    for waiter in (event, traced):
        with pytest.raises(hitl.DocumentDamaged, match=r"hitl-requests/an-event/response\.json"):
            await waiter.wait.aio()
    assert OutcomeDocument.from_bytes(wrong, "a document of its own right").value == 5


class _Traced:
    """A Flyte action that has a recorded result: real ones are in test_flyte.py."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def once(self, link: Any, wait: Any) -> str:
        return self._text


def test_the_same_key_is_the_same_question_and_another_question_is_refused() -> None:
    one, two = (hitl.new_event("keyed", int, prompt="How many?", key="k") for _ in range(2))

    assert one.request_id == two.request_id
    assert one.expires_at == two.expires_at
    assert one.form_url != two.form_url, "each has a link of its own"
    with pytest.raises(hitl.RequestMismatch):
        hitl.new_event("keyed", int, prompt="How few?", key="k")


def test_only_the_key_decides_which_question_it_is() -> None:
    one, same = (hitl.new_event(name, int, prompt="How many?", key="names") for name in ("one", "two"))

    assert same.request_id == one.request_id
    with pytest.raises(hitl.RequestMismatch):
        hitl.new_event("two", int, prompt="How few?", key="names")


async def test_a_key_finds_what_the_release_before_asked_under_it() -> None:
    before = keys.derived_request_id("keyed", "", "", "", "", "", "key", "older")
    records = Records(open_store(Settings()))
    question = Question.of("keyed", int, "How many?", 600)
    await create(records, question, request_id=before)

    event = await hitl.new_event.aio("keyed", int, prompt="How many?", key="older")

    assert event.request_id == before


async def test_an_old_answer_under_a_key_is_told_to_be_old(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> Event[Any]:
        return await hitl.new_event.aio("keyed", int, prompt="How many?", key="again")

    first, again = await ask(), await ask()
    assert caplog.messages == [], "it has no outcome yet"
    await asyncio.to_thread(answer, first.form_url, 3)
    assert await first.wait.aio() == 3

    old = await ask()

    [told] = caplog.messages
    assert "the key 'again' was used before" in told
    assert "answered by somebody (unverified) via api at" in told
    assert "Use another key" in told
    assert await old.wait.aio() == await again.wait.aio() == 3


async def test_the_author_learns_who_answered_how_when_and_why(store: Store) -> None:
    event = await event_on(store, data_type=float)
    assert event.outcome is None
    request = await read_request(store, "an-event")
    sender = Respondent(name="ann", via="gitops", verified=True, commit="0a1b2c")
    at = datetime.now(UTC)
    await settle(
        store, request, Submission("answered", sender, value="2", comment="as agreed"), now=at, markers=False
    )

    value = await event.wait.aio()

    expected: hitl.Outcome[float] = hitl.Outcome(
        kind="answered", value=2.0, by="ann", verified=True, via="gitops", at=at, comment="as agreed",
        default_used=False, commit="0a1b2c",
    )  # fmt: skip
    assert value == 2.0
    assert event.outcome == expected
    assert await event.result.aio() == expected
    with pytest.raises(AttributeError):
        event.outcome.value = 3.0


async def test_the_author_learns_that_the_default_was_used(store: Store) -> None:
    event = await event_on(store, seconds=1, ago=60, default=3, on_timeout="default")

    outcome = await event.result.aio()

    assert (outcome.value, outcome.default_used, outcome.by, outcome.via) == (3, True, "", "timeout")


async def test_the_author_learns_who_refused(store: Store) -> None:
    event = await event_on(store)
    await settled(store, "rejected", comment="not on a Friday")

    with pytest.raises(hitl.EventRejected):
        await event.wait.aio()

    assert event.outcome is not None
    assert (event.outcome.kind, event.outcome.value) == ("rejected", None)
    assert (event.outcome.by, event.outcome.verified, event.outcome.comment) == ("ann", False, "not on a Friday")


def test_without_a_key_each_question_of_a_program_is_another() -> None:
    one, two = (hitl.new_event("unkeyed", int) for _ in range(2))

    assert one.request_id != two.request_id


async def test_the_blocking_forms_work_inside_a_running_loop() -> None:
    event = hitl.new_event("inside", str)
    reply = await asyncio.to_thread(answer, event.form_url, "yes")

    assert reply.status_code == 200
    assert event.wait() == "yes"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"data_type": print}, "data_type"),
        ({"data_type": int, "choices": ["a"]}, "choices"),
        ({"data_type": int, "on_timeout": "default"}, "needs a default"),
        ({"data_type": int, "default": "many"}, "default"),
        ({"data_type": bool, "choices": [True]}, "choices"),
        ({"data_type": int, "timeout_seconds": 0}, "timeout_seconds"),
        ({"data_type": int, "prompt": "x" * 20_000}, "prompt"),
        ({"data_type": "json", "schema": {"type": 5}}, "schema"),
    ],
)
def test_a_question_that_does_not_hold_together_is_refused_before_it_is_stored(
    content: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(hitl.InvalidRequest, match=sentence):
        hitl.new_event("refused", **content)


def test_a_plain_program_asks_and_goes_on() -> None:
    program = Program("plain")

    assert answer(form_url(program.line("Answer at")), True).status_code == 200

    assert "True" in program.line("value")
    assert program.end() == 0


def test_the_web_app_comes_back_at_its_old_port_and_links_still_work() -> None:
    first = Program("plain", "the-key")
    link = form_url(first.line("Answer at"))
    first.kill()

    second = Program("plain", "the-key")
    again = form_url(second.line("Answer at"))

    assert again.split("/")[2] == link.split("/")[2], "the same port"
    assert requests.get(link, timeout=10).status_code == 200
    assert answer(link, False).status_code == 200
    assert "False" in second.line("value")
    assert second.end() == 0


def test_the_links_of_a_root_work_while_any_program_of_it_runs() -> None:
    first, second = Program("plain", "one"), Program("plain", "two")
    links = [form_url(program.line("Answer at")) for program in (first, second)]
    assert links[0].split("/")[2] == links[1].split("/")[2], "they share a port"

    first.kill()
    assert [requests.get(link, timeout=10).status_code for link in links] == [200, 200]
    again = Program("plain", "one")
    again.line("Answer at")
    second.kill()
    assert answer(links[0], True).status_code == 200
    assert "True" in again.line("value")
    assert again.end() == 0


def test_another_root_has_another_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = hitl.new_event("ports", int)
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "another"))
    other = hitl.new_event("ports", int)

    assert other.endpoint != one.endpoint
    assert requests.get(other.form_url, timeout=10).status_code == 200


def test_a_port_that_others_use_is_not_taken() -> None:
    with socket.socket() as others:
        others.bind(("127.0.0.1", 0))
        others.listen()
        data = Settings().folder()
        data.mkdir(parents=True)
        (data / "port").write_text(str(others.getsockname()[1]))

        event = hitl.new_event("taken", int)

        assert requests.get(event.form_url, timeout=10).status_code == 200


def test_a_program_forks_and_both_ask_and_get_their_answers() -> None:
    parent = Program("forked")
    of_parent, of_child = form_url(parent.line("parent asks")), form_url(parent.line("child asks"))

    assert answer(of_parent, 1).status_code == 200
    assert "1" in parent.line("parent got")
    assert parent.process.wait(timeout=60) == 0
    assert requests.get(of_parent, timeout=10).status_code == 200, "the child serves it, too"
    assert answer(of_child, 2).status_code == 200

    assert "2" in parent.line("child got")
    assert "1" in parent.line("child sees")
    assert parent.end() == 0


@pytest.mark.parametrize("before", [[], ["asked"]])
def test_a_thread_that_asks_after_the_main_thread_has_ended_is_told_why_not(before: list[str]) -> None:
    program = Program("outliving", *before)

    assert "ServeError the main thread of this program has ended" in program.line("refused")
    assert program.end() == 0


def test_whoever_answered_is_told_before_the_program_ends() -> None:
    for _ in range(3):
        program = Program("leaving")

        reply = answer(form_url(program.line("asks")), 5)

        assert reply.status_code == 200
        assert program.end() == 0
        assert "Traceback" not in "".join(program.printed)


def test_the_one_who_asks_is_told_the_link_once_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    event = hitl.new_event("told", int, prompt="How many\x1b[2J?")

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"How many\ufffd[2J?\nAnswer at {event.form_url}\n"


def test_operator_mode_writes_request_row_link_and_marker_and_lives_without_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "platform"
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(root))
    monkeypatch.setenv("HITL_ENDPOINT", "https://hitl.example/")
    monkeypatch.setenv("HITL_HINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HITL_NAMESPACE", "team-a")

    event = hitl.new_event("asked", int)

    written = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    token_hash = keys.hash_token(event._response_path.rpartition("#")[2])
    assert written == sorted(
        [
            keys.request_key(event.request_id),
            keys.link_key(event.request_id, token_hash),
            keys.new_marker(event.request_id),
            keys.OpenRow(event.request_id, event.expires_at).key,
        ]
    )
    assert event.form_url.startswith(f"https://hitl.example/form/{event.request_id}?")


async def test_who_waits_is_told_once_that_no_operator_shows_the_question(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unseen, "UNSEEN_SECONDS", 0.0)
    request = await asked(store, "an-event", now=datetime.now(UTC), origin=Origin(namespace="team-z"))
    await unseen.say_if_unseen(Records(store), request)
    assert caplog.messages == [], "its marker is gone: an operator has taken it"

    await store.mark(keys.new_marker("an-event"))
    waiting = asyncio.ensure_future(event_of(Records(store, announce=True), request).wait.aio())
    async with asyncio.timeout(60):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    await settled(store, "answered", value="5")

    assert await waiting == 5
    [said] = caplog.messages
    assert "no operator shows this question in the namespace 'team-z'" in said
    assert "HITL_NAMESPACE" in said

    # A program that runs in no namespace is told of none.
    caplog.clear()
    request = await asked(store, "elsewhere", now=datetime.now(UTC))
    await store.mark(keys.new_marker("elsewhere"))
    await unseen.say_if_unseen(Records(store), request)
    [said] = caplog.messages
    assert "none runs, or its log says why" in said
    assert "namespace" not in said


class _Remote:
    remote = True


@pytest.mark.parametrize(
    ("settings", "remote", "mode"),
    [
        ({}, False, "local"),
        ({}, True, "flyte"),
        ({"storage_root": "s3://b/r"}, True, "operator"),
        ({"storage_root": "s3://b/r", "endpoint": "http://e"}, False, "operator"),
        ({"storage_root": "s3://b/r"}, False, "local"),
        ({"serve": "local", "storage_root": "s3://b/r", "endpoint": "http://e"}, True, "local"),
        ({"serve": "flyte"}, True, "flyte"),
    ],
)
def test_how_a_question_is_served_is_what_is_set_else_what_fits(
    settings: dict[str, Any], remote: bool, mode: str
) -> None:
    action: Any = _Remote() if remote else None

    assert choose_mode(Settings(**settings), action) == mode


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SERVE": "operator"}, "HITL_ENDPOINT"),
        ({"SERVE": "flyte"}, "inside a Flyte action"),
        ({"ENDPOINT": "http://e"}, "unset HITL_ENDPOINT; or"),
        ({"SERVE": "local", "STORAGE_ROOT": "s3://b/r", "ENDPOINT": "http://e"}, "unset HITL_SERVE"),
    ],
)
def test_a_way_of_serving_that_cannot_work_here_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], sentence: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"HITL_{name}", value)

    with pytest.raises(hitl.ServeError, match=sentence):
        hitl.new_event("nowhere", int)


def test_importing_hitl_loads_neither_flyte_nor_a_web_server() -> None:
    code = (
        "import hitl, sys; print([m for m in ('flyte', 'fastapi', 'uvicorn', 'kubernetes') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_the_report_escapes_what_came_from_outside() -> None:
    from hitl.author.report import report_html

    request = draft_request(
        request_id="an-event",
        event_name="<b>name",
        data_type=str,
        prompt="<script>'\"",
        timeout_seconds=60,
        now=datetime.now(UTC),
        choices=["it's", "b"],
    )
    html = report_html(request, "http://web/form?a=1&token=x", "http://web/submit/json", "path#x")

    assert "<script>" not in html
    assert "<b>name" not in html
    assert "kubectl patch hi an-event" in html
    assert "curl" in html
