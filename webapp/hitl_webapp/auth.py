"""Who visits, and what they may do: one authenticator for each `HITL_AUTH`."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Protocol

from starlette.datastructures import Headers

from hitl.core.approval import refusal
from hitl.core.audit import Right
from hitl.core.documents import RequestDocument, Respondent
from hitl.core.escalation import may_answer
from hitl.core.text import is_name
from hitl.errors import NotAllowed
from hitl_webapp.settings import AuthMode, WebSettings

SECRET_HEADER: Final = "X-HITL-Proxy-Secret"  # noqa: S105 - a header's name
_MAX_NAME: Final = 256
# The same sentence whatever is wrong, so that nobody learns from it which questions exist.
NO_LINK: Final = (
    "This link does not open a question. Open the link in your message again, or copy all of it, up to its last "
    "character. If that does not help, ask the sender for a new link."
)
NAMED_ONLY: Final[dict[AuthMode, str]] = {
    "link": (
        "This question names who may answer it, and this site does not know who you are. Answer it with "
        "kubectl, or tell the sender."
    ),
    "proxy": "This question names who may answer it, so its link is not enough. Sign in to answer it.",
    "kubernetes": (
        "This question names who may answer it. Send your Kubernetes token, or answer it with kubectl hitl."
    ),
}
SIGN_IN: Final[dict[AuthMode, str]] = {
    "proxy": "You are not signed in. Sign in, or open the whole link that you got.",
    "kubernetes": (
        "You are not signed in: send your Kubernetes token, if it is still valid, as in curl -H "
        '"Authorization: Bearer $(kubectl create token SERVICE-ACCOUNT --audience=hitl.flyte.org)", or answer '
        "with kubectl hitl."
    ),
}


@dataclass(frozen=True)
class Principal:
    """Who calls: an authenticated name, or the hash of the link that was used, and whose link it is, if anybody's.

    What they may do, the question says. Where others have a say too, what keeps those from it is raised as well.
    """

    name: str = ""
    groups: tuple[str, ...] = ()
    verified: bool = False
    link: str = ""
    site: AuthMode = "link"
    person: str = ""
    # The person as which this visitor acts on the question at hand; None: for themselves.
    acts: Respondent | None = None
    # Whether this visitor's rights depend on the namespace.
    limited: ClassVar[bool] = False
    # Whether this visitor owns all questions of the root, also those that name others.
    owns: ClassVar[bool] = False

    @property
    def known(self) -> bool:
        """Whether this visitor has a name, so that none is typed."""
        return bool(self.name or self.person)

    @property
    def right(self) -> Right:
        """By which right this visitor answers, for the audit."""
        return "link" if self.link else "proxy"

    async def require_may_see_all(self) -> None:
        """Refuse a caller who may not see every question there could be, such as one that cannot be read.

        Raises:
            NotAllowed: saying what is missing.
        """

    async def require_may_see(self, request: RequestDocument, now: datetime) -> None:
        """Refuse a caller who may not see the question.

        Args:
            request: The question.
            now: The present moment, with a time zone: later, others may see it as well.

        Raises:
            NotAllowed: saying what is missing.
        """
        if self.verified and not self._named_in(request, now):
            raise NotAllowed(f"This question is for others to see and answer; you are {self.name}.")

    async def may_list_in(self, namespace: str) -> bool:  # noqa: ARG002 - others look at it
        """Tell whether the inbox of this visitor shows those questions of a namespace that are for them."""
        return True

    async def require_may_answer(self, request: RequestDocument, now: datetime) -> None:
        """Refuse a caller who may not answer the question.

        Args:
            request: The question.
            now: The present moment, with a time zone: later, others may answer as well.

        Raises:
            NotAllowed: saying what is missing.
        """
        # Where people sign in, a link is not enough: it may have been passed on.
        if request.respondents and not (self.verified or (self.person and self.site == "link")):
            raise NotAllowed(NAMED_ONLY[self.site])
        if request.respondents and not self._named_in(request, now):
            raise NotAllowed(f"This question is for others to answer; you are {self.name or self.person}.")
        if request.approval is not None:
            why = refusal(request.approval, request.requester, name=self.name, verified=self.verified)
            if why:
                raise NotAllowed(why)

    async def refusal(self, request: RequestDocument, now: datetime) -> str:
        """Return why this visitor may not answer the question now, as a sentence; empty: they may."""
        try:
            await self.require_may_answer(request, now)
        except NotAllowed as error:
            return str(error)
        return ""

    def _named_in(self, request: RequestDocument, now: datetime) -> bool:
        named = may_answer(request, now)
        if self.acts is not None:
            return named.allow(self.acts.on_behalf_of, self.acts.groups)
        return named.allow(self.name or self.person, list(self.groups))


class NotAMember(NotAllowed):
    """Somebody signed in who is in none of the groups that may use this site."""


class Authenticator(Protocol):
    """Finds out who sends a request, from its headers."""

    async def __call__(self, headers: Headers) -> Principal | None:
        """Return the visitor, or None when nobody trustworthy says who it is."""
        ...


class ProxyIdentity:
    """Believes identity headers that come with the proxy's secret, and drops all others."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._read: tuple[float, tuple[str, ...]] = (0.0, ())

    async def __call__(self, headers: Headers) -> Principal | None:
        """Return the user that the proxy names.

        Raises:
            NotAllowed: the user's name or groups cannot be recorded, or are there twice.
            NotAMember: the user is in no group that may use this site.
        """
        given = _once(headers, SECRET_HEADER)
        known = [hmac.compare_digest(given, secret.encode()) for secret in self._secrets()]
        name = _once(headers, self._settings.proxy_user_header)
        if not any(known) or not name:
            return None
        listed = _text(_once(headers, self._settings.proxy_groups_header)).split(",")
        groups = tuple(each.strip() for each in listed if each.strip())
        user, allowed = recordable(_text(name)), self._settings.proxy_allowed_groups
        if allowed and not set(allowed) & set(groups):
            raise NotAMember(
                f"You are signed in as {user}. This site is only for members of {', '.join(allowed)}."
            )
        return Principal(user, groups, verified=True)

    def _secrets(self) -> Sequence[str]:
        path = self._settings.proxy_secret_file
        if path is None:
            return [self._settings.proxy_secret.get_secret_value()]
        changed = path.stat().st_mtime
        if changed != self._read[0]:
            self._read = (changed, tuple(line.strip() for line in path.read_text().splitlines() if line.strip()))
        return self._read[1]


