"""Asking: a question is stored, gets a link, and is shown where it was asked."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from hitl.author.context import Context, find_context
from hitl.author.endings import abandon, at_exit, settled
from hitl.author.report import report_html
from hitl.author.signals import signals_raise
from hitl.author.unseen import say_if_unseen
from hitl.core import keys
from hitl.core.approval import needs_verified
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, Respondent, format_time
from hitl.core.question import Question
from hitl.core.urls import form_url, submit_url
from hitl.engines.base import Action, FormLink
from hitl.errors import DocumentDamaged, EventFailed, InvalidRequest, StorageUnavailable, printable
from hitl.records.evidence import Piece, store_evidence
from hitl.records.hints import send_hint
from hitl.records.links import add_link
from hitl.records.outcomes import settle
from hitl.records.records import Records
from hitl.records.requests import (
    StoredRequest,
    asked_as,
    create,
    read_outcome_of,
    read_request,
    require_own,
)
from hitl.records.submissions import Settled, Submission
from hitl.records.waiting import wait_for_outcome
from hitl.serving.programs import this_program

_log = logging.getLogger("hitl")


@dataclass(frozen=True)
class AskedQuestion:
    """A question that lies in storage, and a link to its form.

    Args:
        context: Where it was asked.
        request: The question, as stored.
        token: The token of its link, which is stored nowhere.
        kept: Whether it outlives its program, which finds it again. Else it is withdrawn when nobody waits for it.
        process: The process that asked.
    """

    context: Context
    request: StoredRequest
    token: str = field(repr=False)
    kept: bool = True
    process: int = field(default_factory=os.getpid)

    @property
    def request_id(self) -> str:
        """The id under which storage and the command know the question."""
        return self.request.request_id

    @property
    def document(self) -> RequestDocument:
        """The question's document."""
        return self.request.document

    @property
    def form_url(self) -> str:
        """The link to the form. Everyone who has it may answer."""
        return form_url(self.context.endpoint, self.request_id, token=self.token)

    @property
    def api_url(self) -> str:
        """The URL to which a program posts its answer."""
        return submit_url(self.context.endpoint)

    @property
    def response_path(self) -> str:
        """What a program sends back as it finds it, which lets it answer."""
        return f"{self.document.response_path}#{self.token}"

    async def outcome(self, longest_pause: float) -> OutcomeDocument:
        """Wait for the outcome, inside a Flyte action as one traced step.

        Args:
            longest_pause: The longest pause between two looks at the storage, in seconds, over 0.

        Raises:
            RequestNotFound, DocumentDamaged, StorageUnsuitable: as `wait_for_outcome` does.
        """
        # A forked child may wait as well. Its end is not that of the program that asked.
        if self.context.action is None and self.process == os.getpid():
            at_exit(self.request_id, self.abandon)
        self.context.telling.begin(self.context.records, self.request)
        with signals_raise():
            outcome = await self._outcome(longest_pause)
        self.context.telling.end(self.context.records, self.request, outcome)
        settled(self.request_id)
        return outcome

    async def _outcome(self, longest_pause: float) -> OutcomeDocument:
        async def wait() -> OutcomeDocument:
            records = self.context.records
            unseen = asyncio.ensure_future(say_if_unseen(records, self.request)) if records.announce else None
            try:
                return await wait_for_outcome(records, self.request, longest_pause=longest_pause)
            finally:
                if unseen is not None:
                    unseen.cancel()

        async def wait_for_text() -> str:
            return (await wait()).to_bytes().decode()

        if self.context.action is None:
            return await wait()
        document = self.document
        link = FormLink(
            document.event_name, self.context.endpoint, self.request_id, document.request_path, self.token
        )
        text = await self.context.action.once(link, wait_for_text)
        # What Flyte kept of an earlier attempt is believed no more than what lies in storage.
        key = keys.response_key(self.request_id)
        return require_own(self.request, OutcomeDocument.from_bytes(text.encode(), key))

    def failure(self, error: EventFailed) -> EventFailed:
        """Return what to raise for an outcome without an answer: in Flyte, what no retry of the task follows."""
        return error if self.context.action is None else self.context.action.final(error)

    async def withdraw(self, comment: str) -> None:
        """Withdraw the question, so that nobody needs to answer it any more.

        Args:
            comment: Why, for the record; at most 4,096 characters.

        Raises:
            AlreadySettled: when it has another outcome.
            RequestNotFound: when it was deleted.
            ClockApart: when this machine's clock is not the storage's.
        """
        outcome = (await _withdraw(self.context.records, self.request, comment)).outcome_or_raise()
        self.context.telling.end(self.context.records, self.request, outcome)
        settled(self.request_id)

    async def abandon(self) -> None:
        """Withdraw the question because the program that asked it ends, unless it is kept."""
        if not self.kept:
            await abandon(self.request_id, self.withdraw)
            return
        settled(self.request_id)
        if self.context.action is None and self.context.mode == "local":
            _log.warning(
                "%s: the question stays open: run this again, and the same key finds it. Until then, `hitl serve` "
                "serves its form",
                self.document.event_name,
            )


async def ask_question(
    question: Question, *, key: str | None = None, pieces: Sequence[Piece] = ()
) -> AskedQuestion:
    """Store a question where this program asks, or find it there, and make a link to its form.

    Args:
        question: What is asked.
        key: Names the question within its action, instead of its content and its order. Outside Flyte, names it
            permanently.
        pieces: The bytes of its evidence.

    Raises:
        InvalidRequest: the key is blank, or people must be known by name where nobody signs in.
        RequestMismatch: another question is stored under this key.
        ServeError: the web app cannot be brought up.
        ClockApart: this machine's clock, by which the deadline would be counted, is not the storage's.
        StorageError: the question cannot be stored.
    """
    if key is not None and (not isinstance(key, str) or not key.strip()):
        raise InvalidRequest(f"key is {key!r}: give a text that names the question, or leave it out")
    context = await find_context()
    _require_names(question, context)
    action, counted = context.action, (question.event_name, question.untyped_digest())
    if action is None or key is not None:
        return await _ask_there(question, key, 0, context, pieces)
    number = action.take_number(*counted)
    try:
        return await _ask_there(question, key, number, context, pieces)
    except BaseException:
        # Asked again, by this process or by the next, it is the same question.
        action.give_back(*counted, number)
        raise


