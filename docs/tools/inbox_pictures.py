"""A team's inbox with some questions, and its pictures: the list, several at once, and one that people vote on."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser

from hitl.core.approval import Approval
from hitl.core.documents import Origin
from hitl.core.question import Question
from hitl.core.respondents import Respondents
from hitl.records.records import Records
from hitl.records.requests import create
from hitl.storage import Store

_SECRET: Final = "pictures"  # noqa: S105 - of a server that lives for some seconds
_PATIENCE_SECONDS: Final = 60.0
_POLICY: Final = Approval(required=3, groups={"sre": 2, "security": 1}, exclude_requester=True)
_ANN: Final = Respondents(users=["ann@example.org"])
# Each with its id, minutes since it was asked and until its deadline, project and run.
_ASKED: Final[tuple[tuple[str, int, int, str, str, dict[str, Any]], ...]] = (
    (
        "ship",
        12,
        48,
        "checkout",
        "r7k2f9",
        {"name": "ship checkout 2.4", "data_type": bool, "approval": _POLICY, "requester": "eve@example.org"},
    ),
    ("rows", 3, 95, "prices", "p41x8d", {"name": "rows to drop", "data_type": int, "respondents": _ANN}),
    ("eu", 31, 240, "prices", "p41x8d", {"name": "release eu prices", "data_type": bool}),
    ("us", 31, 241, "prices", "p41x8d", {"name": "release us prices", "data_type": bool}),
    ("ap", 31, 242, "prices", "p41x8d", {"name": "release ap prices", "data_type": bool}),
    ("reply", 55, 600, "support", "s9c3qa", {"name": "reply to the customer", "data_type": str}),
    ("sample", 190, 60, "prices", "p41x8c", {"name": "sample size", "data_type": int}),
    ("old", 240, 60, "checkout", "r7k2f8", {"name": "ship checkout 2.3", "data_type": bool}),
)
_PROMPTS: Final = {
    "ship": "Ship **checkout 2.4** to production? The error rate fell from 0.21 % to 0.04 %.",
    "rows": "412 rows have no currency. How many of them may be dropped?",
    "eu": "Are the new prices of the region **eu** right?",
    "us": "Are the new prices of the region **us** right?",
    "ap": "Are the new prices of the region **ap** right?",
    "reply": "What do we tell the customer about the delay?",
    "sample": "How many orders should the sample have?",
    "old": "Ship **checkout 2.3** to production?",
}


def ask_team(root: str) -> None:
    """Ask the team's questions."""
    asyncio.run(_ask(Store(root)))


def take_inbox(browser: Browser, root: str, images: Path) -> None:
    """Write the pictures of the inbox.

    Args:
        browser: Takes them.
        root: Where the questions lie.
        images: Where the pictures go.
    """
    with _served(root) as url:
        _answer(url, "sample", "bob@example.org", value=500, comment="As last time")
        _answer(url, "old", "carol@example.org", reject=True, comment="The rollback was not tested")
        for voter, comment in (("dan@example.org", "The canary is quiet"), ("cem@example.org", "")):
            _answer(url, "ship", voter, "sre", value=True, comment=comment)
        prices = "&".join(f"id={each}" for each in ("eu", "us", "ap"))
        for name, path, width in (
            ("inbox-desk", "/", 1_000),
            ("inbox-phone", "/", 390),
            ("bulk-desk", f"/bulk?{prices}", 1_000),
            ("votes", "/form/ship", 640),
        ):
            headers = _headers("ann@example.org")
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme="light", extra_http_headers=headers
            )
            page = context.new_page()
            page.goto(url + path)
            page.wait_for_selector("h1")
            page.screenshot(path=images / f"{name}.png", full_page=name != "inbox-phone")
            context.close()


async def _ask(store: Store) -> None:
    now = datetime.now(UTC)
    for name, since, left, project, run, content in _ASKED:
        question = Question.of(prompt=_PROMPTS[name], timeout_seconds=60 * (since + left), **content)
        origin = Origin(namespace=f"{project}-production", project=project, run=run)
        asked_at = now - timedelta(minutes=since)
        await create(Records(store), question, request_id=name, asked_at=asked_at, origin=origin)


def _answer(url: str, request_id: str, name: str, group: str = "release", **content: Any) -> None:
    body = {"request_id": request_id, **content}
    httpx.post(f"{url}/submit/json", json=body, headers=_headers(name, group)).raise_for_status()


def _headers(name: str, group: str = "release") -> dict[str, str]:
    return {"X-HITL-Proxy-Secret": _SECRET, "X-Forwarded-User": name, "X-Forwarded-Groups": group}


@contextmanager
def _served(root: str) -> Iterator[str]:
    """Run a web app over a root; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    settings = {"STORAGE_ROOT": root, "AUTH": "proxy", "PROXY_SECRET": _SECRET, "PORT": str(port)}
    environment = {**os.environ, **{f"HITL_{name}": text for name, text in settings.items()}}
    process = subprocess.Popen([sys.executable, "-m", "hitl_webapp"], env=environment, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
