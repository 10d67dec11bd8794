"""Who is told: what `HITL_NOTIFY` says, checked."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from hitl.core.faults import sentence
from hitl.core.noticekeys import TARGET_PATTERN
from hitl.core.notices import NoticeEvent
from hitl.core.strictjson import read_json
from hitl.errors import InvalidRequest, InvalidValue
from hitl.notify.signing import key_of

MOST_TARGETS: Final = 16

_MOST_SECRETS: Final = 4
_URL: Final = ("http://", "https://")


class Target(BaseModel):
    """What all targets share."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    name: Annotated[str, Field(pattern=TARGET_PATTERN)]
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    events: list[NoticeEvent] = ["asked", "reminder", "settled"]
    """What it is told of."""


class WebhookTarget(Target):
    """A URL to which notices are posted."""

    type: Literal["webhook"] = "webhook"
    """Its channel."""
    name: Annotated[str, Field(pattern=TARGET_PATTERN)] = "webhook"
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    url: SecretStr
    """Where to post: https, unless `HITL_NOTIFY_PRIVATE` is `allow`. It is never logged."""
    secrets: Annotated[list[SecretStr], Field(max_length=_MOST_SECRETS)] = []
    """The keys that sign, `whsec_…`, at most 4. Receivers accept any one of them."""

    @field_validator("url")
    @classmethod
    def _checked_url(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        try:
            parts = urlsplit(text)
            known = text.startswith(_URL) and parts.hostname and parts.port != 0 and text.isascii()
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


_TARGETS: Final = TypeAdapter(Annotated[list[WebhookTarget], Field(max_length=MOST_TARGETS)])


def read_targets(text: str) -> list[WebhookTarget]:
    """Return the targets that `HITL_NOTIFY` names.

    Args:
        text: A URL, or a JSON list of targets. Empty: there are none.

    Raises:
        InvalidRequest: says what is wrong, and repeats nothing of it: a URL or a key may be a secret.
    """
    if not (text := text.strip()):
        return []
    try:
        targets = _TARGETS.validate_python([{"url": text}] if text.startswith(_URL) else read_json(text))
    except InvalidValue as error:
        raise InvalidRequest("HITL_NOTIFY is neither a URL nor JSON: give a URL, or a list of targets") from error
    except ValidationError as error:
        raise InvalidRequest(f"HITL_NOTIFY, {sentence(error, 'the list')}") from None
    names = [each.name for each in targets]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise InvalidRequest(f"HITL_NOTIFY names {twice[0]} twice: give each target a name of its own")
    return targets