def _require_names(question: Question, context: Context) -> None:
    # The operator's web app may have people sign in. Those that a program starts know links alone.
    approval = question.approval
    if approval is not None and needs_verified(approval) and context.mode != "operator":
        raise InvalidRequest(
            "approval: people must be known by name, and the web app that this program starts verifies no names: "
            "ask through an operator's web app with sign-in (HITL_STORAGE_ROOT and HITL_ENDPOINT), or give "
            'Approval(…, allow_links=True), in JSON "allowLinks": true, so that each link has one vote'
        )
    if question.respondents and context.mode != "operator":
        _log.warning(
            "%s: the question names who may answer it, and nobody can sign in to the form that this program "
            "serves, so nobody can answer it there: leave out respondents, or ask through a web app with sign-in "
            "(HITL_STORAGE_ROOT and HITL_ENDPOINT)",
            question.event_name,
        )


async def ask_again(
    asked: AskedQuestion, question: Question, *, key: str | None = None, pieces: Sequence[Piece] = ()
) -> AskedQuestion:
    """Store a question that follows from another one, or find it there: all who come to it get the same.

    Args:
        asked: The question before, which has its outcome.
        question: What is asked.
        key: Names the question, as in `ask_question`.
        pieces: The bytes of its evidence.

    Raises:
        RequestMismatch, ClockApart, StorageError: as `ask_question` does.
    """
    return await _ask_there(question, key, 0, asked.context, pieces, after=asked.request_id)


async def _ask_there(
    question: Question,
    key: str | None,
    number: int,
    context: Context,
    pieces: Sequence[Piece],
    *,
    after: str = "",
) -> AskedQuestion:
    records, kept = context.records, key is not None or context.action is not None
    request_id = await asked_as(records.store, await _request_id(question, key, number, context, after))
    try:
        await store_evidence(records.store, request_id, pieces)
        request = await create(
            records,
            question,
            request_id=request_id,
            origin=_origin(context, kept),
            endpoint=context.endpoint,
            new=not kept and not after,
        )
        token = await add_link(records.store, request_id, now=records.now(), label="asked")
        if records.announce:
            await records.store.mark(keys.new_marker(request_id))
            await send_hint(context.hint_url, request_id)
        if key is not None and not request.created:
            await _tell_of_old_outcome(context, request, key)
        asked = AskedQuestion(context, request, token, kept)
        if context.action is not None:
            await _show(context.action, asked)
    except BaseException as error:
        if not kept and not isinstance(error, StorageUnavailable):
            await abandon(request_id, partial(_withdraw_stored, records, request_id))
        raise
    return asked


def _origin(context: Context, kept: bool) -> Origin:
    # Nobody else can wait for it: when this process has ended, the answer is for nobody.
    if kept or context.mode != "local":
        return context.origin
    return context.origin.model_copy(update={"program": this_program()})


async def _withdraw_stored(records: Records, request_id: str, comment: str) -> None:
    await _withdraw(records, await read_request(records.store, request_id), comment)


async def _withdraw(records: Records, request: StoredRequest, comment: str) -> Settled:
    return await settle(records, request, Submission("cancelled", Respondent(via="program"), comment=comment))


async def _tell_of_old_outcome(context: Context, request: StoredRequest, key: str) -> None:
    # What is damaged is told by the wait.
    with suppress(DocumentDamaged):
        if (outcome := await read_outcome_of(context.records.store, request)) is not None:
            # A Flyte task that was started again expects it.
            level = logging.WARNING if context.action is None else logging.INFO
            _log.log(
                level,
                "%s: the key %r was used before, so this is the question asked at %s: %s. Use another key to ask "
                "again",
                request.document.event_name,
                key,
                format_time(request.document.created_at),
                outcome.summary(),
            )


async def say_link(asked: AskedQuestion) -> None:
    """Print the prompt and the link to standard error, at once.

    Python keeps back what a pod prints to standard output, until the link is no longer needed.
    """
    refused = "".join(f"The answer was refused: {each}\n" for each in asked.document.refused)
    text = f"{refused}{asked.document.prompt}\nAnswer at {asked.form_url}"
    try:
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201 - meant for the person who runs it
    except BaseException:
        # A signal, or a standard error that nobody reads: the caller never gets the event.
        await asked.abandon()
        raise


async def _show(action: Action, asked: AskedQuestion) -> None:
    document = asked.document
    html = report_html(document, asked.form_url, asked.api_url, asked.response_path)
    await action.show(document.event_name, html)


async def _request_id(question: Question, key: str | None, number: int, context: Context, after: str) -> str:
    name, origin = question.event_name, context.origin
    where = (origin.org, origin.project, origin.domain, origin.run, origin.action)
    if key is not None:
        # The release before this one put the event's name into the id, so that a key named a question for each.
        before = keys.derived_request_id(name, *where, "key", key)
        if await context.records.store.exists(keys.request_key(before)):
            return before
        return keys.derived_request_id(key, *where, "key")
    if after:
        return keys.derived_request_id(name, "after", after, question.untyped_digest())
    if context.action is None:
        return keys.random_request_id(name)
    return keys.derived_request_id(name, *where, question.untyped_digest(), str(number))
