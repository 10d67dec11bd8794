"""The web app beside its peer: start, forms, submissions, memory, each as a ratio in one run."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from hitl.core.keys import request_key, response_key
from hitl.records.links import add_link
from hitl.storage import Store
from hitl_webapp import pages
from tests.bench.budgets import Row
from tests.bench.disk import syncs_a_second
from tests.bench.load import Load, get, post_json, run
from tests.bench.servers import Server, floor, ours, peer, running, syncing
from tests.library.hostile_forms import hostile_schema
from tests.library.samples import create_request, draft_request

CONNECTIONS = 16
# Of seven, the median of a start wanders by a twentieth.
STARTS = 15
FORMS = 8_000
SUBMISSIONS = 1_500
OF_THE_DISK = 1.25
HOSTILE = 1_000


class Deployment(BaseModel):
    """A model with 15 fields, of each kind that people know."""

    service: str = Field(max_length=40, description="As in the catalogue")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    region: Literal["eu", "us", "ap"]
    size: Literal["small", "large"] = "small"
    replicas: int = Field(2, ge=1, le=99)
    canary: float = Field(0.1, ge=0, le=1)
    budget: Decimal = Decimal("10.50")
    begins: datetime
    ends: datetime | None = None
    day: date | None = None
    notify: list[str] = []
    zones: set[Literal["a", "b", "c"]] = set()
    migrate: bool = False
    owner: str = ""
    notes: str | None = None


@dataclass(frozen=True)
class Question:
    """One stored question and how either server is asked for it."""

    request_id: str
    token: str
    root: str

    @property
    def request_path(self) -> str:
        """Return the local path, which is what the peer takes."""
        return f"{self.root}/{request_key(self.request_id)}"

    def form_path(self) -> str:
        """Return the form's path and query; either server ignores what it does not know."""
        query = urlencode({"request_path": self.request_path, "token": self.token})
        return f"/form/{self.request_id}?{query}"

    def ours_path(self) -> str:
        """Return the form's path for ours, which compares `request_path` with the recorded one."""
        return f"/form/{self.request_id}?{urlencode({'token': self.token})}"

    def submission(self, server: str) -> bytes:
        """Return the JSON body of an answer."""
        body = {"request_id": self.request_id, "value": 42, "data_type": "int"}
        extra = {"token": self.token} if server == "hitl" else {}
        extra |= {"response_path": f"{self.root}/{response_key(self.request_id)}"} if server == "peer" else {}
        return json.dumps(body | extra).encode()


def measure(build: Path) -> list[Row]:
    """Measure and return the rows of the web app's budget table."""
    home = build / "bench-web"
    shutil.rmtree(home, ignore_errors=True)
    roots = {name: home / name for name in ("hitl", "peer", "floor")}
    questions = {name: asyncio.run(_ask(root, SUBMISSIONS + 1)) for name, root in roots.items() if name != "floor"}
    questions["floor"] = questions["peer"][:1]
    servers = {"hitl": ours(roots["hitl"]), "peer": peer(build), "floor": floor(build)}
    starts: dict[str, list[float]] = {name: [] for name in servers}
    # The first start of each compiles what the others find, and does not count.
    for number in range(1 + STARTS):
        for name, server in servers.items():
            with running(server, _path(name, questions[name][0])) as (_, seconds, _process):
                starts[name] += [seconds] if number else []
    model = _model_forms(servers["hitl"], asyncio.run(_ask(roots["hitl"], 1, "bench-model", Deployment))[0])
    loads = {name: _load(servers[name], questions[name]) for name in ("hitl", "peer")}
    others = asyncio.run(_ask(roots["hitl"], SUBMISSIONS, "bench-unsynced"))
    unsynced = _submitted(ours(roots["hitl"], HITL_STORAGE_SYNC="off"), others[0].ours_path(), others)
    bare = _submitted(syncing(build, home / "syncing", SUBMISSIONS), "/", questions["hitl"][1:])
    disk = syncs_a_second(home / "disk", SUBMISSIONS, CONNECTIONS)
    rows = _rows({name: statistics.median(taken) for name, taken in starts.items()}, loads, bare, disk, unsynced)
    peer_rate = loads["peer"][0].rate
    return [
        *rows,
        Row("forms/s of a model with 15 fields", model.rate, peer_rate, "peer, one int", least=2.0),
        Row("slowest page of 1,000 hostile schemas, ms", slowest_page_ms(HOSTILE), 1, most=200.0),
    ]


