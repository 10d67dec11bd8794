"""The questions that a web app lists, by its API: page after page, as far as they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from hitl.core.faults import sentence
from hitl.core.values import DataType
from hitl.errors import HITLError, InvalidRequest, NotAllowed, ServeError, one_line
from hitl_webapp.inbox.queries import Query

# For a piece of a page, and for all of it: a server may send one byte after another for ever.
_SECONDS: Final = 30.0
_PAGE_SECONDS: Final = 60.0
_MOST_BYTES: Final = 4 * 1024 * 1024
# Of all pages together: some hundred thousand questions.
_MOST_BYTES_OF_ALL: Final = 256 * 1024 * 1024
_MOST_CHARS: Final = 500
_PROBLEM: Final = "application/problem+json"


class ListedEnd(BaseModel):
    """How a question ended, as the web app lists it."""

    model_config = ConfigDict(extra="allow")

    outcome: str
    by: str = ""
    named: bool = False
    verified: bool = False
    via: str = ""
    value: str = ""

    def respondent(self) -> str:
        """Return who answered, as people should read it: an unverified name says so."""
        return f"{self.by} (unverified)" if self.named and not self.verified else self.by


class ListedApproval(BaseModel):
    """How far the votes on a question are, as the web app lists it."""

    model_config = ConfigDict(extra="allow")

    agree: int
    required: int

    def progress(self) -> str:
        """Return how many agree, of how many, such as ``1/2``."""
        return f"{self.agree}/{self.required}"


class ListedQuestion(BaseModel):
    """One question as the web app lists it. `--json` prints it with whatever else the web app sends."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    state: str
    name: str
    prompt: str
    data_type: DataType
    namespace: str
    asked_at: AwareDatetime
    expires_at: AwareDatetime
    ended: ListedEnd | None
    approval: ListedApproval | None = None


class _Counts(BaseModel):
    all: int = 0
    mine: int = 0
    groups: int = 0


class _Page(BaseModel):
    questions: list[ListedQuestion]
    counts: _Counts
    next: str | None
    complete: bool
    notice: str | None = None


@dataclass
class WebListing:
    """What a web app lists.

    Args:
        server: Its base URL.
        query: What is looked for.
        token: The bearer token; empty: none is sent.

    Attributes:
        total: How many match, on all pages.
        complete: Whether the web app has read all that there is, and just now.
        notice: Why questions may be missing, as it says; empty: none is known to be.
    """

    server: str
    query: Query
    token: str = field(default="", repr=False)
    total: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)
    complete: bool = field(default=True, init=False)
    notice: str = field(default="", init=False)

    async def questions(self, limit: int | None) -> AsyncIterator[ListedQuestion]:
        """Yield the questions; a page is asked for when the one before it was not enough.

        Args:
            limit: How many are wanted; None: all.

        Raises:
            ServeError: the web app does not answer, or what answers is none.
            NotAllowed: it does not know who asks, or that user may see nothing here.
            InvalidRequest: the server is no address, or it does not take the query.
        """
        if not self.server.lower().startswith(("http://", "https://")):
            raise InvalidRequest(
                f"--server is {self.server!r}: write the web app's address, with https:// or http://"
            )
        address = f"{self.server.rstrip('/')}/questions{self.query.url()}"
        headers = {
            "Accept": "application/json",
            # Few bytes can be packed that are more than a machine has memory for.
            "Accept-Encoding": "identity",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        left = limit
        async with httpx.AsyncClient(headers=headers, timeout=_SECONDS) as client:
            while address:
                page = await self._page(client, address)
                self.total, self.complete = getattr(page.counts, self.query.view), page.complete
                self.notice = one_line(page.notice or "")[:_MOST_CHARS]
                for each in page.questions[:left]:
                    yield each
                if left is not None:
                    left -= len(page.questions)
                address = self._next(address, page) if left is None or left > 0 else ""

    async def _page(self, client: httpx.AsyncClient, address: str) -> _Page:
        try:
            async with asyncio.timeout(_PAGE_SECONDS), client.stream("GET", address) as reply:
                body = b""
                async for piece in reply.aiter_raw():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise ServeError(
                            f"{self.server} sends more than a page of questions: is it a HITL web app?"
                        )
        except TimeoutError as error:
            raise ServeError(
                f"{self.server} sent no page within {_PAGE_SECONDS:g} s: check --server, and try again"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise ServeError(f"{self.server} does not answer: {why}: check --server, and try again") from error
        if reply.status_code != httpx.codes.OK:
            raise self._refusal(reply, body)
        self._bytes += len(body)
        if self._bytes > _MOST_BYTES_OF_ALL:
            raise ServeError(
                f"{self.server} lists more questions than fit in memory here: give --limit, or filters"
            )
        try:
            return _Page.model_validate_json(body)
        except ValidationError as error:
            raise ServeError(
                f"{self.server} lists no questions: is it a HITL web app? ({sentence(error)})"
            ) from error

    def _next(self, address: str, page: _Page) -> str:
        """Return the address of the next page, which is on the same server: the token is sent there."""
        if not page.next:
            return ""
        try:
            found = urljoin(address, page.next)
            same = urlsplit(found)[:2] == urlsplit(address)[:2]
        except ValueError:
            # It is no address at all.
            same = False
        if not same:
            raise ServeError(f"{self.server} names another server for its next page: nothing is sent there")
        if not page.questions:
            raise ServeError(f"{self.server} lists no questions, and yet more: is it a HITL web app?")
        return found

    def _refusal(self, reply: httpx.Response, body: bytes) -> HITLError:
        told = _told(reply, body) or f"it answers with {reply.status_code} {reply.reason_phrase}"
        if reply.is_redirect:
            return NotAllowed(
                f"{self.server} asks to sign in in a browser: give a token, by HITL_TOKEN or --token-file"
            )
        if reply.status_code in (401, 403):
            more = "" if self.token else " No token was sent: give one, by HITL_TOKEN or --token-file."
            return NotAllowed(f"{self.server}: {told}{more}")
        if reply.status_code >= 500 or reply.status_code in (408, 429):
            after = reply.headers.get("retry-after", "")
            again = f" Try again in {after} s." if after.isascii() and after.isdigit() else ""
            return ServeError(f"{self.server}: {told}{again}")
        return InvalidRequest(f"{self.server}: {told}")


def token_of(path: Path | None, given: str) -> str:
    """Return the token to send.

    Args:
        path: The file that holds it.
        given: What the environment has, where no file is named.

    Raises:
        InvalidRequest: the file cannot be read, or the token could not be sent.
    """
    try:
        token = (path.read_text(encoding="ascii") if path is not None else given).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--token-file: {path} cannot be read as a token: {type(error).__name__}") from error
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InvalidRequest("the token has characters that no token has: give it alone, on one line")
    return token


def _told(reply: httpx.Response, body: bytes) -> str:
    """Return the sentence of a problem document (RFC 9457); empty: there is none."""
    if reply.headers.get("content-type", "").partition(";")[0].strip() != _PROBLEM:
        return ""
    try:
        problem: dict[str, Any] = _Problem.model_validate_json(body).model_dump()
    except ValidationError:
        return ""
    return one_line(problem["detail"] or problem["title"])[:_MOST_CHARS]


class _Problem(BaseModel):
    title: str = ""
    detail: str = ""
