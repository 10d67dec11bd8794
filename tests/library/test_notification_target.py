"""From a NotificationTarget and its Secret to a channel, with a sentence for each thing that is wrong."""

from __future__ import annotations

import base64
from datetime import time, timedelta
from typing import Any

import pytest

from hitl.cluster.notification_target import NotificationTarget, Selector
from hitl.core.noticekeys import NoticeBox, NoticeKey
from hitl.errors import InvalidRequest
from hitl.notify.named import channel_to, decoded
from tests.library.receiver import SECRET

URL = "https://hooks.example.org/a-secret-path"


def target(**spec: Any) -> NotificationTarget:
    content = {"metadata": {"name": "ops", "namespace": "shop"}, "spec": {"type": "webhook", **spec}}
    return NotificationTarget.from_object(content)


def test_settings_and_secret_make_a_channel() -> None:
    from_secret = channel_to(
        target(secretRef={"name": "hook"}), {"url": f"{URL}\n", "secrets": f"{SECRET}\n{SECRET}\n"}, private=False
    )
    assert (from_secret.name, len(from_secret.events)) == ("ops", 4)
    plain = channel_to(target(webhook={"url": URL}, events=["settled"]), {}, private=False)
    assert plain.events == {"settled"}


def test_slack_takes_no_answers_and_apprise_takes_a_url() -> None:
    slack = target(type="slack", slack={"channel": "C0123456789"}, secretRef={"name": "slack"})
    assert channel_to(slack, {"botToken": "xoxb-1"}, private=False).name == "ops"
    # Who defines a target in a namespace must not say who people are.
    with pytest.raises(InvalidRequest, match="has the key 'appToken': for a slack it has botToken"):
        channel_to(slack, {"botToken": "xoxb-1", "appToken": "xapp-1"}, private=False)
    apprise = target(type="apprise", secretRef={"name": "chat"})
    assert channel_to(apprise, {"url": "tgram://token/chat"}, private=True).name == "ops"


def test_mail_takes_its_password_from_the_secret() -> None:
    mail = {"to": ["ann@example.org"], "sender": "hitl@example.org", "host": "mail.example.org", "user": "hitl"}
    secret = {"password": "a-password\n"}
    content = {"type": "mail", "mail": mail, "secretRef": {"name": "mail"}}
    assert channel_to(target(**content), secret, private=False).name == "ops"
    with pytest.raises(InvalidRequest, match="both user and password"):
        channel_to(target(**content), {}, private=False)
    # Who chooses the mail server would read the links by which others answer.
    with pytest.raises(InvalidRequest, match="has the key 'linkKey': for a mail it has password"):
        channel_to(target(**content), secret | {"linkKey": "k" * 32}, private=False)


@pytest.mark.parametrize(
    ("spec", "secret", "why"),
    [
        (
            {"secretRef": {"name": "hook"}},
            {"URL": URL},
            "Secret hook has the key 'URL': for a webhook it has url or",
        ),
        ({"secretRef": {"name": "hook"}}, {"secrets": SECRET}, "url"),
        ({"secretRef": {"name": "hook"}}, {"url": "ftp://a-secret-path"}, "it is not a URL"),
        ({"webhook": {"url": URL}}, {"secrets": "a-secret-path"}, "whsec_"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_secret_repeated(
    spec: dict[str, Any], secret: dict[str, str], why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        channel_to(target(**spec), secret, private=False)
    assert "a-secret-path" not in str(refused.value)


def test_a_secret_is_text() -> None:
    assert decoded({"data": {"url": base64.b64encode(b"caf\xc3\xa9").decode()}}) == {"url": "café"}
    assert decoded({}) == {}
    with pytest.raises(InvalidRequest, match="'url' is no text"):
        decoded({"data": {"url": base64.b64encode(b"\xff").decode()}})


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ({}, True),
        ({"matchLabels": {"team": "sre"}}, True),
        ({"matchLabels": {"team": "sre", "tier": "1"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["sre", "dev"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["sre"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_selector_is_that_of_kubernetes(selector: dict[str, Any], fits: bool) -> None:
    assert Selector.model_validate(selector).fits({"team": "sre"}) is fits


def test_pace_and_names() -> None:
    quiet = {"timeZone": "Europe/Berlin", "start": "22:00", "end": "07:00"}
    found = target(rateLimit={"perMinute": 30}, digest={"above": 5, "windowSeconds": 90}, quietHours=quiet)
    pace = found.spec.pace()
    assert (pace.per_minute, pace.alone, pace.window) == (30, 5, timedelta(seconds=90))
    assert pace.quiet is not None
    assert (str(pace.quiet.zone), pace.quiet.end) == ("Europe/Berlin", time(7))
    assert target().spec.pace().per_minute == 0
    with pytest.raises(InvalidRequest, match="time zone"):
        target(quietHours=quiet | {"timeZone": "Mars/Base"}).spec.pace()
    # No target of a program has the name of one in the cluster.
    box = NoticeBox("a-question", "asked", found.key_name)
    assert NoticeKey.of("a-question", box.done) == NoticeKey(box, "done", 0)
