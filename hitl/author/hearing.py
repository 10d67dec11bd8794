"""Taking the answers that people give in Slack, while this program tells people of any question.

All questions of the process share one connection for each app. What is here runs in our own loop alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hitl.records.records import Records

if TYPE_CHECKING:
    from hitl.notify.channels import Channel
    from hitl.notify.slack.targets import SlackTarget


@dataclass
class _Hearing:
    """What is listened for.

    Args:
        task: The listener.
        records: Where the questions lie, by the URL of the root.
        users: How many questions need it.
    """

    task: asyncio.Task[None]
    records: dict[str, Records] = field(default_factory=dict)
    users: int = 0


_heard: dict[str, _Hearing] = {}


@asynccontextmanager
async def hearing(channels: Sequence[Channel], records: Records) -> AsyncIterator[None]:
    """Take answers to the questions of a root, while the block runs or another one does.

    Args:
        channels: The targets. Some of them may be Slack's.
        records: Where the questions lie.
    """
    # Loaded by then, as there are channels.
    from hitl.notify.opening import answering

    targets = answering(channels)
    if not targets:
        yield
        return
    key = "\n".join(each.model_dump_json() + _tokens(each) for each in targets)
    heard = _heard.get(key)
    if heard is None:
        heard = _heard[key] = _begun(targets)
    heard.records.setdefault(records.store.url, records)
    heard.users += 1
    try:
        yield
    finally:
        heard.users -= 1
        if not heard.users:
            del _heard[key]
            heard.task.cancel()
            await asyncio.wait([heard.task])


def _begun(targets: Sequence[SlackTarget]) -> _Hearing:
    from hitl.notify.slack.listening import Listener

    records: dict[str, Records] = {}
    listener = Listener(lambda _: list(records.values()), targets)
    return _Hearing(asyncio.create_task(listener.run()), records)


def _tokens(target: SlackTarget) -> str:
    app = target.app_token
    return target.bot_token.get_secret_value() + (app.get_secret_value() if app is not None else "")


if hasattr(os, "register_at_fork"):
    # The parent's connections are the parent's.
    os.register_at_fork(after_in_child=_heard.clear)
