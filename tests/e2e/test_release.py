"""A release that waits for two people: from the Flyte task that asks, over all who are told, to its value.

The receiver of the webhook and the mail server are real, and Slack is a fake: they run beside the tests.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.backends.processes import free_ports
from tests.e2e.browser import browsing
from tests.e2e.cluster import ADDRESS, ENDPOINT, RELEASE, TEAM, apply, get, kubectl, phase, require_address, until
from tests.e2e.jobs import asked
from tests.e2e.signing_in import AS_WITH_TLS, behind_a_proxy, named, rolled_out, secret, upgrade
from tests.e2e.test_flyte import IMAGE, storage_options
from tests.e2e.test_flyte_run import DEFAULTS, Pods
from tests.library.fake_slack import APP_TOKEN, BOT_TOKEN, CHANNEL, WORKSPACE, FakeSlack, Message, running_slack
from tests.library.flyte_backend import ENDED, Backend
from tests.library.flyte_example import Author
from tests.library.flyte_services import serving
from tests.library.mail_server import MailServer, mail_server
from tests.library.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.cluster

ANN, BOB, CARL = "ann@example.org", "bob@example.org", "carl@example.org"


@dataclass
class Told:
    """Whom the operator tells, beside the tests: of other questions as well, which other tests asked."""

    portal: BlockingPortal
    hook: Receiver
    post: MailServer
    slack: FakeSlack

    def posted(self, question: str) -> list[str]:
        """Return the events of which the webhook was told; each signature is verified."""
        bodies = [self.hook.verified(number) for number in range(len(self.hook.bodies))]
        return [each["type"].rpartition(".")[2] for each in bodies if each.get("subject") == question]

    def mailed(self, question: str) -> list[EmailMessage]:
        """Return the mails about a question."""
        return [each for each in self.post.mails if question in _text(each)]

    def shown(self, question: str) -> list[Message]:
        """Return the messages in Slack about a question."""
        return [each for each in self.slack.messages.values() if question in each.text()]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def told() -> Iterator[Told]:
    """The release behind a proxy that names its users, a Slack of the platform, and two targets of the team."""
    require_address()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(receiving(host=ADDRESS)) as hook,
        portal.wrap_async_context_manager(mail_server(host=ADDRESS)) as post,
        portal.wrap_async_context_manager(running_slack(host=ADDRESS)) as slack,
    ):
        behind_a_proxy(
            notifications={"secretNames": ["hook"], "privateAddresses": True},
            operator={"env": [{"name": "HITL_NOTIFY", "value": json.dumps([_chat(slack)])}]},
        )
        told = Told(portal, hook, post, slack)
        portal.call(slack.connected)
        _targets(hook, post)
        yield told
    upgrade("link")


def _chat(slack: FakeSlack) -> dict[str, str]:
    """Return the target that the platform's admin names, as a workspace says who its members are."""
    tokens = {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}
    return {"type": "slack", "channel": CHANNEL, "workspace": WORKSPACE, "api_url": slack.base_url, **tokens}


def _targets(hook: Receiver, post: MailServer) -> None:
    """Apply the team's own targets."""
    _target("hook", "webhook", {}, url=hook.url, secrets=SECRET)
    server = {"host": ADDRESS, "port": post.port, "security": "none"}
    _target("post", "mail", {"to": ["release@example.org"], "sender": "hitl@example.org", **server})


def _target(name: str, kind: str, settings: dict[str, Any], **secrets: str) -> None:
    spec = {"type": kind, kind: settings, **({"secretRef": {"name": name}} if secrets else {})}
    if secrets:
        secret(name, TEAM, **secrets)
    metadata = {"name": name, "namespace": TEAM}
    kinds = {"apiVersion": "hitl.flyte.org/v1alpha1", "kind": "NotificationTarget"}
    apply({**kinds, "metadata": metadata, "spec": spec})
    kubectl("wait", "--for=condition=Ready", f"notificationtarget/{name}", "-n", TEAM, "--timeout=60s")


@pytest.fixture
def backend() -> Iterator[Backend]:
    require_address()
    [port] = free_ports(1)
    with serving(Backend("hitl", storage_options(), Pods(), DEFAULTS), ADDRESS, port) as found:
        yield found


def test_two_people_agree_on_a_release_that_a_third_one_asked_for(
    chromium: str, told: Told, backend: Backend, tmp_path: Path
) -> None:
    author = Author(tmp_path / "flyte", backend.url, IMAGE, "shop", "development")
    author.run("flyte", "run", "ship.py", "ship", "--version", "2.4", "--requester", CARL)
    [run] = {run for run, _ in backend.actions}
    question = until("the question", lambda: [each for each in asked() if run in str(each)])[0]["metadata"]["name"]
    phase(question, "Pending")

    until("a webhook", lambda: told.posted(question) == ["asked"])
    until("a mail", lambda: told.mailed(question))
    [message] = until("a message in Slack", lambda: told.shown(question))
    assert "2.4" in message.text()

    # Slack knows no groups, so it shows the way to the form.
    assert list(message.buttons()) == ["Open the form"]

    # Who asked decides nothing.
    _member("carl", CARL)
    refused = _vote(question, "carls", CARL, "sre")
    assert "asked for" in refused["message"], refused
    assert _agree(question) == "0/2"

    rolled_out("webapp", "HITL_PROXY_USER_HEADER")
    with browsing(chromium, AS_WITH_TLS, headers=named(ANN, "sre")) as page:
        page.goto(f"{ENDPOINT}/form/{question}")
        page.check("[name=value][value=true]")
        page.click("button.primary")
        page.wait_for_selector("text=1/2 agree")
    until("the first vote", lambda: _agree(question) == "1/2")

    _member("bob", BOB)
    _vote(question, "bobs", BOB, "security")
    status = phase(question, "Answered")["status"]
    assert sorted(status["approval"]["agreed"]) == [ANN, BOB]

    until("the webhook of the end", lambda: told.posted(question) == ["asked", "settled"])
    until("the mail of the end", lambda: len(told.mailed(question)) == 2)
    first, last = told.mailed(question)
    assert last["In-Reply-To"] == first["Message-ID"]
    told.portal.call(told.slack.until, lambda: not message.buttons())
    action = backend.actions[run, "a0"]
    until("its end", lambda: action.phase in ENDED)
    assert asyncio.run(backend.returned(action)) == "2.4 ships"


def _member(name: str, user: str) -> None:
    kubectl("create", "rolebinding", name, "-n", TEAM, f"--clusterrole={RELEASE}-editor", f"--user={user}")


def _vote(question: str, name: str, user: str, group: str) -> dict[str, Any]:
    """Vote by a HumanInputResponse; return the condition that says what became of it."""
    spec = {"requestRef": {"name": question}, "value": "true"}
    vote = {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "HumanInputResponse",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": spec,
    }
    kubectl("create", "-f", "-", f"--as={user}", f"--as-group={group}", stdin=json.dumps(vote))

    def said() -> dict[str, Any] | None:
        found = (get("humaninputresponse", name) or {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == "Accepted"), None)

    condition: dict[str, Any] = until(f"what became of {name}", said)
    return condition


def _agree(question: str) -> str:
    """Return how many agree, as `kubectl get hi` shows it."""
    columns = kubectl("get", "hi", question, "-n", TEAM).stdout.splitlines()
    start = columns[0].index("AGREE")
    return columns[1][start:].split()[0]
