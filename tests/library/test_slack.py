"""The Slack channel against a fake of Slack: what people see, and what they cannot be made to see."""

from __future__ import annotations

import json
import logging
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from aiohttp import web
from pydantic import BaseModel

from hitl.core.approval import Approval
from hitl.core.evidence import Evidence
from hitl.core.notices import NotDelivered, Notice, NoticeEvent
from hitl.errors import InvalidRequest
from hitl.notify.channels import Message
from hitl.notify.opening import read_targets
from hitl.notify.slack import api
from hitl.notify.slack.channel import Slack
from hitl.notify.slack.targets import SlackTarget
from hitl.notify.slack.ways import Buttons, SmallForm, way_of
from hitl.records.requests import StoredRequest
from hitl.storage import Store
from tests.library.fake_slack import APP_TOKEN, BOT_TOKEN, CHANNEL, WORKSPACE, FakeSlack, refused, running_slack
from tests.library.samples import DEADLINE, NOW, answer, asked, draft_request, person, settle

HOSTILE = "Ship <!channel> <@U0ANN> <https://evil.example|our site> & *now* @here :bomb: \u202eevil"


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as fake:
        yield fake


def target(**changes: Any) -> SlackTarget:
    content = {
        "type": "slack",
        "name": "ops",
        "channel": CHANNEL,
        "bot_token": BOT_TOKEN,
        "app_token": APP_TOKEN,
        "workspace": WORKSPACE,
    }
    given = {name: value for name, value in (content | changes).items() if value is not None}
    [found] = read_targets(json.dumps([given]))
    assert isinstance(found, SlackTarget)
    return found


async def question(**changes: Any) -> tuple[Store, StoredRequest]:
    store = Store(f"memory://{uuid.uuid4().hex}")
    given = {"data_type": bool, "prompt": "Ship it?", "endpoint": "https://hitl.example.org"}
    return store, await asked(store, **{**given, **changes})


def notice(request: StoredRequest, event: NoticeEvent = "asked", **more: Any) -> Message:
    outcome, receipts = more.get("outcome"), more.get("receipts", {})
    return Message.of(request, Notice(event, NOW, DEADLINE), outcome, receipts)


def channel(slack: FakeSlack, **changes: Any) -> Slack:
    return Slack(target(**changes))


async def test_a_message_has_the_question_buttons_and_the_way_to_the_form(slack: FakeSlack) -> None:
    _, request = await question(event_name="ship")
    receipt = await channel(slack).send(notice(request))
    message = slack.message
    assert receipt == f"{CHANNEL}/{message.at}"
    assert list(message.buttons()) == ["Yes", "No", "Decline…", "Open the form"]
    assert message.buttons()["Open the form"]["url"] == "https://hitl.example.org/form/a-question"
    assert f"<!date^{int(DEADLINE.timestamp())}^{{date_short_pretty}} {{time}}|" in message.text()
    assert slack.calls[0][2]["text"] == "A question waits: ship"


async def test_what_others_wrote_is_literal_text(slack: FakeSlack) -> None:
    _, request = await question(prompt=HOSTILE, event_name=HOSTILE[:90])
    await channel(slack).send(notice(request))
    call = slack.calls[0][2]
    assert (call["parse"], call["link_names"], call["unfurl_links"]) == ("none", False, False)
    texts = [block["text"] for block in call["blocks"] if "text" in block]
    assert len(texts) == 2
    for each in texts:
        assert (each["type"], each["emoji"]) == ("plain_text", False)
    shown = call["text"] + "".join(each["text"] for each in texts)
    assert not any(each in shown for each in ("<", ">", "\u202e"))
    assert "&lt;!channel&gt; &lt;@U0ANN&gt; &lt;https://evil.example|our site&gt; &amp; *now*" in shown


async def test_a_long_prompt_is_cut_and_answered_in_the_form_alone(slack: FakeSlack) -> None:
    _, request = await question(prompt="<&>" * 3_000)
    await channel(slack).send(notice(request))
    assert list(slack.message.buttons()) == ["Open the form"]
    assert all(len(block["text"]["text"]) <= 3_000 for block in slack.message.content["blocks"] if "text" in block)


