"""The inbox over many open questions, on local files and on S3: start, filters, search, memory and requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from hitl.core import keys
from hitl.core.documents import Origin, RequestDocument
from hitl.core.keys import OpenRow
from hitl.core.respondents import Respondents
from hitl.storage import Store
from tests.backends.seaweed import BUCKET, Seaweed
from tests.bench.budgets import Row
from tests.library.samples import draft_request
from tests.web.inboxes import put

QUESTIONS: Final = 100_000
_PAGE: Final = 50
_STARTS: Final = 4
_AT_ONCE: Final = 64
_ROUNDS: Final = 8
_WATCHED_SECONDS: Final = 120.0
_VISIT_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 1_800.0
_HEADERS: Final = {
    "X-HITL-Proxy-Secret": "s",
    "X-Forwarded-User": "user-5",
    "X-Forwarded-Groups": "team-1,team-4",
}
_WORDS: Final = (
    *[
        "deploy",
        "the",
        "model",
        "after",
        "looking",
        "at",
        "the",
        "quality",
        "report",
        "of",
        "the",
        "training",
        "run",
        "and",
        "tell",
        "the",
        "team",
    ],
    *[
        "whether",
        "prices",
        "of",
        "this",
        "region",
        "may",
        "be",
        "released",
        "or",
        "the",
        "batch",
        "of",
        "data",
        "has",
        "to",
        "be",
        "checked",
        "again",
    ],
)
FILTERS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"view": "mine"},
    {"view": "groups"},
    {"namespace": "ns-7"},
    {"project": "project-3"},
    {"run": "run-000099"},
    {"type": "bool"},
    {"asked_by": "run"},
    {"sort": "age"},
    {"sort": "name"},
    {"state": "settled"},
    {"state": "any"},
    {"view": "mine", "project": "project-3", "type": "bool"},
)
SEARCHES: Final = ("deploy", "quality report", "qual rep", "question-77", "nothing-like-it", "users batch data")


@dataclass(frozen=True)
class Measured:
    """What one storage gave. Times are in seconds, memory in MiB."""

    first_page: float
    whole: float
    filters: float
    searches: float
    memory: float
    requests: float


def measure(build: Path, questions: int = QUESTIONS) -> list[Row]:
    """Measure and return the rows of the inbox's budget table.

    Args:
        build: Where data and logs may lie.
        questions: How many are open.
    """
    home = build / "bench-inbox"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    local = home / "root"
    put(local, _questions(questions))
    rows = _rows(f"{questions:,} open, local files", _measured(str(local), {}, home))
    shutil.rmtree(local)
    s3 = Seaweed(home / "s3")
    try:
        s3.start()
        url = f"s3://{BUCKET}/inbox"
        asyncio.run(_write(Store(url, s3.options), questions))
        rows += _rows(f"{questions:,} open, SeaweedFS", _measured(url, s3.options, home))
    finally:
        s3.kill()
    shutil.rmtree(home)
    return rows


def _rows(where: str, found: Measured) -> list[Row]:
    return [
        Row(f"{where}: start to the first useful page, s", found.first_page, 1, most=2),
        Row(f"{where}: start to all of them, s", found.whole, 1),
        Row(f"{where}: a filter, p95, ms", found.filters * 1_000, 1, most=60),
        Row(f"{where}: a text search, p95, ms", found.searches * 1_000, 1, most=500),
        Row(f"{where}: memory of the index, MiB", found.memory, 1, most=100),
        Row(f"{where}: storage requests a minute", found.requests, 1, most=120),
    ]


def _measured(url: str, options: dict[str, Any], home: Path) -> Measured:
    starts = []
    for _ in range(_STARTS):
        with _running(url, options, home) as (client, _, began):
            starts.append(_first_page(client) - began)
    with _running(url, options, home) as (client, process, began):
        client.get("/health").raise_for_status()
        before = process.memory_info().rss
        starts.append(_first_page(client) - began)
        whole = _filled(client) - began
        memory = (process.memory_info().rss - before) / 2**20
        requests = _requests_a_minute(client)
        filters = [_timed(client, each) for _ in range(_ROUNDS) for each in FILTERS]
        searches = [_timed(client, {"text": each}) for _ in range(_ROUNDS) for each in SEARCHES]
    return Measured(statistics.median(starts), whole, _p95(filters), _p95(searches), memory, requests)


def _first_page(client: httpx.Client) -> float:
    """Return when the first page with 50 questions was there."""
    found = client.get("/").text.count("<li>")
    if found < _PAGE:
        raise SystemExit(f"the first page has {found} questions, so nothing was measured")
    return time.perf_counter()


def _filled(client: httpx.Client) -> float:
    """Wait until all questions were read, and return when that was."""
    until = time.perf_counter() + _PATIENCE_SECONDS
    while time.perf_counter() < until:
        if client.get("/questions").json()["complete"]:
            return time.perf_counter()
        time.sleep(0.5)
    raise SystemExit("the questions were not read in time")


def _requests_a_minute(client: httpx.Client) -> float:
    """Return how many requests to the storage a visitor causes who looks again and again."""
    began, before = time.perf_counter(), _storage_requests(client)
    while time.perf_counter() < began + _WATCHED_SECONDS:
        client.get("/").raise_for_status()
        time.sleep(_VISIT_SECONDS)
    return (_storage_requests(client) - before) * 60 / (time.perf_counter() - began)


def _storage_requests(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(
        float(each.rpartition(" ")[2]) for each in lines if each.startswith("hitl_web_storage_requests_total")
    )


def _timed(client: httpx.Client, query: dict[str, str]) -> float:
    began = time.perf_counter()
    client.get("/", params=query).raise_for_status()
    return time.perf_counter() - began


def _p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


@contextlib.contextmanager
def _running(
    url: str, options: dict[str, Any], home: Path
) -> Iterator[tuple[httpx.Client, psutil.Process, float]]:
    """Run a web app behind a proxy; yield a client of it, its process, and when it was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {
        **os.environ,
        "HITL_STORAGE_ROOT": url,
        "HITL_STORAGE_OPTIONS": json.dumps(options),
        "HITL_AUTH": "proxy",
        "HITL_PROXY_SECRET": "s",
        "HITL_MARKERS": "true",
        "HITL_PORT": str(port),
    }
    began = time.perf_counter()
    with (home / "web.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "hitl_webapp"], env=environment, stdout=log, stderr=log)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.005)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=_HEADERS, timeout=60) as client:
            yield client, psutil.Process(process.pid), began
    finally:
        process.terminate()
        process.wait(timeout=20)


def _questions(count: int) -> Iterator[RequestDocument]:
    chance, now = random.Random(7), datetime.now(UTC)
    for number in range(count):
        groups = [f"team-{number % 40}"] if number % 3 == 1 else []
        users = [f"user-{number % 200}"] if number % 3 == 2 else []
        yield draft_request(
            request_id=f"question-{number:06}-{chance.randbytes(8).hex()}",
            event_name=f"question-{number}",
            data_type=bool if number % 2 else int,
            prompt=" ".join(chance.choices(_WORDS, k=25)),
            timeout_seconds=86_400 + chance.randrange(864_000),
            now=now - timedelta(seconds=number % 10_000),
            respondents=Respondents(users=users, groups=groups) if users or groups else None,
            origin=Origin(
                namespace=f"ns-{number % 50}",
                project=f"project-{number % 20}",
                run=f"run-{number % 5_000:06}",
                human_input=f"question-{number:06}",
            ),
        )


async def _write(store: Store, count: int) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(document: RequestDocument) -> None:
        async with limit:
            await store.create_once(keys.request_key(document.request_id), document.to_bytes())
            await store.mark(OpenRow(document.request_id, document.expires_at).key)

    several: list[RequestDocument] = []
    for document in _questions(count):
        several.append(document)
        if len(several) == 10 * _AT_ONCE:
            await asyncio.gather(*map(one, several))
            several = []
    await asyncio.gather(*map(one, several))
    await store.mark(keys.INDEX_COMPLETE)
