"""From what `HITL_NOTIFY` says to the channels: each target's `type` chooses its class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError

from hitl.core.faults import sentence
from hitl.core.strictjson import read_json
from hitl.errors import InvalidRequest, InvalidValue
from hitl.notify.channels import Channel
from hitl.notify.mail.channel import Mail
from hitl.notify.mail.target import MailTarget
from hitl.notify.services import AppriseTarget, Service
from hitl.notify.slack.targets import SlackTarget
from hitl.notify.targets import HTTP, WebhookTarget
from hitl.notify.webhook import Webhook

MOST_TARGETS: Final = 16

_DEFAULT_TYPE: Final = "webhook"


def _type_of(target: Any) -> Any:
    return target.get("type", _DEFAULT_TYPE) if isinstance(target, dict) else getattr(target, "type", None)


# A kind of target is added here and in `channel_of`.
AnyTarget: TypeAlias = Annotated[
    Annotated[WebhookTarget, Tag("webhook")]
    | Annotated[MailTarget, Tag("mail")]
    | Annotated[SlackTarget, Tag("slack")]
    | Annotated[AppriseTarget, Tag("apprise")],
    Discriminator(
        _type_of,
        custom_error_type="type",
        custom_error_message="a target is an object whose type is webhook, mail, slack or apprise",
    ),
]

_TARGET: Final = TypeAdapter[AnyTarget](AnyTarget)
_TARGETS: Final = TypeAdapter(Annotated[list[AnyTarget], Field(max_length=MOST_TARGETS)])


def target_of(content: dict[str, Any]) -> AnyTarget:
    """Return the target that an object describes; raises ValidationError."""
    return _TARGET.validate_python(content)


def channel_of(target: AnyTarget, *, private: bool) -> Channel:
    """Return the channel to a target.

    Args:
        target: The target.
        private: Whether http, and addresses that are not public, are allowed.

    Raises:
        InvalidRequest: what the channel needs is not installed.
    """
    match target:
        case WebhookTarget():
            return Webhook(target, private=private)
        case MailTarget():
            return Mail(target, private=private)
        case SlackTarget():
            # Loaded here: small forms take as long to load as all else.
            from hitl.notify.slack.channel import Slack

            return Slack(target, private=private)
        case AppriseTarget():
            return Service(target, private=private)


def channels_of(text: str, *, private: bool) -> list[Channel]:
    """Return a channel to each target that `HITL_NOTIFY` names.

    Args:
        text: A URL, or a JSON list of targets. Empty: there are none.
        private: Whether http, and addresses that are not public, are allowed.

    Raises:
        InvalidRequest: as `read_targets` and `channel_of` do.
    """
    return [channel_of(each, private=private) for each in read_targets(text)]


def answering(channels: Iterable[Channel]) -> list[SlackTarget]:
    """Return those of the targets by which people also answer."""
    targets = (getattr(each, "target", None) for each in channels)
    return [each for each in targets if isinstance(each, SlackTarget) and each.app_token is not None]


def read_targets(text: str) -> list[AnyTarget]:
    """Return the targets that `HITL_NOTIFY` names.

    Args:
        text: A URL, or a JSON list of targets. Empty: there are none.

    Raises:
        InvalidRequest: says what is wrong, and repeats nothing of it: a URL or a key may be a secret.
    """
    if not (text := text.strip()):
        return []
    try:
        targets = _TARGETS.validate_python([{"url": text}] if text.startswith(HTTP) else read_json(text))
    except InvalidValue as error:
        raise InvalidRequest("HITL_NOTIFY is neither a URL nor JSON: give a URL, or a list of targets") from error
    except ValidationError as error:
        raise InvalidRequest(f"HITL_NOTIFY, {sentence(error, 'the list')}") from None
    names = [each.name for each in targets]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise InvalidRequest(f"HITL_NOTIFY names {twice[0]} twice: give each target a name of its own")
    return targets
