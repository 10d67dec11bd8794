"""A fake of Slack: its Web API, and its server of Socket Mode, as far as HITL uses them. No real Slack can be had.

It is written from Slack's documentation.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from hitl.notify.slack import api

WORKSPACE = "T0HITL"
CHANNEL = "C0OPS"
BOT_TOKEN = "xoxb-the-bots-own"
APP_TOKEN = "xapp-the-apps-own"


@dataclass
class Message:
    """A message as its readers see it now."""

    channel: str
    at: str
    content: dict[str, Any]
    thread: str = ""
    updates: int = 0

    def buttons(self) -> dict[str, dict[str, Any]]:
        """Return the buttons, by what they say."""
        return {
            element["text"]["text"]: element
            for block in self.content["blocks"]
            for element in block.get("elements", ())
            if element.get("type") == "button"
        }

    def text(self) -> str:
        """Return all that it says."""
        return json.dumps(self.content, ensure_ascii=False)


def member(email: str, **changes: Any) -> dict[str, Any]:
    """Return a full member of the workspace, as `users.info` tells it."""
    content = {
        "team_id": WORKSPACE,
        "deleted": False,
        "is_bot": False,
        "is_app_user": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_email_confirmed": True,
        "profile": {"email": email},
    }
    return content | changes


@dataclass
class FakeSlack:
    """What was sent to it, and what it replies: each of `replies` once, then what Slack would.

    Before the next call of a method is done, what `before` has for it is done.
    While it is silent ``at first``, it opens no connection; while it is silent ``later``, it sends nothing on it.
    """

    port: int = 0
    host: str = "127.0.0.1"
    users: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"U0ANN": member("ann@example.org"), "U0BOB": member("bob@example.org")}
    )
    replies: dict[str, list[web.Response]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    messages: dict[tuple[str, str], Message] = field(default_factory=dict)
    whispers: list[tuple[str, str]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    acks: dict[str, Any] = field(default_factory=dict)
    connections: list[web.WebSocketResponse] = field(default_factory=list)
    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    links: int = 0
    silent: str = ""
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/api/"

    @property
    def message(self) -> Message:
        """The only message."""
        [message] = self.messages.values()
        return message

    async def until(self, done: Callable[[], object]) -> None:
        """Wait until something is true, looking again whenever something was sent here."""
        async with asyncio.timeout(120):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    async def connected(self, number: int = 1) -> None:
        """Wait until so many connections are open."""
        await self.until(lambda: len(self.connections) >= number)

    async def deliver(self, payload: object, *, to: int = 0, envelope: str = "", **more: Any) -> str:
        """Send an envelope; return its id."""
        envelope_id = envelope or f"envelope-{next(self.numbers)}"
        content = {"type": "interactive", "envelope_id": envelope_id, "payload": payload, **more}
        await self.connections[to].send_str(json.dumps(content))
        return envelope_id

    async def acknowledged(self, envelope_id: str) -> Any:
        """Wait for an acknowledgement; return what it says."""
        await self.until(lambda: envelope_id in self.acks)
        return self.acks[envelope_id]

    async def serve(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        text = await request.text()
        body = json.loads(text) if request.content_type == "application/json" else dict(request.query)
        self.calls.append((method, token, body))
        if (first := self.before.pop(method, None)) is not None:
            await first()
        try:
            if self.replies.get(method):
                return self.replies[method].pop(0)
            if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
                return refused("invalid_auth")
            return web.json_response({"ok": True, **self._done(method, body)})
        except KeyError as missing:
            return refused(str(missing.args[0]))
        finally:
            self.changed.set()

    def _done(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        match method:
            case "apps.connections.open":
                return {"url": f"ws://{self.host}:{self.port}/link?ticket={next(self.numbers)}"}
            case "chat.postMessage":
                at = f"1700000000.{next(self.numbers):06d}"
                content = {name: body[name] for name in ("text", "blocks")}
                self.messages[body["channel"], at] = Message(
                    body["channel"], at, content, body.get("thread_ts") or ""
                )
                return {"channel": body["channel"], "ts": at}
            case "chat.update":
                if (message := self.messages.get((body["channel"], body["ts"]))) is None:
                    raise KeyError("message_not_found")
                message.content = {name: body[name] for name in ("text", "blocks")}
                message.updates += 1
                return {"channel": body["channel"], "ts": body["ts"]}
            case "chat.postEphemeral":
                self.whispers.append((body["user"], body["text"]))
            case "views.open":
                self.views.append(body["view"])
            case "users.info":
                if body["user"] not in self.users:
                    raise KeyError("user_not_found")
                return {"user": self.users[body["user"]]}
        return {}

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        self.links += 1
        self.changed.set()
        if self.silent == "at first":
            await asyncio.sleep(600)
        connection = web.WebSocketResponse(autoping=self.silent != "later")
        await connection.prepare(request)
        await connection.send_str(json.dumps({"type": "hello"}))
        self.connections.append(connection)
        self.changed.set()
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                content = json.loads(message.data)
                self.acks[content["envelope_id"]] = content.get("payload")
                self.changed.set()
        self.connections.remove(connection)
        self.changed.set()
        return connection


def refused(error: str) -> web.Response:
    """Return how Slack refuses a call."""
    return web.json_response({"ok": False, "error": error})


def click(
    user: str,
    message: Message,
    label: str,
    *,
    team: str = WORKSPACE,
    trigger: str = "trigger",
    action_at: str = "1700000001.000001",
) -> dict[str, Any]:
    """Return the payload of a click on a button of a message."""
    button = message.buttons()[label]
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "who", "team_id": team},
        "team": {"id": team, "domain": "acme"},
        "container": {
            "type": "message",
            "message_ts": message.at,
            "channel_id": message.channel,
            "is_ephemeral": False,
        },
        "trigger_id": trigger,
        "channel": {"id": message.channel, "name": "ops"},
        "actions": [
            {
                "type": "button",
                "action_id": button["action_id"],
                "block_id": "b",
                "value": button.get("value"),
                "action_ts": action_at,
            }
        ],
    }


def sent(user: str, view: Mapping[str, Any], *, view_id: str = "V01", **fields: Any) -> dict[str, Any]:
    """Return the payload of a form that was sent: its fields, by the labels that people see."""
    blocks = {each["label"]["text"]: each for each in view["blocks"] if each["type"] == "input"}
    values: dict[str, Any] = {}
    for label, block in blocks.items():
        element = block["element"]
        filled: dict[str, Any] = {"type": element["type"], **_filled(element, fields.pop(label, None))}
        values[block["block_id"]] = {element["action_id"]: filled}
    assert not fields, f"the form has no {fields}"
    return {
        "type": "view_submission",
        "user": {"id": user, "username": "who", "team_id": WORKSPACE},
        "team": {"id": WORKSPACE, "domain": "acme"},
        "view": {
            "id": view_id,
            "type": "modal",
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": {"values": values},
        },
    }


def _filled(element: Mapping[str, Any], given: Any) -> dict[str, Any]:
    options = {each["text"]["text"]: each for each in element.get("options", ())}
    match element["type"]:
        case "static_select":
            return {"selected_option": options[given] if given else element.get("initial_option")}
        case "multi_static_select":
            chosen = [options[each] for each in given] if given is not None else element.get("initial_options", [])
            return {"selected_options": chosen}
        case "datepicker":
            return {"selected_date": given or element.get("initial_date")}
        case _:
            return {"value": given if given is not None else element.get("initial_value")}


@asynccontextmanager
async def running_slack(host: str = "127.0.0.1") -> AsyncIterator[FakeSlack]:
    """Run the fake while the block runs."""
    fake = FakeSlack(host=host)
    application = web.Application()
    application.router.add_route("*", "/api/{method}", fake.serve)
    application.router.add_get("/link", fake.link)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    fake.port = runner.addresses[0][1]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api, "BASE_URL", fake.base_url)
            yield fake
    finally:
        for each in list(fake.connections):
            await each.close()
        await runner.cleanup()
