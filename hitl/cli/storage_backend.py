"""Requests as they lie in storage."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Final

from hitl.author.context import choose_mode
from hitl.cli.ids import meant, too_short
from hitl.cli.output import say
from hitl.cli.view import RequestView, view_of
from hitl.core import keys
from hitl.core.approval import needs_verified
from hitl.core.delegation import can_be_handed_over
from hitl.core.documents import Respondent
from hitl.core.files import FILE_PART_BYTES, MAX_FILE_BYTES, asks_for_file
from hitl.core.strictjson import read_json
from hitl.core.tally import standing
from hitl.core.values import Value
from hitl.errors import (
    AlreadySettled,
    DocumentDamaged,
    HITLError,
    InvalidRequest,
    InvalidValue,
    NotAllowed,
    RequestNotFound,
    StorageError,
    StorageUnavailable,
    StorageUnsuitable,
)
from hitl.records.attempts import note_refused
from hitl.records.audit import Alone
from hitl.records.delegating import delegate
from hitl.records.evidence import EvidenceChanged, check_evidence
from hitl.records.files import upload
from hitl.records.index import is_complete, open_rows
from hitl.records.outcomes import settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome, read_outcome_of, read_request, require_own
from hitl.records.submissions import Submission
from hitl.records.votes import read_ballots
from hitl.records.voting import withdraw
from hitl.records.waiting import wait_for_outcome
from hitl.serving.programs import this_user
from hitl.settings import Settings
from hitl.storage import all_of, open_store

_POLL_SECONDS: Final = 2.0
_LOCAL: Final = ("file:", "memory:")


class Stored:
    """The requests under one root.

    Args:
        settings: The root, and whether an operator serves it.
        warn: Told of each request that cannot be read.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], None] = say) -> None:
        self.store = open_store(settings)
        self.records = Records(
            self.store,
            announce=_operator_serves(settings, self.store.url),
            audited=Alone(self.store, "cli").note,
        )
        self._warn = warn

    async def list(self, *, settled: bool) -> list[RequestView]:
        """Return the pending requests, oldest first; the settled ones too if wanted.

        What cannot be read costs its own row only. It is told to `warn`.
        """
        found_ids = await self._candidates(settled=settled)
        if not found_ids:
            await self._require_storage()
        looks = await all_of(partial(self._look, each, settled=settled) for each in found_ids)
        damaged = [look for look in looks if isinstance(look, StorageError)]
        if damaged and len(damaged) == len(looks) and isinstance(damaged[0], StorageUnsuitable):
            # Nothing may be read here: that is a fault of the rights, and not of one request.
            raise damaged[0]
        for error in damaged:
            self._warn(f"left out: {error}")
        found = [look for look in looks if isinstance(look, RequestView)]
        return sorted(found, key=lambda view: (view.phase != "Pending", view.created_at))

    async def show(self, request_id: str) -> RequestView:
        """Return one request."""
        request = await self.read(request_id)
        outcome = await read_outcome_of(self.store, request)
        if outcome is None and (request.document.approval is not None or can_be_handed_over(request.document)):
            return await self._pending(request)
        return view_of(request.document, outcome)

    async def answerable(self, request_id: str) -> RequestView:
        """Return a request that waits for an answer, which may be given from here.

        Raises:
            AlreadySettled: when it has an outcome.
            NotAllowed: when it names who may answer.
        """
        return view_of((await self._waiting(request_id)).document, None)

    async def answer(self, request_id: str, value: str, *, text: bool, comment: str) -> RequestView:
        """Answer a request as the user who runs the command, unverified."""
        given: Value = value if text else _parsed(value)
        submission = Submission("answered", me(), given, text=text, comment=comment)
        return await self._settle(await self._answerable(request_id, submission), submission)

    async def answer_file(self, request_id: str, path: Path, *, comment: str) -> RequestView:
        """Answer a question by a file, which is written to storage first.

        Raises:
            InvalidRequest: when the question asks for no file, or the file cannot be read.
            InvalidValue: when the file is empty or too large.
        """
        empty = Submission("answered", me(), text=False, comment=comment, uploaded=True)
        request = await self._waiting(request_id, empty)
        if not asks_for_file(request.document):
            raise InvalidRequest(f"{request.request_id} is answered by a value, and not by a file: give VALUE")
        try:
            with path.open("rb") as file:
                found = await upload(
                    self.store,
                    request.request_id,
                    empty.submission_id,
                    path.name,
                    _pieces(file),
                    MAX_FILE_BYTES,
                )
        except OSError as error:
            raise InvalidRequest(f"--file: {path} cannot be read: {error.strerror}") from error
        return await self._settle(request, replace(empty, value=found.model_dump(mode="json")))

    async def reject(self, request_id: str, *, comment: str) -> RequestView:
        """Refuse to answer a request."""
        submission = Submission("rejected", me(), comment=comment)
        return await self._settle(await self._answerable(request_id, submission), submission)

    async def withdraw(self, request_id: str) -> RequestView:
        """Withdraw the vote of the user who runs the command.

        Raises:
            NotAllowed: when a shell has no vote on it.
            AlreadySettled, Expired, AlreadyVoted, InvalidValue: why nothing was withdrawn.
        """
        request = await self._answerable(request_id, None)
        now = self.records.now()
        await self.store.require_clock(now)
        settled = await withdraw(self.records, request, me(), now=now)
        if settled.error is not None:
            raise settled.error
        standing = "" if settled.standing is None else settled.standing.sentence()
        return view_of(request.document, None).model_copy(update={"standing": standing})

    async def delegate(self, request_id: str, to: str) -> RequestView:
        """Refuse to hand a request over: a shell verifies no name. The audit notes that somebody tried."""
        request = await self.read(request_id)
        settled = await delegate(self.records, request, me(), to, now=self.records.now())
        if settled.kind != "not_allowed" and settled.error is not None:
            raise settled.error
        raise NotAllowed(
            f"{request_id} cannot be handed over from here, as a shell verifies no name: "
            "do it in the web form where you sign in, or with kubectl hitl delegate"
        )

    async def cancel(self, request_id: str, *, comment: str) -> RequestView:
        """Withdraw a request."""
        request = await self.read(request_id)
        return await self._settle(request, Submission("cancelled", me(), comment=comment))

    async def wait(self, request_id: str) -> RequestView:
        """Return a request once it is settled, which its deadline does at the latest."""
        request = await self.read(request_id)
        outcome = await wait_for_outcome(self.records, request, longest_pause=_POLL_SECONDS)
        return view_of(request.document, outcome)

    async def _candidates(self, *, settled: bool) -> builtins.list[str]:
        """Return the ids worth a look: by the index those that wait, once a full scan has completed it."""
        if settled or not await is_complete(self.store):
            return await self.store.list_request_ids()
        return sorted({row.request_id async for row, _ in open_rows(self.store)})

    async def _require_storage(self) -> None:
        # A web page in the place of S3, such as the console of a server, passes for an empty list.
        if await self.store.exists(keys.probe_key()):
            raise StorageUnavailable(
                f"{self.store.url}: its server says of any object that it is there, so it is no object storage: "
                "check the endpoint and its port"
            )

    async def _look(self, request_id: str, *, settled: bool) -> RequestView | StorageError | None:
        try:
            outcome = await read_outcome(self.store, request_id)
            if outcome is not None and not settled:
                return None
            request = await read_request(self.store, request_id)
            if outcome is not None:
                require_own(request, outcome)
            if outcome is None and request.document.approval is not None:
                return await self._pending(request)
            return view_of(request.document, outcome)
        except RequestNotFound:
            # Deleted since it was listed, or asked but not written yet.
            return None
        except (DocumentDamaged, StorageUnsuitable) as error:
            return error

    async def read(self, request_id: str) -> StoredRequest:
        """Return the question of an id, or the one whose id begins like that, or say where it was looked for.

        Raises:
            RequestNotFound: when there is none.
            InvalidRequest: when several are meant.
        """
        try:
            return await read_request(self.store, request_id)
        except DocumentDamaged:
            await self._require_storage()
            raise
        except RequestNotFound as error:
            if (whole := await self._meant(request_id)) is not None:
                return await read_request(self.store, whole)
            await self._reach(request_id)
            raise RequestNotFound(
                f"there is no question {request_id!r} under {self.store.url}{too_short(request_id)}: `hitl list` "
                "shows those that wait; --root names another root"
            ) from error

    async def whole(self, typed: str) -> str:
        """Return the id that begins like that, or what was typed when there is none.

        Raises:
            InvalidRequest: when several begin like that.
        """
        if keys.is_request_id(typed) and await self.store.exists(keys.request_key(typed)):
            return typed
        return await self._meant(typed) or typed

    async def _meant(self, typed: str) -> str | None:
        # Who may not list the requests gives whole ids.
        with contextlib.suppress(StorageUnsuitable):
            return meant(typed, await self.store.list_request_ids())
        return None

    async def _reach(self, request_id: str) -> None:
        # A missing bucket looks like one without the request, until something is listed. A user who may not
        # list may still read and answer.
        if keys.is_request_id(request_id):
            with contextlib.suppress(StorageUnsuitable):
                await self.store.list_page(keys.links_prefix(request_id))

    async def _answerable(self, request_id: str, submission: Submission | None) -> StoredRequest:
        """Return a question that may be answered from here; without a submission, nobody tried to."""
        request = await self.read(request_id)
        if (why := _needs_name(request)) is not None:
            error = NotAllowed(f"{request_id} {why}")
            await self._refused(request, submission, error)
            raise error
        return request

    async def _pending(self, request: StoredRequest) -> RequestView:
        """Return a question that waits, with its votes and with who handed it over."""
        ballots = await read_ballots(self.store, request)
        found = standing(request.document, [each.vote for each in ballots.standing()])
        return view_of(request.document, None, found, ballots.handed())

    async def _waiting(self, request_id: str, submission: Submission | None = None) -> StoredRequest:
        request = await self._answerable(request_id, submission)
        outcome = await read_outcome_of(self.store, request)
        if outcome is not None:
            error = AlreadySettled(outcome)
            await self._refused(request, submission, error)
            raise error
        return request

    async def _refused(self, request: StoredRequest, submission: Submission | None, error: HITLError) -> None:
        if submission is not None:
            await note_refused(self.records, request.request_id, error, request=request, submission=submission)

    async def _settle(self, request: StoredRequest, submission: Submission) -> RequestView:
        if submission.outcome != "cancelled":
            try:
                await check_evidence(self.store, request)
            except EvidenceChanged as error:
                await self._refused(request, submission, error)
                raise
        settled = await settle(self.records, request, submission)
        if settled.standing is not None:
            return view_of(request.document, None, settled.standing)
        return view_of(request.document, settled.outcome_or_raise())


def _needs_name(request: StoredRequest) -> str | None:
    """Return why a question takes no answer whose sender is not verified; None: it does."""
    approval = request.document.approval
    shell = "a shell verifies no name"
    if request.document.respondents:
        return (
            f"names who may answer it, and {shell}: answer it in the web form where you sign in, or with kubectl"
        )
    if approval is not None and needs_verified(approval):
        return f"is for several people to agree on, and {shell}: vote in the web form where you sign in"
    return None


def me() -> Respondent:
    """Return the user who runs the command."""
    return Respondent(name=this_user(), via="cli")


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(FILE_PART_BYTES):
        yield piece


def _parsed(value: str) -> Value:
    try:
        return read_json(value)
    except InvalidValue as error:
        raise InvalidValue(f"VALUE: {error} Leave out --json-value to give it as text.") from error


def _operator_serves(settings: Settings, url: str) -> bool:
    # A marker without an operator is only deleted later. A missing marker delays the status by a full scan.
    remote = settings.serve is None and not url.startswith(_LOCAL)
    return remote or choose_mode(settings, None) == "operator"
