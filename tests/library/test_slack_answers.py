"""Answers from Slack, over a fake of its Socket Mode: each click is one submission, whatever Slack does."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from hitl.core.approval import Approval
from hitl.core.audit import Attempt
from hitl.core.documents import OutcomeDocument
from hitl.errors import StorageUnavailable
from hitl.notify.slack import sockets
from hitl.notify.slack.channel import Slack
from hitl.notify.slack.listening import MOST_WAITING, listening
from hitl.notify.slack.payloads import Sent, read_payload
from hitl.notify.slack.views import read_answer
from hitl.notify.slack.ways import SmallForm, way_of
from hitl.records.records import Records, utc_now
from hitl.records.requests import StoredRequest, read_outcome_of
from hitl.records.votes import read_votes
from hitl.storage import Store
from tests.library.fake_slack import (
    APP_TOKEN,
    BOT_TOKEN,
    FakeSlack,
    Message,
    click,
    member,
    refused,
    running_slack,
    sent,
)
from tests.library.samples import answer, asked, person
from tests.library.samples import settle as settle_elsewhere
from tests.library.test_slack import notice, target

TWO = Approval(required=2)


@dataclass
class Office:
    """A workspace in which people are told of one question, and answer it."""

    slack: FakeSlack
    records: Records
    request: StoredRequest
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def message(self) -> Message:
        return self.slack.message

    async def click(self, label: str, user: str = "U0ANN", *, to: int = 0, **more: Any) -> str:
        """Click on a button, and wait until that is acknowledged."""
        envelope = await self.slack.deliver(click(user, self.message, label, **more), to=to)
        await self.slack.acknowledged(envelope)
        return envelope

    async def whispered(self, number: int = 1) -> str:
        """Wait until so many were told something; return what the last of them was told."""
        await self.slack.until(lambda: len(self.slack.whispers) >= number)
        assert len(self.slack.whispers) == number
        return self.slack.whispers[-1][1]

    async def opened(self, number: int = 1) -> dict[str, Any]:
        """Wait until so many forms were opened; return the last."""
        await self.slack.until(lambda: len(self.slack.views) >= number)
        return self.slack.views[-1]

    async def updated(self, number: int = 1) -> str:
        """Wait until the message was updated so often; return what it says."""
        await self.slack.until(lambda: self.message.updates >= number)
        return self.message.text()

    async def outcome(self) -> OutcomeDocument | None:
        return await read_outcome_of(self.records.store, self.request)

    def audit(self) -> list[tuple[str, str, str]]:
        return [(each.result, each.name, each.right) for each in self.attempts]


@asynccontextmanager
async def office(*, listeners: int = 1, **changes: Any) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(running_slack())
        attempts: list[Attempt] = []

        async def note(attempt: Attempt) -> None:
            attempts.append(attempt)

        store = Store(f"memory://{uuid.uuid4().hex}")
        records = Records(store, audited=note)
        content = {
            "data_type": bool,
            "prompt": "Ship it?",
            "endpoint": "https://hitl.example.org",
            "now": utc_now(),
        }
        request = await asked(store, **{**content, **changes})
        await Slack(target()).send(notice(request))
        for number in range(1, listeners + 1):
            await stack.enter_async_context(listening(lambda _: [records], [target()]))
            await slack.connected(number)
        yield Office(slack, records, request, attempts)


async def test_a_click_is_the_answer_of_a_verified_person_and_the_message_says_so() -> None:
    async with office() as at:
        await at.click("No")
        assert "Answered by ann@example.org via slack" in await at.updated()
        outcome = await at.outcome()
        assert outcome is not None
        assert outcome.value is False
        who = outcome.respondent
        assert (who.name, who.verified, who.via) == ("ann@example.org", True, "slack")
        assert at.audit() == [("recorded", "ann@example.org", "slack")]
        assert at.message.buttons() == {}
        assert at.slack.whispers == []


async def test_a_double_click_a_redelivered_envelope_and_a_second_person_record_nothing_more() -> None:
    async with office(listeners=2) as at:
        first = click("U0ANN", at.message, "Yes")
        again = click("U0ANN", at.message, "Yes", action_at="1700000001.000002")
        other = click("U0BOB", at.message, "No")
        changed = click("U0ANN", at.message, "No", action_at="1700000001.000003")
        clicks = [first, first, again, other, changed]
        envelopes = [await at.slack.deliver(each, to=number % 2) for number, each in enumerate(clicks)]
        envelopes += [await at.slack.deliver(first, envelope=envelopes[0])]
        for each in envelopes:
            await at.slack.acknowledged(each)
        await at.slack.until(lambda: len(at.attempts) == 6)
        results = [each.result for each in at.attempts]
        assert results.count("recorded") == 1
        assert set(results) <= {"recorded", "already_yours", "lost"}
        outcome = await at.outcome()
        assert outcome is not None
        [recorded] = [each for each in at.attempts if each.result == "recorded"]
        assert outcome.respondent.name == recorded.name
        assert {each.lost_to for each in at.attempts} == {"", outcome.submission_id}
        assert f"Answered by {recorded.name} via slack" in await at.updated()


async def test_a_click_after_the_end_says_what_stands_and_mends_the_message() -> None:
    async with office() as at:
        before = [click("U0ANN", at.message, each) for each in ("Yes", "Decline…")]
        given = answer("false", person("carol", via="cli", verified=False), comment="a secret")
        await settle_elsewhere(at.records.store, at.request, given, now=utc_now())
        await at.slack.deliver(before[0])
        said = await at.whispered()
        assert said.startswith("What you sent was not saved. Answered by carol (unverified) via cli at ")
        assert "Answered by carol" in await at.updated()
        await at.slack.deliver(before[1])
        assert (await at.whispered(2)).startswith("Answered by carol")
        assert at.slack.views == []
        assert "secret" not in json.dumps(at.slack.calls)


async def test_after_the_deadline_nothing_is_saved() -> None:
    async with office(now=utc_now() - timedelta(hours=1)) as at:
        await at.click("Yes")
        assert await at.whispered() == "The deadline of this question has passed. Nothing was saved."
        assert await at.outcome() is None
        assert at.audit() == [("too_late", "ann@example.org", "slack")]


STRANGERS = {
    "another workspace": member("eve@example.org", team_id="T0EVIL"),
    "Guests": member("eve@example.org", is_restricted=True),
    "Guests ": member("eve@example.org", is_ultra_restricted=True),
    "another workspace ": member("eve@example.org", is_stranger=True),
    "active people": member("eve@example.org", deleted=True),
    "active people ": member("eve@example.org", is_bot=True),
    "has not confirmed": member("eve@example.org", is_email_confirmed=False),
    "has not confirmed ": member(""),
    "has not confirmed  ": member("eve @example.org"),
    "does not say who": member("eve@example.org", profile="eve@example.org"),
    "Guests  ": {"team_id": "T0HITL", "deleted": False, "is_bot": False, "profile": {"email": "eve@example.org"}},
}


@pytest.mark.parametrize("why", STRANGERS)
async def test_who_is_no_full_member_of_the_workspace_is_refused_with_a_sentence(why: str) -> None:
    async with office() as at:
        at.slack.users["U0EVE"] = STRANGERS[why]
        await at.click("Yes", "U0EVE")
        assert why.strip() in await at.whispered()
        assert await at.outcome() is None
        assert at.audit() == [("refused", "U0EVE", "slack")]


async def test_another_workspace_is_refused_and_so_is_whom_slack_does_not_know() -> None:
    async with office() as at:
        await at.click("Yes", team="T0EVIL")
        assert "another workspace" in await at.whispered()
        assert not any(method == "users.info" for method, _, _ in at.slack.calls)
        await at.click("Yes", "U0NOBODY")
        assert "Slack knows no such user" in await at.whispered(2)
        await at.click("Decline…", team="T0EVIL")
        assert "another workspace" in await at.whispered(3)
        assert at.slack.views == []
        assert await at.outcome() is None


async def test_who_is_not_named_is_refused_and_who_is_may_answer() -> None:
    async with office(respondents={"users": ["bob@example.org"], "groups": ["sre"]}) as at:
        await at.click("Yes")
        assert await at.whispered() == (
            "This question is for others to answer; you are ann@example.org. Nothing was saved."
        )
        await at.click("Yes", "U0BOB")
        await at.updated()
        assert at.audit() == [("refused", "ann@example.org", "slack"), ("recorded", "bob@example.org", "slack")]


async def test_who_may_answer_later_is_refused_before_and_not_after() -> None:
    steps = [(timedelta(minutes=5), {"users": ["bob@example.org"]})]
    for minutes, result in ((0, "refused"), (6, "recorded")):
        at_ = utc_now() - timedelta(minutes=minutes)
        async with office(respondents={"users": ["ann@example.org"]}, escalate=steps, now=at_) as at:
            await at.click("Yes", "U0BOB")
            await at.slack.until(lambda: at.attempts and (at.slack.whispers or at.message.updates))
            assert at.audit() == [(result, "bob@example.org", "slack")]


async def test_each_click_is_a_vote_and_the_requester_has_none() -> None:
    approval = Approval(required=2, exclude_requester=True)
    async with office(approval=approval, requester="Eve@example.org") as at:
        at.slack.users["U0EVE"] = member("eve@example.org")
        await at.click("Yes", "U0EVE")
        assert "others must decide" in await at.whispered()
        await at.click("Yes")
        assert await at.whispered(2) == "Your vote was saved. 1/2 agree so far. Still needed: 1 more."
        assert "After the last vote in Slack: 1/2 agree so far." in await at.updated()
        await at.click("No", action_at="1700000001.000002")
        assert "You answered true before" in await at.whispered(3)
        await at.click("Yes", "U0BOB")
        assert "Answered by ann@example.org and bob@example.org" in await at.updated(2)
        assert at.message.buttons() == {}
        outcome = await at.outcome()
        assert outcome is not None
        assert [(each.name, each.verified, each.via) for each in outcome.votes] == [
            ("ann@example.org", True, "slack"),
            ("bob@example.org", True, "slack"),
        ]
        assert [each.result for each in at.attempts if each.attempt] == [
            *("not_allowed", "voted", "voted_before", "recorded", "voted")
        ]


async def test_a_message_that_says_how_far_the_votes_are_never_hides_the_end() -> None:
    async with office(approval=TWO) as at:

        async def ends() -> None:
            vote = answer("true", person("bob@example.org"))
            outcome = await settle_elsewhere(at.records.store, at.request, vote, now=utc_now())
            asked_at = f"{at.message.channel}/{at.message.at}"
            told = notice(at.request, "settled", outcome=outcome, receipts={"asked": asked_at})
            await Slack(target()).send(told)

        at.slack.before["chat.update"] = ends
        await at.click("Yes")
        assert "1/2 agree" in await at.whispered()
        assert "Answered by ann@example.org and bob@example.org" in at.message.text()
        assert at.message.updates == 3


async def test_one_person_has_one_vote_over_slack_and_the_form() -> None:
    async with office(approval=TWO) as at:
        by_form = answer("true", person("ann@example.org"))
        with pytest.raises(AssertionError):
            # A vote that waits has no outcome.
            await settle_elsewhere(at.records.store, at.request, by_form, now=utc_now())
        await at.click("Yes")
        assert "1/2 agree so far" in await at.whispered()
        assert len(await read_votes(at.records.store, at.request)) == 1


async def test_who_declines_writes_why() -> None:
    async with office() as at:
        await at.click("Decline…")
        view = await at.opened()
        blank = await at.slack.deliver(sent("U0ANN", view, Reason=" \u200b "))
        assert (await at.slack.acknowledged(blank))["errors"] == {"comment": "Write why you decline to answer."}
        await at.slack.deliver(sent("U0ANN", view, Reason="Not on a <!here> Friday."))
        assert "Rejected by ann@example.org via slack" in await at.updated()
        outcome = await at.outcome()
        assert outcome is not None
        assert (outcome.outcome, outcome.comment) == ("rejected", "Not on a <!here> Friday.")
        assert "Friday" not in at.message.text()


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    on: date
    replicas: int = Field(3, ge=1, le=9)
    canary: bool = True
    tags: set[Literal["hot", "cold"]] = set()


class Named(BaseModel):
    name: str


async def test_a_small_form_is_filled_in_with_its_faults_at_their_fields() -> None:
    async with office(data_type=Deploy) as at:
        await at.click("Answer…")
        view = await at.opened()
        fields: dict[str, Any] = {"Region": "us", "On": "2031-05-06", "Tags": ["cold"]}
        wrong = await at.slack.deliver(sent("U0ANN", view, Replicas="12", **fields))
        said = await at.slack.acknowledged(wrong)
        assert said == {
            "response_action": "errors",
            "errors": {"field-2": "Enter a whole number from 1 to 9."},
        }
        assert at.attempts == []
        await at.slack.deliver(sent("U0ANN", view, Replicas="4", Comment="slowly", **fields))
        await at.updated()
        outcome = await at.outcome()
        assert outcome is not None
        assert outcome.value == {
            "region": "us",
            "on": "2031-05-06",
            "replicas": 4,
            "canary": True,
            "tags": ["cold"],
        }
        assert outcome.comment == "slowly"


@pytest.mark.parametrize(
    ("changes", "typed", "value", "fault"),
    [
        ({"data_type": int, "default": 7}, {}, 7, ""),
        ({"data_type": int}, {"Your answer": "1,000"}, None, "is not a whole number"),
        ({"data_type": float, "proposed": 2.5}, {}, 2.5, ""),
        ({"data_type": str}, {"Your answer": "two\nlines "}, "two\nlines ", ""),
        ({"data_type": str, "choices": list("abcdefghijk")}, {"Your answer": "k"}, "k", ""),
        ({"data_type": int, "choices": [1, 2, 3, 4, 5, 6], "proposed": 6}, {}, 6, ""),
        ({"data_type": bool, "proposed": False}, {}, False, ""),
        ({"data_type": date}, {"Your answer": "2031-05-06"}, "2031-05-06", ""),
        ({"data_type": Named}, {"Name": "\u200b"}, None, "nothing can be seen in this text"),
    ],
)
async def test_a_scalar_is_read_as_in_the_form(
    changes: dict[str, Any], typed: dict[str, Any], value: Any, fault: str
) -> None:
    async with office(**changes) as at:
        await at.click("Answer…")
        envelope = await at.slack.deliver(sent("U0ANN", await at.opened(), **typed))
        said = await at.slack.acknowledged(envelope)
        if fault:
            assert fault in said["errors"]["field-0"]
            return
        await at.updated()
        outcome = await at.outcome()
        assert outcome is not None
        assert (outcome.value, type(outcome.value)) == (value, type(value))


async def test_a_comment_that_is_needed_is_asked_for() -> None:
    async with office(approval=Approval(required=1, comment_required="Always")) as at:
        await at.click("Answer…")
        view = await at.opened()
        bare = await at.slack.deliver(sent("U0ANN", view, **{"Your answer": "Yes"}))
        assert (await at.slack.acknowledged(bare))["errors"] == {"comment": "Write why you decide like this."}
        await at.slack.deliver(sent("U0ANN", view, **{"Your answer": "Yes", "Comment": "tested"}))
        await at.updated()
        assert (await at.outcome()) is not None


async def test_a_forged_or_old_value_is_refused_and_only_what_is_offered_is_taken() -> None:
    async with office() as at:
        value = at.message.buttons()["Yes"]["value"]
        request_id, digest, _ = value.split(".")
        forged = (f"{request_id}.{'0' * 16}.0", f"another.{digest}.0", f"{request_id}.{digest}.7")
        for number, each in enumerate(forged, 1):
            payload = click("U0ANN", at.message, "Yes")
            payload["actions"][0]["value"] = each
            await at.slack.deliver(payload)
            await at.whispered(number)
        assert ["Nothing was saved" in text for _, text in at.slack.whispers] == [True] * 3
        assert await at.outcome() is None


async def test_a_name_that_only_looks_like_an_address_is_neither_the_requester_nor_a_respondent_here() -> None:
    # With a prefix, as many API servers have it: Slack would not know that it is the same person.
    approval = Approval(required=2, exclude_requester=True)
    async with office(approval=approval, requester="oidc:eve@example.org") as at:
        assert list(at.message.buttons()) == ["Open the form"]
    async with office(respondents={"users": ["strauße@example.org"]}) as at:
        at.slack.users["U0EVE"] = member("strausse@example.org")
        await at.click("Yes", "U0EVE")
        assert "for others to answer" in await at.whispered()
        assert await at.outcome() is None


async def test_what_is_answered_in_the_form_alone_is_not_taken_from_slack() -> None:
    async with office(respondents={"groups": ["sre"]}) as at:
        assert list(at.message.buttons()) == ["Open the form"]
        ref = f"{at.request.request_id}.{at.request.sha256[:16]}"
        for number, what in enumerate(("0", "fill", "decline"), 1):
            payload = click("U0ANN", at.message, "Open the form")
            payload["actions"][0]["value"] = f"{ref}.{what}"
            await at.slack.deliver(payload)
            said = await at.whispered(number)
            assert "for others to answer" in said
        assert at.slack.views == []
        assert await at.outcome() is None


async def test_the_way_to_the_form_is_acknowledged_and_does_nothing() -> None:
    async with office() as at:
        await at.click("Open the form")
        await at.click("Yes")
        await at.updated()
        assert len(at.attempts) == 1


async def test_what_fails_on_the_way_is_said_and_the_next_click_works() -> None:
    async with office(data_type=int) as at:
        busy = web.json_response({"ok": False}, status=429, headers={"Retry-After": "30"})
        at.slack.replies = {"users.info": [busy], "views.open": [refused("expired_trigger_id")]}
        await at.click("Answer…")
        assert await at.whispered() == "Nothing was saved: Slack asks for fewer messages."
        await at.click("Answer…")
        assert await at.whispered(2) == "Nothing was saved: Slack gave us too little time: click again."
        await at.click("Answer…")
        view = await at.opened()

        class Away(Store):
            async def create_once(self, key: str, data: bytes) -> bool:
                raise StorageUnavailable(f"{self.url} does not answer")

        away = Records(Away(at.records.store.url), audited=at.records.audited)
        async with listening(lambda _: [away], [target()]):
            await at.slack.connected(2)
            await at.slack.deliver(sent("U0ANN", view, **{"Your answer": "4"}), to=1)
            said = await at.whispered(3)
        assert said == "The storage did not answer, so it is not known whether this was saved: click again."
        await at.slack.deliver(sent("U0ANN", view, **{"Your answer": "4"}))
        await at.updated()
        assert [each.result for each in at.attempts] == ["refused"] * 3 + ["recorded"]


async def test_a_connection_that_is_cut_or_replaced_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_FIRST_PAUSE_SECONDS", 0.01)
    async with office() as at:
        [first] = at.slack.connections
        await first.send_str(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
        await at.slack.until(lambda: at.slack.connections not in ([], [first]) and first.closed)
        [second] = at.slack.connections
        # In the middle of an envelope: its first frame says that more follows.
        transport = second._req.transport if second._req is not None else None
        assert transport is not None
        half = json.dumps({"type": "interactive", "payload": click("U0ANN", at.message, "Yes")}).encode()[:100]
        transport.write(bytes([0x01, 100]) + half)
        transport.abort()
        at.slack.replies["apps.connections.open"] = [
            web.json_response({"ok": False}, status=429, headers={"Retry-After": "0"}),
            web.Response(status=503),
            web.json_response({"ok": True, "url": "file:///etc/passwd"}),
        ]
        await at.slack.until(lambda: at.slack.connections not in ([], [second]) and second.closed)
        await at.click("Yes")
        await at.updated()
        assert at.audit() == [("recorded", "ann@example.org", "slack")]


@pytest.mark.parametrize("when", ["at first", "later"])
async def test_a_silent_server_is_left(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_PAUSE_SECONDS", "_CONNECT_SECONDS", "_HEARTBEAT_SECONDS"):
        monkeypatch.setattr(sockets, name, 0.2)
    async with running_slack() as slack:
        slack.silent = when
        async with listening(lambda _: [], [target()]):
            await slack.until(lambda: slack.links >= 2)
            # Now it does reply, however slow this machine is.
            monkeypatch.setattr(sockets, "_CONNECT_SECONDS", 120)
            monkeypatch.setattr(sockets, "_HEARTBEAT_SECONDS", 120)
            slack.silent = ""
            links = slack.links
            await slack.until(lambda: slack.links > links and slack.connections)


async def test_trouble_is_said_once_and_without_tokens(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_FIRST_PAUSE_SECONDS", 0.01)
    async with running_slack() as slack:
        slack.replies["apps.connections.open"] = [refused("invalid_auth") for _ in range(3)]
        with caplog.at_level(logging.DEBUG):
            async with listening(lambda _: [], [target()]):
                await slack.connected()
        assert caplog.text.count("does not accept the token") == 1
        assert BOT_TOKEN not in caplog.text
        assert APP_TOKEN not in caplog.text
        assert "ticket" not in caplog.text


async def test_more_clicks_than_can_wait_are_not_acknowledged_and_the_rest_is_taken() -> None:
    async with office() as at:
        held = asyncio.Event()

        class Slow(Store):
            async def read(self, key: str) -> bytes | None:
                await held.wait()
                return await super().read(key)

        slow = Records(Slow(at.records.store.url), audited=at.records.audited)
        async with listening(lambda _: [slow], [target()]):
            await at.slack.connected(2)
            many = MOST_WAITING + 20
            envelopes = [
                await at.slack.deliver(click("U0ANN", at.message, "Yes", action_at=f"{each}.0"), to=1)
                for each in range(many)
            ]
            # The connection itself goes on.
            last = await at.slack.deliver({"type": "none"}, to=1)
            await at.slack.acknowledged(last)
            taken = [each for each in envelopes if each in at.slack.acks]
            assert MOST_WAITING <= len(taken) < many
            held.set()
            await at.slack.until(lambda: len(at.attempts) == len(taken))
        assert [each.result for each in at.attempts].count("recorded") == 1


async def test_what_was_acknowledged_is_done_before_it_ends() -> None:
    async with running_slack() as slack:
        store = Store(f"memory://{uuid.uuid4().hex}")
        request = await asked(store, now=utc_now(), data_type=bool, prompt="Ship it?")
        await Slack(target()).send(notice(request))
        async with listening(lambda _: [Records(store)], [target()]):
            await slack.connected()
            await slack.acknowledged(await slack.deliver(click("U0ANN", slack.message, "Yes")))
        assert await read_outcome_of(store, request) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, part in inside for each in _paths(part, (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    if not path:
        return put
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], put)
    return copy


async def test_a_hostile_server_neither_stops_nor_fools_it() -> None:
    async with office(data_type=int) as at:
        await at.click("Answer…")
        view = await at.opened()
        good = [click("U0ANN", at.message, "Answer…"), sent("U0ANN", view, **{"Your answer": "4"})]
        [connection] = at.slack.connections
        for text in (
            "",
            "{",
            "[]",
            "null",
            "1" * 5_000,
            "[" * 100_000,
            '"x"',
            '{"type": 1}',
            '{"type": "interactive"}',
        ):
            await connection.send_str(text)
        await connection.send_bytes(b"\xff\x00")
        hostile: list[Any] = [None, [], "x", {"type": "block_actions"}, {"type": "x" * 10_000}]
        for payload in hostile:
            await at.slack.acknowledged(await at.slack.deliver(payload))

        form = way_of(at.request.document)
        assert isinstance(form, SmallForm)

        # Whatever one part of what Slack sends is, it is read or it is nothing.
        @given(st.sampled_from(good), st.data(), JSON | st.sampled_from(["x" * 100_000, "\ud800"]))
        @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
        def never_raises(payload: Any, data: st.DataObject, put: Any) -> None:
            found = read_payload(_changed(payload, data.draw(st.sampled_from(_paths(payload))), put))
            if isinstance(found, Sent):
                read_answer(at.request.document, form, found)

        await asyncio.to_thread(never_raises)
        assert at.attempts == []
        assert await at.outcome() is None
        # What is larger than any envelope ends this connection, and not the listener.
        await connection.send_str("x" * 2_000_000)
        await at.slack.until(lambda: at.slack.connections not in ([], [connection]))
        await at.slack.deliver(good[1])
        await at.updated()
