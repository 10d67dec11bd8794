"""A program that waits: people are told in Slack, answer there, and see the end, without an operator."""

from __future__ import annotations

import asyncio
import json

import pytest

import hitl
from hitl.author import hearing
from tests.library.fake_slack import APP_TOKEN, BOT_TOKEN, CHANNEL, WORKSPACE, click, running_slack
from tests.library.test_telling import all_sent


async def test_two_questions_are_asked_and_answered_in_slack_over_one_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = {"type": "slack", "channel": CHANNEL, "workspace": WORKSPACE}
    tokens = {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}
    monkeypatch.setenv("HITL_NOTIFY", json.dumps([{**target, **tokens}]))
    async with running_slack() as slack:
        events = [await hitl.new_event.aio(each, bool, prompt=f"Ship {each}?") for each in ("one", "two")]
        waits = [asyncio.ensure_future(each.wait.aio()) for each in events]
        await slack.until(lambda: len(slack.messages) == 2)
        await slack.connected()
        messages = {each.content["blocks"][0]["text"]["text"]: each for each in slack.messages.values()}
        for name, label in (("one", "Yes"), ("two", "No")):
            await slack.deliver(click("U0ANN", messages[name], label))
        assert await asyncio.gather(*waits) == [True, False]
        await all_sent()

        assert [len(each.buttons()) for each in messages.values()] == [0, 0]
        assert "Answered by ann@example.org via slack" in messages["two"].text()
        assert [method for method, _, _ in slack.calls].count("apps.connections.open") == 1
        await slack.until(lambda: not slack.connections)
        assert hearing._heard == {}
