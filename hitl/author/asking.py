"""Asking: a question is stored, gets a link, and is shown where it was asked."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from hitl.author.context import Context, find_context
from hitl.author.report import report_html
from hitl.author.unseen import say_if_unseen
from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent
from hitl.core.question import Question
from hitl.core.text import printable
from hitl.core.urls import form_url, submit_url
from hitl.engines.base import Action, FormLink
from hitl.errors import EventFailed, InvalidRequest
from hitl.records.hints import send_hint
from hitl.records.links import add_link
from hitl.records.outcomes import Submission, settle
from hitl.records.requests import StoredRequest, create, require_own
from hitl.records.waiting import wait_for_outcome


@dataclass(frozen=True)
class AskedQuestion:
    """A question that lies in storage, and a link to its form.

    Args:
        context: Where it was asked.
        request: The question, as stored.
        token: The token of its link, which is stored nowhere.
    """

    context: Context
    request: StoredRequest
    token: str

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
        endpoint, path = self.context.endpoint, self.document.request_path
        return form_url(endpoint, self.request_id, token=self.token, request_path=path)

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
        submission = Submission("cancelled", Respondent(via="program"), comment=comment)
        (await settle(self.context.records, self.request, submission)).outcome_or_raise()


async def ask_question(question: Question, *, key: str | None = None) -> AskedQuestion:
    """Store a question where this program asks, or find it there, and make a link to its form.

    Args:
        question: What is asked.
        key: Names the question within its action, instead of its content and its order. Outside Flyte, names it
            permanently.

    Raises:
        InvalidRequest: the key is blank.
        RequestMismatch: another question is stored under this key.
        ServeError: the web app cannot be brought up.
        ClockApart: this machine's clock, by which the deadline would be counted, is not the storage's.
        StorageError: the question cannot be stored.
    """
    if key is not None and (not isinstance(key, str) or not key.strip()):
        raise InvalidRequest(f"key is {key!r}: give a text that names the question, or leave it out")
    context = await find_context()
    records = context.records
    request_id, new = _request_id(question, key, context)
    request = await create(
        records, question, request_id=request_id, origin=context.origin, endpoint=context.endpoint, new=new
    )
    token = await add_link(records.store, request_id, now=records.now(), label="asked")
    if records.announce:
        await records.store.mark(keys.new_marker(request_id))
        await send_hint(context.hint_url, request_id)
    asked = AskedQuestion(context, request, token)
    if context.action is not None:
        await _show(context.action, asked)
    return asked


def say_link(asked: AskedQuestion) -> None:
    """Print the prompt and the link to standard error, at once.

    Python keeps back what a pod prints to standard output, until the link is no longer needed.
    """
    text = f"{asked.document.prompt}\nAnswer at {asked.form_url}"
    print(printable(text), file=sys.stderr, flush=True)  # noqa: T201 - meant for the person who runs it


async def _show(action: Action, asked: AskedQuestion) -> None:
    document = asked.document
    html = report_html(document, asked.form_url, asked.api_url, asked.response_path)
    await action.show(document.event_name, html)


def _request_id(question: Question, key: str | None, context: Context) -> tuple[str, bool]:
    """Return the question's id, and whether it is random, so that nobody used it before."""
    name, origin, action = question.event_name, context.origin, context.action
    where = (origin.org, origin.project, origin.domain, origin.run, origin.action)
    if key is not None:
        return keys.derived_request_id(name, *where, "key", key), False
    if action is None:
        return keys.random_request_id(name), True
    digest = question.untyped_digest()
    return keys.derived_request_id(name, *where, digest, str(action.count(name, digest))), False
