"""A target that is people's mailboxes."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from hitl.core.noticekeys import TARGET_PATTERN
from hitl.notify.mail.addresses import address_of
from hitl.notify.targets import Target

Security: TypeAlias = Literal["starttls", "tls", "none"]

_MOST_ADDRESSES: Final = 32
_PORTS: Final[dict[Security, int]] = {"starttls": 587, "tls": 465, "none": 25}
_Text: TypeAlias = Annotated[str, StringConstraints(max_length=256)]


class MailTarget(Target):
    """People who get e-mail."""

    type: Literal["mail"] = "mail"
    """Its channel."""
    name: Annotated[str, Field(pattern=TARGET_PATTERN)] = "mail"
    """Its name in keys, logs and commands: at most 40 of a-z, 0-9 and `-`."""
    to: Annotated[list[_Text], Field(max_length=_MOST_ADDRESSES)] = []
    """Who gets each notice: at most 32 addresses."""
    respondents: bool = False
    """Whether a question's notices go to those who may answer it, too, if it names them by their addresses."""
    sender: _Text
    """The address that it comes from, to which a server returns what it cannot deliver."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    """The mail server that takes it: its name, or its address."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Its port. None: 587, with `tls` 465, with `none` 25."""
    security: Security = "starttls"
    """`starttls`: TLS once the connection is there; `tls`: from its beginning on; `none`: only if
    `HITL_NOTIFY_PRIVATE` is `allow`. Certificates are verified."""
    user: _Text = ""
    """The user who signs in to the server; empty: nobody does."""
    password: SecretStr = SecretStr("")
    """That user's password. It is never logged."""
    link_key: SecretStr | None = None
    """At least 32 characters, of which personal links are made. None: mails hold the form's plain address."""

    @property
    def at_port(self) -> int:
        """The port to connect to."""
        return _PORTS[self.security] if self.port is None else self.port

    @property
    def domain(self) -> str:
        """The sender's domain."""
        return self.sender.rpartition("@")[2]

    @field_validator("to")
    @classmethod
    def _addresses(cls, to: list[str]) -> list[str]:
        return [_checked(each) for each in to]

    @field_validator("sender")
    @classmethod
    def _address(cls, sender: str) -> str:
        return _checked(sender)

    @field_validator("link_key")
    @classmethod
    def _long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 32:
            raise ValueError("it has at least 32 characters: `openssl rand -base64 32` makes one")
        return key

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.to and not self.respondents:
            raise ValueError("nobody gets it: give to, a list of addresses, or respondents: true")
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("give both user and password, or neither")
        if self.user and self.security == "none":
            raise ValueError("a password is sent over TLS only: security is starttls or tls, or there is no user")
        return self


def _checked(text: str) -> str:
    if (address := address_of(text)) is None:
        raise ValueError("it holds what is no address such as ann@example.org")
    return address