def _once(headers: Headers, name: str) -> bytes:
    """Return a header's value, or nothing.

    Raises:
        NotAllowed: it is there twice: a client's own would stand beside the proxy's.
    """
    wanted = name.lower().encode("latin-1")
    values = [value for each, value in headers.raw if each == wanted]
    if len(values) > 1:
        raise NotAllowed(f"The header {name} is there twice: the proxy in front must replace what clients send.")
    return values[0].strip(b" \t") if values else b""


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise NotAllowed("Your name or your groups are not in UTF-8: they cannot be recorded.") from error


def recordable(name: str) -> str:
    """Return a user's name, which is recorded whole or not at all: cut off, it could be somebody else's.

    Raises:
        NotAllowed: it is blank, has more than 256 characters, or holds what cannot be printed.
    """
    if not is_name(name):
        raise NotAllowed("Your user name is blank or holds what cannot be printed: it cannot be recorded.")
    if len(name) > _MAX_NAME:
        raise NotAllowed(f"Your user name is longer than {_MAX_NAME} characters: it cannot be recorded.")
    return name


async def nobody(headers: Headers) -> Principal | None:  # noqa: ARG001 - the protocol has it
    """Authenticator nobody: in `link` mode a token says what one may do, not who one is."""
    return None


def bearer(headers: Headers) -> str:
    """Return the bearer token of a request, or an empty text."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
