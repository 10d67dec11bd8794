"""People are told when others may answer: by real webhooks, once each, in words about those people."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hitl.core.documents import OutcomeDocument
from hitl.core.noticekeys import NoticeBox
from hitl.notify.driver import Driver
from tests.library.receiver import receiving
from tests.library.samples import answer, asked, settle
from tests.library.test_sender import Where

ANN = {"users": ["ann"], "groups": []}


async def test_each_escalation_is_told_once_and_says_who_may_answer_from_then_on() -> None:
    async with receiving() as receiver:
        where = Where(receiver)
        request = await asked(
            where.store,
            now=datetime.now(UTC) - timedelta(minutes=10),
            timeout_seconds=7_200,
            respondents={"users": ["ann"]},
            escalate=[(60, {"groups": ["oncall"]}), (590, {"users": ["eve"]})],
        )

        def begin(outcome: OutcomeDocument | None) -> asyncio.Future[None]:
            slot = asyncio.Semaphore(8)
            driver = Driver(where.records(), request, [channel], (), lambda _: slot, outcome)
            return asyncio.ensure_future(driver.run())

        async def noted(name: str) -> None:
            """Wait until it was delivered, and noted as such: who ends before that tells it again."""
            async with asyncio.timeout(120):
                while not await where.store.exists(NoticeBox("a-question", name, "ops").done):
                    await asyncio.sleep(0.02)

        channel = await where.channel()
        first = begin(None)
        await noted("escalated-590")
        first.cancel()
        # Another program goes on, and tells nothing twice.
        await begin(await settle(where.store, request, answer("7"), now=where.now()))

        told = [receiver.verified(number) for number in range(len(receiver.bodies))]
        assert [each["type"].rpartition(".")[2] for each in told] == ["asked", "escalated", "escalated", "settled"]
        assert [each["data"]["respondents"] for each in told[:3]] == [
            ANN,
            {"users": ["ann"], "groups": ["oncall"]},
            {"users": ["ann", "eve"], "groups": ["oncall"]},
        ]
        moments = [datetime.fromisoformat(each["time"]) - request.document.created_at for each in told[:3]]
        assert moments == [timedelta(), timedelta(seconds=60), timedelta(seconds=590)]
        assert len({each["id"] for each in told}) == 4
