"""Flyte's own entry point on the tutorial, with the arguments that its backend gives, and without that backend."""

import sysconfig
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hitl.records.requests import read_request
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.library import entry_point
from tests.library.running import Program, form_url
from tests.library.samples import answer, settle

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
) -> AsyncIterator[Callable[[int], Program]]:
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

    def start(attempt: int) -> Program:
        started.append(Program(*entry_point.arguments(run.url, attempt), path=A0))
        return started[-1]

    yield start
    for program in started:
        program.kill()


async def test_a_container_killed_while_it_waits_returns_the_answer_given_meanwhile(
    start: Callable[[int], Program], run: Store, root: Store
) -> None:
    first = start(1)
    asked = form_url(first.line("Access the form"))
    first.line(entry_point.WAITING)
    first.kill()
    asked_by = (await read_request(root, *await root.list_request_ids())).document.origin
    assert (asked_by.run, asked_by.action, asked_by.local) == (entry_point.RUN, entry_point.ACTION, False)
    await _answer(root, "42")

    second = start(2)

    assert second.end() == 0, "".join(second.printed)
    assert form_url(second.line("Access the form")).partition("?")[0] == asked.partition("?")[0]
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
    start: Callable[[int], Program],
    run: Store,
    root: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    program = start(1)
    program.line("Access the form")
    program.line("has no trace in the Flyte UI")
    await _answer(root, "42")

    assert program.end() == 0, "".join(program.printed)
    assert await entry_point.returned(run) == ("integer", 42)


async def _answer(root: Store, value: str) -> None:
    [request_id] = await root.list_request_ids()
    request = await read_request(root, request_id)
    await settle(root, request, answer(value), now=datetime.now(UTC), markers=True)
