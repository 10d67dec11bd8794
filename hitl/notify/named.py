"""From a NotificationTarget and its Secret to a channel."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from hitl.cluster.notification_target import NotificationTarget, TargetType
from hitl.core.faults import sentence
from hitl.errors import InvalidRequest
from hitl.notify.channels import Channel
from hitl.notify.opening import channel_of, target_of

_Read = Callable[[str], Any]

# What each type takes from the Secret, by its key there: the field that it is, and how it is read. A type is added
# here, in `NotificationTargetSpec` and in `hitl.notify.opening`.
_FROM_SECRET: Final[Mapping[TargetType, Mapping[str, tuple[str, _Read]]]] = {
    "webhook": {"url": ("url", str.strip), "secrets": ("secrets", str.split)},
    "slack": {"botToken": ("bot_token", str.strip)},
    "apprise": {"url": ("url", str.strip)},
    "mail": {"password": ("password", str.strip)},
}


def channel_to(target: NotificationTarget, secret: Mapping[str, str], *, private: bool) -> Channel:
    """Return the channel to a NotificationTarget.

    Args:
        target: The target.
        secret: What its Secret holds, decoded; nothing, if it names none.
        private: Whether http, and addresses that are not public, are allowed.

    Raises:
        InvalidRequest: says what is wrong, and repeats nothing that may be secret.
    """
    spec, taken = target.spec, _FROM_SECRET[target.spec.type]
    if unknown := sorted(set(secret) - set(taken)):
        name = spec.secret_ref.name if spec.secret_ref else ""
        raise InvalidRequest(
            f"Secret {name} has the key {unknown[0]!r}: for a {spec.type} it has {' or '.join(taken)}"
        )
    content: dict[str, Any] = {"type": spec.type, "name": target.metadata.name} | spec.settings()
    content |= {field: read(secret[key]) for key, (field, read) in taken.items() if key in secret}
    if spec.events is not None:
        content["events"] = spec.events
    try:
        return channel_of(target_of(content), private=private)
    except ValidationError as error:
        raise InvalidRequest(sentence(error, "the target")) from None


def decoded(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return what a Secret holds.

    Args:
        secret: The Secret, as the API server has it.

    Raises:
        InvalidRequest: when that is no text.
    """
    found = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequest(f"what the Secret has under {key!r} is no text in UTF-8") from None
    return found
