"""The web app's settings, from `HITL_*`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field, SecretStr, field_validator, model_validator

from hitl.core.files import MAX_FILE_BYTES
from hitl.settings import Endpoint, StorageSettings

AuthMode: TypeAlias = Literal["link", "proxy", "kubernetes"]


class WebSettings(StorageSettings):
    """The web app's address, authentication, and limits of requests."""

    auth: AuthMode = "link"
    """Who may answer: `link` (everyone who has a link), `proxy` (users that a trusted proxy names) or
    `kubernetes` (users with the verb `answer`, by bearer token)."""
    endpoint: Endpoint = ""
    """The base URL as people reach it. POSTs from pages of any other origin are refused. Empty: taken from the
    Host header."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""
    allowed_hosts: list[str] = []
    """Host names under which the web app answers, as JSON. Empty: any."""
    loopback_only: bool = False
    """Answer only when the Host header names this machine's loopback, as local mode does."""
    proxy_secret: SecretStr = SecretStr("")
    """The secret that the trusted proxy sends as `X-HITL-Proxy-Secret`; needed in `proxy` mode."""
    proxy_secret_file: Path | None = None
    """A file that holds the proxy's secret, read again when it changes; one secret a line, so that two are
    valid while it is rotated."""
    proxy_user_header: str = "X-Forwarded-User"
    """The header in which the trusted proxy names the user."""
    proxy_groups_header: str = "X-Forwarded-Groups"
    """The header in which the trusted proxy lists the user's groups, separated by commas."""
    proxy_allowed_groups: list[str] = []
    """Groups, as JSON: in `proxy` mode only their members may use this site. Empty: everyone who signs in."""
    sign_in_url: str = ""
    """Where people sign in, in `proxy` mode, with `{page}` for the page to come back to, such as
    `/oauth2/start?rd={page}`. Empty: the page itself, without the link's token."""
    sign_out_url: str = ""
    """Where people sign out, in `proxy` mode, such as `/oauth2/sign_out?rd=/`. Empty: no page links to it."""
    run_url: str = ""
    """The page of a workflow's run, to which the form links. It may have `{org}`, `{project}`, `{domain}`, `{run}`
    and `{action}`, as in `https://flyte.example/runs/{project}/{domain}/{run}`. Empty: no link."""
    hint_url: str = ""
    """The operator's address, told of each outcome at once, such as `http://hitl-operator.hitl:8080`. The operator
    tells the other web apps. Without one, it may be another web app of the root."""
    markers: bool = False
    """Whether an operator serves the root, so that outcomes are announced to it."""
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    """The largest body that is read. Before the sender is authorized, and for numbers and choices, it is
    less. A larger one gets 413."""
    body_seconds: float = Field(default=10, gt=0)
    """Seconds that a sender has for its body before it gets 408."""
    large_bodies: int = Field(default=8, ge=1)
    """Bodies of more than 64 KiB that are read at the same time. Four times as many wait; others get 503."""
    max_file_bytes: int = Field(default=MAX_FILE_BYTES, ge=1024)
    """The most bytes of a file that answers a question. A larger one gets 413."""
    upload_seconds: float = Field(default=300, gt=0)
    """Seconds that a sender has for a file before it gets 408. As many files as `large_bodies` arrive at once."""
    max_header_bytes: int = Field(default=32 * 1024, ge=1024)
    """The most bytes of a request line and its header fields. More get 431, or 414 when it is the URL."""
    head_seconds: float = Field(default=10, gt=0)
    """Seconds that a client has for the request line and the header fields."""
    idle_seconds: int = Field(default=5, ge=1)
    """Seconds that a connection stays open after a reply, for the next request."""
    reply_seconds: float = Field(default=30, gt=0)
    """Seconds that a client has to read what is waiting for it before its connection is cut."""
    max_connections: int = Field(default=1000, ge=1)
    """The most connections at once. Where the process may open few files, it is less: 256 descriptors are kept for
    other things. Beyond it, the connection that has been idle longest is closed first."""
    inbox_rows: int = Field(default=100_000, ge=100)
    """The most open questions that the inbox keeps in memory, those with the earliest deadlines. 100,000 take
    about 100 MiB."""
    ready_seconds: float = Field(default=2, gt=0)
    """Seconds that the storage has to answer `GET /ready` before it is 503."""

    @field_validator("run_url")
    @classmethod
    def _run_can_be_named(cls, text: str) -> str:
        try:
            address = text.format_map(dict.fromkeys(("org", "project", "domain", "run", "action"), "a"))
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ValueError("use only {org}, {project}, {domain}, {run} and {action} in it") from error
        if address and not address.startswith(("https://", "http://", "/")):
            raise ValueError("give an address that begins with https://, http:// or /")
        return text

    @model_validator(mode="after")
    def _proxy_proves_itself(self) -> Self:
        if self.auth == "proxy" and not self.proxy_secret.get_secret_value() and self.proxy_secret_file is None:
            raise ValueError(
                "auth=proxy needs HITL_PROXY_SECRET or HITL_PROXY_SECRET_FILE: without it anybody could send "
                "the proxy's headers"
            )
        return self