def _model_forms(server: Server, question: Question) -> Load:
    with running(server, question.ours_path()) as (port, _, _process):
        form = get(f"http://127.0.0.1:{port}{question.ours_path()}")
        run("127.0.0.1", port, [form] * 500, CONNECTIONS)
        forms = run("127.0.0.1", port, [form] * (FORMS // 2), CONNECTIONS)
    if forms.failures:
        raise SystemExit(f"the model's form: {forms.failures} requests failed, so nothing was measured")
    return forms


def slowest_page_ms(count: int) -> float:
    """Return how many milliseconds of a core the slowest page of so many hostile schemas takes."""
    slowest = 0.0
    pages.form_page(pages.FormView(draft_request(**_drafted("warm", "json"))))
    for number in range(count):
        asked = draft_request(**_drafted("hostile", "json")).model_copy(
            update={"json_schema": hostile_schema(number)}
        )
        began = time.process_time()
        pages.form_page(pages.FormView(asked))
        slowest = max(slowest, time.process_time() - began)
    return 1_000 * slowest


def _path(server: str, question: Question) -> str:
    return question.ours_path() if server == "hitl" else question.form_path()


def _load(server: Server, questions: list[Question]) -> tuple[Load, Load, float]:
    first, *others = questions
    with running(server, _path(server.name, first)) as (port, _, process):
        base = f"http://127.0.0.1:{port}"
        form = get(f"{base}{_path(server.name, first)}")
        run("127.0.0.1", port, [form] * 500, CONNECTIONS)
        forms = run("127.0.0.1", port, [form] * (FORMS if server.name == "hitl" else FORMS // 4), CONNECTIONS)
        bodies = [post_json(f"{base}/submit/json", each.submission(server.name)) for each in others]
        submissions = run("127.0.0.1", port, bodies, CONNECTIONS)
        resident = sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 2**20
    if failed := forms.failures + submissions.failures:
        raise SystemExit(f"{server.name}: {failed} requests failed, so nothing was measured")
    return forms, submissions, resident


def _submitted(server: Server, path: str, questions: list[Question]) -> float:
    """Return how many submissions a second a server takes, once it serves a path."""
    with running(server, path) as (port, _, _process):
        url = f"http://127.0.0.1:{port}/submit/json"
        load = run("127.0.0.1", port, [post_json(url, each.submission("hitl")) for each in questions], CONNECTIONS)
    if load.failures:
        raise SystemExit(f"{server.name}: {load.failures} requests failed, so nothing was measured")
    return load.rate


def _submissions(ours: float, peer: float, disk: float) -> Row:
    # The peer syncs nothing: where the disk allows less than it does, the disk is what we are compared with.
    allowed = disk / OF_THE_DISK
    if allowed < peer:
        return Row("submissions/s, local files", ours, allowed, f"disk / {OF_THE_DISK:g}", least=1.0)
    return Row("submissions/s, local files", ours, peer, "peer", least=1.0)


def _rows(
    starts: dict[str, float], loads: dict[str, tuple[Load, Load, float]], bare: float, disk: float, unsynced: float
) -> list[Row]:
    forms, submissions, resident = loads["hitl"]
    peer_forms, peer_submissions, peer_resident = loads["peer"]
    return [
        Row("start to first form, s", starts["hitl"], starts["peer"], "peer", most=1.0),
        Row("start to first form, s", starts["hitl"], starts["floor"], "bare FastAPI", most=1.25),
        Row("forms/s, 16 connections", forms.rate, peer_forms.rate, "peer", least=6.0),
        Row("form p50, ms", forms.p50, peer_forms.p50, "peer"),
        Row("form p99, ms", forms.p99, peer_forms.p99, "peer", most=0.25),
        _submissions(submissions.rate, peer_submissions.rate, disk),
        Row("the same beside the peer, which syncs nothing", submissions.rate, peer_submissions.rate, "peer"),
        Row("the same with HITL_STORAGE_SYNC=off", unsynced, submissions.rate, "synced"),
        Row("the same beside a bare server that syncs", submissions.rate, bare, "uvicorn, JSON, syncs"),
        Row("the same beside the disk's syncs alone", submissions.rate, disk, "bare loop of syncs"),
        Row("submission p99, ms", submissions.p99, peer_submissions.p99, "peer"),
        Row("resident memory after load, MiB", resident, peer_resident, "peer", most=1.0),
    ]


def _drafted(request_id: str, data_type: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "event_name": "bench",
        "data_type": data_type,
        "prompt": "How many?",
        "timeout_seconds": 3600,
        "now": datetime.now(UTC),
    }


async def _ask(root: Path, count: int, name: str = "bench", data_type: Any = int) -> list[Question]:
    store = Store(str(root))
    asked = []
    for number in range(count):
        request = draft_request(**_drafted(f"{name}-{number}", data_type), root=store.url)
        await create_request(store, request)
        token = await add_link(store, request.request_id, now=datetime.now(UTC))
        asked.append(Question(request.request_id, token, str(root)))
    return asked
