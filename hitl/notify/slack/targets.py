"""A target that is a channel of a Slack workspace."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from hitl.core.noticekeys import TARGET_PATTERN
from hitl.notify.targets import Target


class SlackTarget(Target):
    """A channel of a Slack workspace."""

    type: Literal["slack"] = "slack"
    """Its channel."""
    name: Annotated[str, Field(pattern=TARGET_PATTERN)] = "slack"
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    channel: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,32}$")]
    """The channel's id, such as `C0123456789`, to which the app is invited."""
    bot_token: SecretStr
    """The app's bot token, `xoxb-…`. It is never logged."""
    app_token: SecretStr | None = None
    """The token for Socket Mode, `xapp-…`, by which answers arrive. None: people get links to the form only."""
    api_url: Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.:-]{1,253}/api/)?$")] = ""
    """Where Slack's Web API is, such as `https://slack-gov.com/api/`. Empty: `https://slack.com/api/`.

    `http` needs `HITL_NOTIFY_PRIVATE=allow`."""
    workspace: Annotated[str, Field(pattern=r"^(T[A-Z0-9]{1,31})?$")] = ""
    """The id of the workspace whose members may answer, such as `T0123456789`. Required with `app_token`."""

    @field_validator("bot_token", "app_token")
    @classmethod
    def _checked_token(cls, token: SecretStr | None) -> SecretStr | None:
        text = "x" if token is None else token.get_secret_value()
        # It is sent in a header.
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("it is no token of Slack: give it as Slack shows it")
        return token

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.app_token is not None and not self.workspace:
            raise ValueError("app_token needs workspace, the id of the workspace whose members may answer")
        return self
