"""Questions whose program ends: which are withdrawn, and which stay."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hitl
from hitl.author import syncify
from hitl.author.asking import AskedQuestion
from hitl.core.documents import OutcomeDocument
from hitl.engines.base import FormLink
from hitl.records.requests import read_outcome
from hitl.settings import Settings
from hitl.storage import open_store
from tests.backends.processes import PATIENCE
from tests.library.running import PROGRAMS, Program, answer, form_url

INTERRUPTED = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGHUP: 129}


def outcome_of(link: str) -> OutcomeDocument | None:
    request_id = link.split("?")[0].rpartition("/")[2]
    return asyncio.run(read_outcome(open_store(Settings()), request_id))


def waits(program: Program | int) -> None:
    """Return once a process handles SIGTERM, as it does while it waits."""
    status = Path(f"/proc/{program if isinstance(program, int) else program.process.pid}/status")
    handled = 1 << (signal.SIGTERM - 1)
    while not int(re.findall(r"SigCgt:\s*(\w+)", status.read_text())[0], 16) & handled:
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["blocking", "awaited", "event"])
@pytest.mark.parametrize("signum", INTERRUPTED, ids=lambda each: each.name)
def test_a_question_without_a_key_is_withdrawn_by_what_ends_its_program(how: str, signum: signal.Signals) -> None:
    program = Program("ending", how)
    links = [form_url(program.line("http://")) for _ in range(2 if how == "awaited" else 1)]
    if how == "event":
        program.line("asked")
    waits(program)

    program.process.send_signal(signum)

    assert program.end() in {INTERRUPTED[signum], -signum}
    for link in links:
        outcome = outcome_of(link)
        assert outcome is not None
        assert (outcome.outcome, outcome.comment) == ("cancelled", "nobody waits for the answer any more")
    assert "went on" not in "".join(program.printed)


@pytest.mark.parametrize("how", ["blocking", "awaited", "event"])
def test_a_signal_just_when_the_link_is_said_leaves_no_question_open(how: str) -> None:
    program = Program("ending", how)
    waits(program)
    link = form_url(program.line("http://"))

    program.process.send_signal(signal.SIGTERM)

    # Between two calls nobody handles a signal: then it ends the program as any other.
    if program.end() == 143:
        outcome = outcome_of(link)
        assert outcome is not None
        assert outcome.outcome == "cancelled"


def test_a_result_that_a_signal_keeps_from_its_caller_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def a_signal_at_the_very_end() -> Iterator[None]:
        yield
        raise SystemExit(143)

    async def made() -> int:
        return 7

    undone: list[int] = []

    async def undo(result: int) -> None:
        undone.append(result)

    monkeypatch.setattr(syncify, "signals_raise", a_signal_at_the_very_end)
    with pytest.raises(SystemExit):
        syncify.Syncified(made, undo=undo)()

    assert undone == [7]


@pytest.mark.parametrize("how", ["blocking", "event"])
def test_a_question_with_a_key_outlives_its_program(how: str) -> None:
    program = Program("ending", how, "the-key")
    link = form_url(program.line("asked http://" if how == "event" else "http://"))
    waits(program)

    program.process.send_signal(signal.SIGTERM)

    assert program.end() == 143
    assert outcome_of(link) is None
    assert "`hitl serve`" in "".join(program.printed)


def test_a_question_of_a_flyte_task_outlives_its_process() -> None:
    program = Program("channels", "form")
    link = form_url(program.line("asked"))

    program.process.send_signal(signal.SIGTERM)

    program.end()
    assert outcome_of(link) is None


def test_a_signal_that_is_ignored_ends_no_wait() -> None:
    code = f"trap '' HUP; exec {sys.executable} {PROGRAMS / 'ending.py'} blocking"
    process = subprocess.Popen(["/bin/sh", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = next(each for each in process.stderr if "http://" in each)

    process.send_signal(signal.SIGHUP)
    assert answer(form_url(line), 5).status_code == 200

    assert process.communicate(timeout=60)[0] == "went on\n"
    assert process.returncode == 0


async def test_a_wait_that_is_given_up_leaves_the_question_to_a_program_that_goes_on() -> None:
    event = await hitl.new_event.aio("given-up", int)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await event.wait.aio()

    assert (await asyncio.to_thread(answer, event.form_url, 7)).status_code == 200
    assert await event.wait.aio() == 7


async def test_ask_that_is_cancelled_withdraws_its_question(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await hitl.ask.aio("How many?", int)

    link = form_url(capfd.readouterr().err)
    outcome = await read_outcome(open_store(Settings()), link.split("?")[0].rpartition("/")[2])
    assert outcome is not None
    assert outcome.outcome == "cancelled"


async def test_ask_that_is_cancelled_at_each_step_withdraws_its_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    withdrawing, go_on = asyncio.Event(), asyncio.Event()
    withdraw = AskedQuestion.withdraw

    async def slowly(asked: AskedQuestion, comment: str) -> None:
        withdrawing.set()
        await go_on.wait()
        await withdraw(asked, comment)

    monkeypatch.setattr(AskedQuestion, "withdraw", slowly)
    asking = asyncio.ensure_future(hitl.ask.aio("How many?", int, name="cancelled-twice"))
    store = open_store(Settings())
    while not (found := [each for each in await store.list_request_ids() if each.startswith("cancelled-twice-")]):
        await asyncio.sleep(0.01)
    # The link lies in storage before it is known that it does, and another function withdraws until then.
    while "Answer at" not in capsys.readouterr().err:
        await asyncio.sleep(0.01)
    asking.cancel()
    async with asyncio.timeout(PATIENCE):
        await withdrawing.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    go_on.set()

    async with asyncio.timeout(30):
        while (outcome := await read_outcome(store, found[0])) is None:
            await asyncio.sleep(0.01)
    assert outcome.outcome == "cancelled"


def test_a_forked_child_that_ends_leaves_the_question_to_its_parent() -> None:
    program = Program("shared")
    link, child = form_url(program.line("asked")), int(program.line("child").split()[1])
    waits(child)

    os.kill(child, signal.SIGTERM)

    assert "-15" in (ended := program.line("ended")) or "143" in ended
    assert answer(link, 5).status_code == 200
    assert "5" in program.line("parent got")
    assert program.end() == 0


async def test_a_question_whose_asking_is_cancelled_is_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    linking = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        linking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("hitl.author.asking.add_link", never)
    asking = asyncio.ensure_future(hitl.new_event.aio("half-asked", int))
    await linking.wait()

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    store = open_store(Settings())
    [request_id] = [each for each in await store.list_request_ids() if each.startswith("half-asked-")]
    outcome = await read_outcome(store, request_id)
    assert outcome is not None
    assert outcome.outcome == "cancelled"


def test_a_program_takes_its_own_signals_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    hitl.new_event("signals", int)

    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_question_whose_link_could_not_be_said_is_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise SystemExit(143)

    monkeypatch.setattr("sys.stderr", Closed())
    with pytest.raises(SystemExit):
        await hitl.new_event.aio("unsaid", int)

    store = open_store(Settings())
    [request_id] = [each for each in await store.list_request_ids() if each.startswith("unsaid-")]
    outcome = await read_outcome(store, request_id)
    assert outcome is not None
    assert outcome.outcome == "cancelled"


def test_a_token_is_in_nothing_that_a_debugger_or_a_traceback_shows() -> None:
    event = hitl.new_event("shown", int)
    assert event.form_url.endswith(f"token={event._token}")
    link = FormLink("shown", "http://127.0.0.1", event.request_id, "path", event._token)

    assert event._token not in f"{event!r} {event._asked!r} {link!r}"
