"""Requests as they lie in storage."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from hitl.cli.output import say
from hitl.cli.view import RequestView, view_of
from hitl.documents import Respondent
from hitl.errors import DocumentDamaged, EventFailed, InvalidValue, NotAllowed, RequestNotFound
from hitl.events import Event
from hitl.place import Place, choose_mode
from hitl.requests import StoredRequest, read_outcome, read_request
from hitl.settings import Settings
from hitl.settle import Submission, settle
from hitl.values import Value, read_json

_AT_ONCE: Final = 16
_POLL_SECONDS: Final = 2.0
_LOCAL: Final = ("file:", "memory:")


class Stored:
    """The requests under one root.

    Args:
        settings: The root, and whether an operator serves it.
        warn: Told of each request that cannot be read.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], None] = say) -> None:
        self.store = settings.open_store()
        self.markers = _operator_serves(settings, self.store.url)
        self._warn = warn

    async def list(self, *, settled: bool) -> list[RequestView]:
        """Return the pending requests, oldest first; the settled ones too if wanted."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def look(request_id: str) -> RequestView | None:
            async with limit:
                return await self._look(request_id, settled=settled)

        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(look(each)) for each in await self.store.list_request_ids()]
        found = [view for each in looks if (view := each.result()) is not None]
        return sorted(found, key=lambda view: (view.phase != "Pending", view.created_at))

    async def show(self, request_id: str) -> RequestView:
        """Return one request."""
        request = await self._read(request_id)
        return view_of(request.document, await read_outcome(self.store, request_id))

    async def answer(self, request_id: str, value: str, *, text: bool, comment: str) -> RequestView:
        """Answer a request as the user who runs the command, for whom nobody vouches."""
        given: Value = value if text else _parsed(value)
        request = await self._answerable(request_id)
        return await self._settle(request, Submission("answered", me(), given, text=text, comment=comment))

    async def reject(self, request_id: str, *, comment: str) -> RequestView:
        """Refuse to answer a request."""
        request = await self._answerable(request_id)
        return await self._settle(request, Submission("rejected", me(), comment=comment))

    async def cancel(self, request_id: str, *, comment: str) -> RequestView:
        """Withdraw a request."""
        request = await self._read(request_id)
        return await self._settle(request, Submission("cancelled", me(), comment=comment))

    async def wait(self, request_id: str) -> RequestView:
        """Return a request once it is settled, which its deadline does at the latest."""
        request = await self._read(request_id)
        place = Place(self.store, "", "operator" if self.markers else "local")
        # How it ended, the outcome says.
        with contextlib.suppress(EventFailed):
            await Event(place, request, "", request.document.data_type, _POLL_SECONDS).wait.aio()
        return view_of(request.document, await read_outcome(self.store, request_id))

    async def _look(self, request_id: str, *, settled: bool) -> RequestView | None:
        try:
            outcome = await read_outcome(self.store, request_id)
            if outcome is not None and not settled:
                return None
            return view_of((await read_request(self.store, request_id)).document, outcome)
        except RequestNotFound:
            # Deleted since it was listed, or asked but not written yet.
            return None
        except DocumentDamaged as error:
            self._warn(f"left out: {error}")
            return None

    async def _read(self, request_id: str) -> StoredRequest:
        try:
            return await read_request(self.store, request_id)
        except RequestNotFound as error:
            raise RequestNotFound(
                f"there is no request {request_id!r} under {self.store.url}: `hitl list` shows those that wait; "
                "--root names another root"
            ) from error

    async def _answerable(self, request_id: str) -> StoredRequest:
        request = await self._read(request_id)
        if request.document.respondents:
            raise NotAllowed(
                f"{request_id} names who may answer it, and nobody vouches for a shell: answer it in the web form "
                "where you sign in, or with kubectl"
            )
        return request

    async def _settle(self, request: StoredRequest, submission: Submission) -> RequestView:
        now = datetime.now(UTC)
        outcome = await settle(self.store, request, submission, now=now, markers=self.markers)
        return view_of(request.document, outcome)


def me() -> Respondent:
    """Return the user who runs the command."""
    # A container's user may have no name.
    with contextlib.suppress(OSError, KeyError):
        return Respondent(name=getpass.getuser()[:256], via="cli")
    return Respondent(via="cli")


def _parsed(value: str) -> Value:
    try:
        return read_json(value)
    except InvalidValue as error:
        raise InvalidValue(f"VALUE: {error} Leave out --json-value to give it as text.") from error


def _operator_serves(settings: Settings, url: str) -> bool:
    # A marker where no operator looks is merely collected later; a missing one delays the mirror by an audit.
    remote = settings.serve is None and not url.startswith(_LOCAL)
    return remote or choose_mode(settings, None) == "operator"
