"""What another web app, or another program, does is shown on an open page: at once by a hint, else by listing."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from hitl.core import keys
from hitl.records.hints import send_hint
from hitl.storage import Store
from tests.backends.processes import PATIENCE
from tests.backends.seaweed import BUCKET, Seaweed
from tests.library.samples import asked
from tests.web.serving import WebApp, run, running
from tests.web.test_inbox_api import SECRET, as_user

MILLISECONDS = PATIENCE * 1000


def listings(app: WebApp) -> float:
    """Return how often a web app has listed the storage."""
    lines = httpx.get(f"{app.url}/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("hitl_web_storage_requests_total{") and '"list' in line]
    assert found
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_what_one_web_app_settles_goes_from_the_open_pages_of_the_others(
    s3_server: Seaweed, tmp_path: Path, browser: Browser
) -> None:
    root = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    store = Store(root, s3_server.options)
    settings = {"HITL_AUTH": "proxy", "HITL_PROXY_SECRET": SECRET}
    folders = [tmp_path / each for each in ("hinted", "listing", "answering")]
    for folder in folders:
        folder.mkdir()

    def ask(request_id: str) -> None:
        run(asked(store, request_id, name=request_id, now=datetime.now(UTC), timeout_seconds=3_600))

    ask("first")
    with ExitStack() as stack:
        hinted = stack.enter_context(
            running(root, folders[0], s3_server.options, module="tests.web.unhurried", **settings)
        )
        listing = stack.enter_context(running(root, folders[1], s3_server.options, **settings))
        answering = stack.enter_context(
            running(root, folders[2], s3_server.options, HITL_HINT_URL=hinted.url, **settings)
        )
        context = browser.new_context(extra_http_headers=as_user("ann"))
        pages = [context.new_page() for _ in range(2)]
        for page, app in zip(pages, (hinted, listing), strict=True):
            page.goto(app.url)
            expect(page.locator("#live .entries a", has_text="first")).to_be_visible(timeout=MILLISECONDS)
        listed = listings(hinted)

        ask("second")
        run(send_hint(hinted.url, "second"))
        httpx.post(
            f"{answering.url}/submit/json", json={"request_id": "first", "value": 7}, headers=as_user("bob")
        ).raise_for_status()

        for page in pages:
            waiting = page.locator("section", has=page.locator("#waiting"))
            expect(waiting.locator("a", has_text="first")).to_have_count(0, timeout=MILLISECONDS)
            expect(waiting.locator("a", has_text="second")).to_be_visible(timeout=MILLISECONDS)
        assert listings(hinted) == listed, "it came by the hints alone"
        assert run(store.exists(keys.response_key("first")))
        context.close()
