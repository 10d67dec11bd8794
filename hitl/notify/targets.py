"""Who is told: what all targets share, and the target that is a webhook."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from hitl.core.noticekeys import TARGET_PATTERN
from hitl.core.notices import NoticeEvent
from hitl.notify.signing import key_of

HTTP: Final = ("http://", "https://")

_MOST_SECRETS: Final = 4


class Target(BaseModel):
    """What all targets share."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    name: Annotated[str, Field(pattern=TARGET_PATTERN)]
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    events: list[NoticeEvent] = ["asked", "reminder", "escalated", "settled"]
    """What it is told of."""


class WebhookTarget(Target):
    """A URL to which notices are posted."""

    type: Literal["webhook"] = "webhook"
    """Its channel."""
    name: Annotated[str, Field(pattern=TARGET_PATTERN)] = "webhook"
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    url: SecretStr
    """Where to post: https, unless `HITL_NOTIFY_PRIVATE` is `allow`. It is never logged."""
    format: Literal["cloudevents", "cdevents"] = "cloudevents"
    """How notices are written. `cdevents`: as CDEvents about an approval, which are in that format's draft."""
    secrets: Annotated[list[SecretStr], Field(max_length=_MOST_SECRETS)] = []
    """The keys that sign, `whsec_…`, at most 4. Receivers accept any one of them."""

    @field_validator("url")
    @classmethod
    def _checked_url(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        try:
            parts = urlsplit(text)
            known = text.startswith(HTTP) and parts.hostname and parts.port != 0 and text.isascii()
        except ValueError:
            known = False
        if not known or not text.isprintable() or " " in text:
            raise ValueError("it is not a URL such as https://example.org/hook, in ASCII")
        if "@" in parts.netloc:
            raise ValueError("it holds a user or a password: receivers know us by the signature")
        return url

    @field_validator("secrets")
    @classmethod
    def _checked_secrets(cls, secrets: list[SecretStr]) -> list[SecretStr]:
        for each in secrets:
            key_of(each.get_secret_value())
        return secrets
