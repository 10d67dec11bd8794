"""Flyte's own entry point on the tutorial, with the arguments that its backend gives, and without that backend."""

import os
import signal
import sysconfig
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hitl.records.requests import read_outcome, read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.library import entry_point
from tests.library.running import FIRST_PROCESS, Program, form_url, namespaces
from tests.library.samples import answer, person, settle

A0 = Path(sysconfig.get_path("scripts"), "a0")


@pytest.fixture
def run(s3_backend: Backend) -> Store:
    """The run's own folder."""
    return Store(f"{s3_backend.url}/flyte/{entry_point.RUN}", s3_backend.options)


@pytest.fixture
def root(s3_backend: Backend) -> Store:
    """The root that the platform's admin has set."""
    return Store(f"{s3_backend.url}/hitl", s3_backend.options)


@pytest.fixture
async def start(
    run: Store, root: Store, s3_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Program]]:
    """Starts the container's process, for an attempt."""
    pod = {
        **entry_point.environment(run.url),
        "FLYTE_AWS_ENDPOINT": s3_backend.options["endpoint"],
        "FLYTE_AWS_ACCESS_KEY_ID": s3_backend.options["access_key_id"],
        "FLYTE_AWS_SECRET_ACCESS_KEY": s3_backend.options["secret_access_key"],
        "HITL_SERVE": "operator",
        "HITL_STORAGE_ROOT": root.url,
        "HITL_ENDPOINT": "http://forms.test",
    }
    for name, value in pod.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(entry_point.REPO)
    await entry_point.write_inputs(run)
    started: list[Program] = []

    def start(attempt: int, under: tuple[str, ...] = ()) -> Program:
        started.append(Program(*entry_point.arguments(run.url, attempt), path=A0, under=under))
        return started[-1]

    yield start
    for program in started:
        program.kill()


async def test_a_container_killed_while_it_waits_returns_the_answer_given_meanwhile(
    start: Callable[..., Program], run: Store, root: Store
) -> None:
    first = start(1)
    asked = form_url(first.line("Answer at"))
    first.line(entry_point.WAITING)
    first.kill()
    asked_by = (await read_request(root, *await root.list_request_ids())).document.origin
    assert (asked_by.run, asked_by.action, asked_by.local) == (entry_point.RUN, entry_point.ACTION, False)
    await _answer(root, "42")

    second = start(2)

    assert second.end() == 0, "".join(second.printed)
    assert form_url(second.line("Answer at")).partition("?")[0] == asked.partition("?")[0]
    assert await entry_point.returned(run, 1) is None
    assert await entry_point.returned(run, 2) == ("integer", 42)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("FLYTE_CLUSTERED_WORKER", "1", id="a worker of a clustered task, which has no controller"),
        pytest.param("_U_RUN_BASE", "s3://nowhere/the-run", id="a folder in which nobody may write"),
    ],
)
async def test_a_wait_that_flyte_cannot_trace_is_a_wait_all_the_same(
    start: Callable[..., Program],
    run: Store,
    root: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    program = start(1)
    program.line("Answer at")
    program.line("has no trace in the Flyte UI")
    await _answer(root, "42")

    assert program.end() == 0, "".join(program.printed)
    assert await entry_point.returned(run) == ("integer", 42)


@pytest.mark.skipif(not namespaces(), reason="this machine makes no process namespaces")
async def test_a_container_told_to_end_while_it_waits_ends_at_once_and_leaves_its_question_open(
    start: Callable[..., Program], run: Store, root: Store
) -> None:
    program = start(1, under=FIRST_PROCESS)
    program.line(entry_point.WAITING)
    shim = program.process.pid
    first = int(Path(f"/proc/{shim}/task/{shim}/children").read_text())

    os.kill(first, signal.SIGTERM)

    assert program.end() == 128 + signal.SIGTERM
    assert not await run.read(f"{entry_point.ACTION}/1/error.pb")
    [request_id] = await root.list_request_ids()
    assert await read_outcome(root, request_id) is None


async def test_the_link_is_in_the_log_while_the_task_waits_and_a_rejection_takes_no_other_attempt(
    start: Callable[..., Program], run: Store, root: Store
) -> None:
    program = start(1)
    program.line(entry_point.WAITING)
    while_it_waits = "".join(program.printed)
    await _settle(root, Submission("rejected", person("ann"), comment="not today"))
    program.end()

    assert while_it_waits.count("Answer at http://forms.test/form/") == 1
    code, message, retried = await entry_point.failure(run)
    assert (code, retried) == ("EventRejected", False)
    assert "not today" in message


async def _answer(root: Store, value: str) -> None:
    await _settle(root, answer(value))


async def _settle(root: Store, submission: Submission) -> None:
    [request_id] = await root.list_request_ids()
    request = await read_request(root, request_id)
    await settle(root, request, submission, now=datetime.now(UTC), markers=True)