async def test_the_end_replaces_the_message_and_says_who_and_not_what(slack: FakeSlack) -> None:
    store, request = await question(data_type=str, choices=["the blue one", "the red one"])
    to = channel(slack)
    receipts = {"asked": await to.send(notice(request))}
    reminded = await to.send(notice(request, "reminder", receipts=receipts))
    [first, second] = slack.messages.values()
    assert (second.thread, list(second.buttons())) == (first.at, ["Open the form"])

    given = answer("the blue one", person("<!here> ann", verified=False), comment="a secret comment")
    outcome = await settle(store, request, given, now=NOW)
    receipts["reminder-60"] = reminded
    assert await to.send(notice(request, "settled", outcome=outcome, receipts=receipts)) == receipts["asked"]
    assert (first.updates, second.updates, first.buttons()) == (1, 0, {})
    assert "Answered by &lt;!here&gt; ann (unverified) via web" in first.text()
    assert "secret" not in first.text()
    assert "the blue one" not in first.text()


async def test_an_end_without_a_message_to_replace_is_a_message(slack: FakeSlack) -> None:
    store, request = await question()
    outcome = await settle(store, request, answer("true"), now=NOW)
    lost = {"asked": f"{CHANNEL}/1600000000.000001"}
    for receipts in ({}, lost, {"asked": "of another channel"}):
        await channel(slack).send(notice(request, "settled", outcome=outcome, receipts=receipts))
    assert ["Answered by ann" in each.text() for each in slack.messages.values()] == [True] * 3


async def test_a_digest_is_one_message_which_no_end_replaces(slack: FakeSlack) -> None:
    messages = tuple([notice((await question(event_name=f"<q> {each}"))[1]) for each in range(60)])
    assert await channel(slack).send(Message("digest_1", None, NOW, digest=messages)) == ""
    assert len(slack.message.content["blocks"]) == 41
    assert slack.message.text().count("https://hitl.example.org/form/a-question") == 40
    assert "and 20 more" in slack.message.text()
    assert "<q>" not in slack.message.text()


@pytest.mark.parametrize(
    ("reply", "why", "seconds"),
    [
        (web.json_response({"ok": False}, status=429, headers={"Retry-After": "7"}), "fewer messages", 7),
        (refused("channel_not_found"), "invite the app", None),
        (refused("invalid_auth"), "does not accept the token", None),
        (refused("account_inactive"), "install it again", None),
        (refused(f"<!channel> {BOT_TOKEN}"), "Slack refused it", None),
        (web.Response(status=503, text="<html>"), "Slack answered 503", None),
        (web.json_response([1, 2]), "is not Slack", None),
        (web.Response(body=b"\xff\xfe{", content_type="application/json"), "is not Slack", None),
        (web.json_response({"ok": False, "error": {"a": "b"}}), "Slack refused it", None),
    ],
)
async def test_what_slack_does_not_take_is_a_sentence_of_ours(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture, reply: web.Response, why: str, seconds: int | None
) -> None:
    _, request = await question(prompt="a secret prompt")
    slack.replies["chat.postMessage"] = [reply]
    with caplog.at_level(logging.DEBUG), pytest.raises(NotDelivered, match=why) as failed:
        await channel(slack).send(notice(request))
    assert failed.value.wait == (None if seconds is None else timedelta(seconds=seconds))
    assert not failed.value.gone
    assert len(slack.calls) == 1
    told = caplog.text + str(failed.value)
    assert not any(each in told for each in (BOT_TOKEN, APP_TOKEN, "secret", "<!channel>"))


async def test_nobody_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    _, request = await question()
    monkeypatch.setattr(api, "BASE_URL", "http://127.0.0.1:1/api/")
    away = Slack(target())
    with pytest.raises(NotDelivered, match="cannot be reached"):
        await away.send(notice(request))


