"""`hitl gc` and `hitl storage check`: looking after a root."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.options import AsJson
from hitl.cli.storage_backend import Stored
from hitl.cli.tables import print_table
from hitl.core import keys
from hitl.errors import InvalidRequest, StorageError, StorageUnavailable
from hitl.records.audit import AuditWriter
from hitl.records.expiry import settle_due
from hitl.records.retention import collect
from hitl.settings import Settings
from hitl.storage import open_store

_AUDIT_SECONDS = 10.0
_REACH = "check the network, the credentials and the endpoint (HITL_STORAGE_OPTIONS), and that the bucket exists"


def gc(
    days: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="How long to keep a question after its outcome; HITL_RETENTION_DAYS, else 30. Whatever is given, "
            "nothing goes within one day of its deadline and its outcome.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; print what would be.")] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Look at everything under the root and repair its index first. Else that is done once a week.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete questions that were settled long ago, and what crashes left behind; name those that had to stay.

    Deadlines that passed while nobody waited are settled, too.
    """
    settings = Settings()
    retention = _retention(settings.retention_days if days is None else days)
    left: dict[str, str] = {}
    stored = Stored(settings)
    with Progress(
        console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal
    ) as bar:
        task = bar.add_task("looking", total=None)

        async def both() -> tuple[list[str], list[str]]:
            collected = await collect(
                stored.store,
                now=datetime.now(UTC),
                retention=retention,
                dry_run=dry_run,
                full=full,
                looked=lambda number: bar.advance(task, number),
                left=left.__setitem__,
            )
            # By the index, which the collection has completed.
            return collected, [] if dry_run else await _settled(stored)

        collected, settled = asyncio.run(both())
    if as_json:
        output.print_json({"deleted": collected, "left": left, "settled": settled, "dry_run": dry_run})
        return
    for request_id in collected:
        print(request_id)
    for request_id in settled:
        output.say(f"settled {request_id}: nobody answered before its deadline")
    for request_id, why in left.items():
        output.say(f"left {request_id}: {why}")
    stayed = f", {len(left)} left" if left else ""
    output.say(f"{len(collected)} {'would be deleted' if dry_run else 'deleted'}{stayed}.")


def check(as_json: AsJson = False) -> None:
    """Make sure that the storage can be reached and records one outcome only; say how fast it is.

    Its clock and this machine's must agree, too.
    """
    settings = Settings()
    problem, times = asyncio.run(probe(settings))
    if as_json:
        milliseconds = {step: round(seconds * 1000, 1) for step, seconds in times.items()}
        output.print_json(
            {"root": settings.root(), "ok": not problem, "problem": problem, "milliseconds": milliseconds}
        )
    elif times:
        rows = [[step, f"{seconds * 1000:.1f} ms"] for step, seconds in times.items()]
        print_table(["STEP", "TIME"], rows)
    if problem:
        output.fail(problem, Code.REFUSED)
    output.say(f"{settings.root()} is fit for use.")


async def _settled(stored: Stored) -> list[str]:
    """Settle the deadlines that are due. There may be thousands, so that the audit collects its lines."""
    audit = AuditWriter(stored.store, "cli")
    try:
        return await settle_due(stored.records._replace(audited=audit.note))
    finally:
        await audit.close(_AUDIT_SECONDS)


def _retention(days: float) -> timedelta:
    try:
        return timedelta(days=days)
    except (OverflowError, ValueError):
        raise InvalidRequest(f"{days} days cannot be counted: give fewer") from None


async def probe(settings: Settings) -> tuple[str, dict[str, float]]:
    """Try the storage out.

    Returns:
        What is wrong and what to do, or nothing; and the seconds that each step took.
    """
    times: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        times[step] = time.perf_counter() - began

    key = keys.probe_key()
    try:
        store = open_store(settings)
        with timed("connect and look"):
            await store.exists(key)
        # First, as the first creation would do it otherwise, and take as long.
        with timed("exclusive creation"):
            await store.probe()
        with timed("create"):
            await store.create_once(key, b"probe\n")
        with timed("read"):
            await store.read(key)
        with timed("list"):
            await store.list_markers(keys.ANSWERED)
        with timed("delete"):
            await store.delete(key)
        with timed("clock"):
            await store.require_clock(datetime.now(UTC))
    except StorageUnavailable as error:
        return f"{error}: {_REACH}", times
    except StorageError as error:
        return str(error), times
    return "", times
