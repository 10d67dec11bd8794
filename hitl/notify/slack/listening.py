"""Who listens to Slack, and what waits to be done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from hitl.notify.slack.answers import Answers, RecordsOf
from hitl.notify.slack.api import Api
from hitl.notify.slack.payloads import Click, Sent, read_payload
from hitl.notify.slack.people import People
from hitl.notify.slack.sockets import Socket
from hitl.notify.slack.targets import SlackTarget

MOST_WAITING: Final = 64
"""So many clicks wait at most. Of what comes beyond, Slack tells the people that it was not taken."""
LAST_SECONDS: Final = 5.0

_AT_ONCE: Final = 4

_log = logging.getLogger("hitl")


class Listener:
    """Takes the answers that people give in Slack.

    All who listen with one app token must know the same questions, as Slack sends each click to one of them.

    Args:
        records_of: Given the id of a question, where it may lie.
        targets: The targets. Those without an app token take no answers.

    Raises:
        InvalidRequest: slack-sdk is not installed.
    """

    def __init__(self, records_of: RecordsOf, targets: Iterable[SlackTarget]) -> None:
        by_token: dict[str, list[SlackTarget]] = {}
        for each in targets:
            if each.app_token is not None:
                by_token.setdefault(each.app_token.get_secret_value(), []).append(each)
        self._apps = [_App(token, some, records_of) for token, some in by_token.items()]

    async def run(self) -> None:
        """Take answers until this is cancelled; what was acknowledged then has some seconds left."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._apps:
                tasks.create_task(each.run())


@asynccontextmanager
async def listening(records_of: RecordsOf, targets: Iterable[SlackTarget]) -> AsyncIterator[None]:
    """Take answers while the block runs; the arguments are those of `Listener`."""
    task = asyncio.create_task(Listener(records_of, targets).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class _App:
    """One app of Slack's, in each workspace that has it."""

    def __init__(self, token: str, targets: Sequence[SlackTarget], records_of: RecordsOf) -> None:
        self._answers: dict[str, Answers] = {}
        for each in targets:
            api = Api(each.bot_token.get_secret_value(), each.api_url)
            self._answers[each.workspace] = Answers(records_of, api, People(api, each.workspace))
        self._socket = Socket(Api(token, targets[0].api_url), token, self._take)
        self._waiting: asyncio.Queue[tuple[Answers, Click | Sent]] = asyncio.Queue(MOST_WAITING)

    async def run(self) -> None:
        workers = [asyncio.create_task(self._work()) for _ in range(_AT_ONCE)]
        try:
            await self._socket.run()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._waiting.join()
            for each in workers:
                each.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _take(self, payload: object) -> Mapping[str, Any] | None:
        done = read_payload(payload)
        if done is None:
            return {}
        # Who is of no workspace that we know is told so by any of them.
        known = [self._answers[team] for team in done.person.teams if team in self._answers]
        answers = known[0] if known else next(iter(self._answers.values()))
        if isinstance(done, Sent) and (faults := answers.faults(done)):
            return {"response_action": "errors", "errors": faults}
        try:
            self._waiting.put_nowait((answers, done))
        except asyncio.QueueFull:
            _log.warning("a click in Slack is not taken, as %d wait already", MOST_WAITING)
            return None
        return {}

    async def _work(self) -> None:
        while True:
            answers, done = await self._waiting.get()
            try:
                await answers.take(done)
            except Exception as error:  # noqa: BLE001 - the next click must be taken; what it says may be secret
                _log.error("%s: a click in Slack failed: %s", done.ref.request_id, type(error).__name__)
            finally:
                self._waiting.task_done()