def test_tokens_go_nowhere_without_tls() -> None:
    elsewhere = target(api_url="http://slack.example.org/api/")
    with pytest.raises(InvalidRequest, match="HITL_NOTIFY_PRIVATE=allow"):
        Slack(elsewhere)
    Slack(elsewhere, private=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "#ops"},
        {"api_url": "https://example.org/api/?token="},
        {"bot_token": ""},
        {"bot_token": f"{BOT_TOKEN}\n"},
        {"workspace": None},
        {"workspace": "acme"},
        {"unknown": 1},
    ],
)
def test_a_wrong_target_is_refused_and_no_token_repeated(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused_:
        target(**changes)
    assert "xoxb" not in str(refused_.value)
    assert "xoxb" not in repr(target())


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slack_sdk.web.async_client", None)
    with pytest.raises(InvalidRequest, match=r"Slack needs the extra slack: .*\[slack\]"):
        Slack(target())


class Deploy(BaseModel):
    region: Literal["eu", "us"]
    replicas: int = 3
    canary: bool = True


class Nested(BaseModel):
    deploy: Deploy


_OPEN: Any = {
    "type": "object",
    "properties": {"name": {"type": ["string", "null"]}, "replicas": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"data_type": bool}, Buttons),
        ({"data_type": str, "choices": ["a", "b", "c", "d", "e"]}, Buttons),
        ({"data_type": int, "choices": [1, 2]}, Buttons),
        ({"data_type": bool, "approval": Approval(required=2, comment_required="OnReject")}, Buttons),
        ({"data_type": bool, "respondents": {"users": ["ann"], "groups": ["sre"]}}, Buttons),
        ({"data_type": bool, "prompt": "one\r\ntwo"}, Buttons),
        ({"data_type": bool, "proposed": True}, SmallForm),
        ({"data_type": bool, "approval": Approval(required=2, comment_required="Always")}, SmallForm),
        ({"data_type": str, "choices": ["a", "b", "c", "d", "e", "f"]}, SmallForm),
        ({"data_type": str, "choices": ["a" * 76]}, None),
        ({"data_type": str, "choices": {"a": "same ", "b": "x" * 76}}, None),
        ({"data_type": int}, SmallForm),
        ({"data_type": float}, SmallForm),
        ({"data_type": str}, SmallForm),
        ({"data_type": str, "default": "x" * 3_001}, None),
        ({"data_type": Deploy}, SmallForm),
        ({"data_type": Nested}, None),
        ({"data_type": dict}, None),
        ({"data_type": dict, "schema": _OPEN, "proposed": {"name": "api", "replicas": 3}}, SmallForm),
        # What has no field would be lost, and an emptied one be no text.
        ({"data_type": dict, "schema": _OPEN, "proposed": {"name": "api", "replicas": 3, "zone": "b"}}, None),
        ({"data_type": dict, "schema": _OPEN, "proposed": {"name": "", "replicas": 3}}, None),
        ({"data_type": dict, "schema": _OPEN, "default": {"replicas": 3, "zone": "b"}}, None),
        ({"data_type": bool, "respondents": {"groups": ["sre"]}}, None),
        ({"data_type": bool, "approval": Approval(required=2, groups={"sre": 1})}, None),
        ({"data_type": bool, "approval": Approval(required=1, exclude_requester=True), "requester": "ann"}, None),
        ({"data_type": bool, "refused": ["Choose another one."]}, None),
        ({"data_type": bool, "prompt": "x" * 2_901}, None),
        ({"data_type": bool, "prompt": "Pay \u202e001?"}, None),
    ],
)
def test_what_slack_cannot_show_as_a_whole_is_answered_in_the_form(
    changes: dict[str, Any], shown: type[Any] | None
) -> None:
    given = {"name": "q", "prompt": "Which?", "timeout_seconds": 60.0, **changes}
    document = draft_request(request_id="q", now=NOW, **given)
    assert isinstance(way_of(document), shown or type(None))


def test_evidence_is_looked_at_in_the_form() -> None:
    evidence = [Evidence(name="plan", kind="link", url="https://example.org/plan")]
    given = draft_request(request_id="q", now=NOW, name="q", prompt="?", data_type=bool, timeout_seconds=60.0)
    assert way_of(given.model_copy(update={"evidence": evidence})) is None
