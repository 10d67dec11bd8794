"""The web app in a process of its own, and questions to put into its root."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from hitl.core import keys
from hitl.records.links import add_link
from hitl.storage import Store
from tests.backends.processes import PATIENCE, free_ports
from tests.library.samples import create_request, draft_request

T = TypeVar("T")


@dataclass
class WebApp:
    """A running web app over a root."""

    root: str
    log: Path
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    module: str = "hitl_webapp"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        return Store(self.root, self.options)

    def start(self) -> None:
        self.port = self.port or free_ports(1)[0]
        environment = {
            **os.environ,
            "HITL_STORAGE_ROOT": self.root,
            "HITL_STORAGE_OPTIONS": json.dumps(self.options),
            "HITL_PORT": str(self.port),
            **self.settings,
        }
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", self.module]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health").is_success:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self, *, kill: bool = False) -> None:
        assert self.process is not None
        (self.process.kill if kill else self.process.terminate)()
        self.process.wait(timeout=PATIENCE)

    def logged(self, logger: str) -> list[dict[str, Any]]:
        """Return what one of its loggers wrote, line by line."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["logger"] == logger]

    def ask(self, request_id: str = "a-question", **asked: Any) -> Question:
        """Store a question and a link to it."""
        return run(self._ask(request_id, asked))

    async def _ask(self, request_id: str, asked: dict[str, Any]) -> Question:
        content: dict[str, Any] = {
            "event_name": "a question",
            "data_type": int,
            "prompt": "How many?",
            "timeout_seconds": 600,
            "now": datetime.now(UTC),
            **asked,
        }
        store = self.store
        request = draft_request(request_id=request_id, root=store.url, **content)
        await create_request(store, request)
        token = await add_link(store, request_id, now=datetime.now(UTC))
        return Question(self, request_id, token, request.response_path)


@dataclass(frozen=True)
class Question:
    """A stored question, and the ways to answer it."""

    app: WebApp
    request_id: str
    token: str
    response_path: str

    @property
    def url(self) -> str:
        return f"{self.app.url}/form/{self.request_id}?token={self.token}"

    def form(self, value: str, **fields: str) -> httpx.Response:
        data = {"request_id": self.request_id, "token": self.token, "value": value, **fields}
        return httpx.post(f"{self.app.url}/submit", data=data, timeout=60)

    def api(self, value: Any, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"request_id": self.request_id, "token": self.token, "value": value, **fields}
        return httpx.post(f"{self.app.url}/submit/json", json=body, headers=headers, timeout=60)

    def stored(self) -> dict[str, Any] | None:
        """Return what lies in the bucket as the outcome."""
        data = run(self.app.store.read(keys.response_key(self.request_id)))
        return None if data is None else json.loads(data)


@contextlib.contextmanager
def running(
    root: str, folder: Path, options: dict[str, Any] | None = None, *, module: str = "hitl_webapp", **settings: str
) -> Iterator[WebApp]:
    """Run a web app over a root until the block ends."""
    app = WebApp(root, folder / "web.log", options or {}, settings, module=module)
    app.start()
    try:
        yield app
    finally:
        app.stop(kill=True)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a thread of its own: playwright's blocking API keeps a loop running on the test's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


PAST = timedelta(hours=1)


def visible_text(page: str) -> str:
    """Return a page's text without its markup."""
    return re.sub(r"<[^>]+>", " ", page)
