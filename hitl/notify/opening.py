"""From what `HITL_NOTIFY` says to the channels."""

from __future__ import annotations

from hitl.notify.channels import Channel
from hitl.notify.targets import read_targets
from hitl.notify.webhook import Webhook


def channels_of(text: str, *, private: bool) -> list[Channel]:
    """Return a channel to each target that `HITL_NOTIFY` names.

    Args:
        text: A URL, or a JSON list of targets. Empty: there are none.
        private: Whether http, and addresses that are not public, are allowed.

    Raises:
        InvalidRequest: as `read_targets` does.
    """
    return [Webhook(each, private=private) for each in read_targets(text)]
