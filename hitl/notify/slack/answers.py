"""From a click in Slack to its result: through the one way in for submissions, and with the audit's line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from hitl.core.documents import OutcomeDocument, OutcomeKind, RequestDocument, Respondent
from hitl.core.escalation import may_answer, may_ever_answer
from hitl.core.notices import NotDelivered
from hitl.core.tally import Standing
from hitl.errors import ClockApart, DocumentDamaged, HITLError, NotAllowed, RequestNotFound, StorageError
from hitl.notify.channels import Message
from hitl.notify.slack import blocks, views
from hitl.notify.slack.api import Api
from hitl.notify.slack.payloads import Click, Person, Place, Ref, Sent
from hitl.notify.slack.people import People
from hitl.notify.slack.texts import Block
from hitl.notify.slack.ways import Buttons, SmallForm, Way, way_of
from hitl.records.attempts import note_refused
from hitl.records.delegating import acting_as
from hitl.records.outcomes import settle
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, read_outcome_of, read_request
from hitl.records.submissions import Settled, Submission

RecordsOf: TypeAlias = Callable[[str], Sequence[Records]]
"""Given the id of a question, where it may lie."""

_MOST_KNOWN: Final = 256
_UNKNOWN: Final = "This question is not there any more, or is another one now. Nothing was saved."
_ELSEWHERE: Final = "This question can only be answered in the form: open it. Nothing was saved."

_log = logging.getLogger("hitl")


class Answers:
    """What people answer in one workspace.

    Args:
        records_of: Where questions lie.
        api: Slack's Web API, with the bot token of the workspace.
        people: Its members.
    """

    def __init__(self, records_of: RecordsOf, api: Api, people: People) -> None:
        self._records_of = records_of
        self._api = api
        self._people = people
        self._known: dict[Ref, StoredRequest] = {}

    def faults(self, sent: Sent) -> dict[str, str]:
        """Return what is wrong with a form, as far as that is known without a look at the storage."""
        if sent.what == "decline":
            return dict(views.read_declined(sent).faults)
        request = self._known.get(sent.ref)
        form = None if request is None else way_of(request.document)
        if request is None or not isinstance(form, SmallForm):
            return {}
        return dict(views.read_answer(request.document, form, sent).faults)

    async def take(self, done: Click | Sent) -> None:
        """Do what somebody wants, and tell them the result. This raises nothing."""
        try:
            said = await self._take(done)
        except (NotAllowed, RequestNotFound) as error:
            said = str(error)
        except NotDelivered as failure:
            said = f"Nothing was saved: {failure.why}."
        except ClockApart:
            said = "Nothing was saved: the clock of the machine that serves Slack is wrong. Tell who runs HITL."
        except DocumentDamaged:
            said = "Nothing was saved: what is stored of this question is damaged. Tell who runs HITL."
        except StorageError:
            said = "The storage did not answer, so it is not known whether this was saved: click again."
        if said:
            await self._whisper(done.person, done.place, said)

    async def _take(self, done: Click | Sent) -> str:
        records, request = await self._find(done.ref)
        # Nobody has verified this name.
        respondent, submission = Respondent(name=done.person.user, via="slack"), None
        try:
            way = way_of(request.document)
            respondent = _as_named(request.document, await self._people.respondent(done.person))
            await _require_may_answer(records, request, respondent)
            if isinstance(done, Click) and done.what in ("fill", "decline"):
                return await self._open(records, request, done, way)
            submission = _submission(request, done, way, respondent)
            settled = await settle(records, request, submission)
        except (HITLError, NotDelivered) as error:
            tried = submission or _tried(done, respondent)
            await note_refused(records, request.request_id, error, request=request, submission=tried)
            if isinstance(error, NotAllowed):
                await self._show_end(records, request, done.place)
            raise
        if settled.outcome is not None:
            await self._show(request, settled.outcome, done.place)
        elif settled.kind == "voted" and settled.standing is not None:
            await self._show_progress(records, request, settled.standing, done.place)
        return _told(settled)

    async def _find(self, ref: Ref) -> tuple[Records, StoredRequest]:
        trouble: HITLError = RequestNotFound(_UNKNOWN)
        for records in self._records_of(ref.request_id):
            try:
                request = await read_request(records.store, ref.request_id)
            except RequestNotFound:
                continue
            except StorageError as error:
                # It may lie in another root, which answers.
                trouble = error
                continue
            if ref.names(request.sha256):
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[ref] = request
                return records, request
            await note_refused(records, ref.request_id, _UNKNOWN, request=request)
        raise trouble

    async def _open(self, records: Records, request: StoredRequest, click: Click, way: Way | None) -> str:
        outcome = await read_outcome_of(records.store, request)
        if outcome is not None:
            await self._show(request, outcome, click.place)
            return blocks.how_it_ended(outcome)
        if click.what == "decline" and way is not None:
            view = views.decline_view(request.document, click.ref, click.place)
        elif click.what == "fill" and isinstance(way, SmallForm):
            view = views.answer_view(request.document, way, click.ref, click.place)
        else:
            raise NotAllowed(_ELSEWHERE)
        await self._api.open_view(click.trigger, view)
        return ""

    async def _show_progress(
        self, records: Records, request: StoredRequest, standing: Standing, place: Place
    ) -> None:
        question = request.document
        message = Message("", "asked", question.created_at, question, request_sha256=request.sha256)
        said = f"After the last vote in Slack: {standing.sentence()}"
        await self._replace(request, blocks.asked(message, question, answers=True, said=said), place)
        # The question may have ended meanwhile, and its end have been shown before this.
        await self._show_end(records, request, place)

    async def _show_end(self, records: Records, request: StoredRequest, place: Place) -> None:
        with suppress(StorageError):
            if (outcome := await read_outcome_of(records.store, request)) is not None:
                await self._show(request, outcome, place)

    async def _show(self, request: StoredRequest, outcome: OutcomeDocument, place: Place) -> None:
        await self._replace(request, blocks.settled(request.document, outcome), place)

    async def _replace(self, request: StoredRequest, content: Block, place: Place) -> None:
        try:
            await self._api.update(place.channel, place.at, content)
        except NotDelivered as failure:
            # The notice of the end does the same, and is tried again.
            _log.debug("%s: its message in Slack was not updated: %s", request.request_id, failure.why)

    async def _whisper(self, person: Person, place: Place, text: str) -> None:
        try:
            await self._api.whisper(place.channel, person.user, text)
        except NotDelivered as failure:
            _log.debug("somebody in Slack was not told a result: %s", failure.why)


def _as_named(question: RequestDocument, who: Respondent) -> Respondent:
    """Return somebody as the question writes them: in an address, capitals are not told apart."""
    if not who.name.isascii():
        return who
    users = (question.requester, *may_ever_answer(question).users)
    # Beyond ASCII, two people's letters may be one another's capitals, or be written out as one another.
    named = (each for each in users if each.isascii() and each.lower() == who.name.lower())
    return who.model_copy(update={"name": next(named, who.name)})


async def _require_may_answer(records: Records, request: StoredRequest, who: Respondent) -> None:
    question = request.document
    # Where several must agree, the vote itself is refused.
    if question.approval is not None:
        return
    now = records.now()
    if question.escalation:
        # Who may answer is a matter of the time.
        await records.store.require_clock(now)
    acts = await acting_as(records.store, request, who, now)
    if not may_answer(question, now).allow(acts.on_behalf_of or acts.name, acts.groups):
        raise NotAllowed(f"This question is for others to answer; you are {who.name}. Nothing was saved.")


def _submission(request: StoredRequest, done: Click | Sent, way: Way | None, who: Respondent) -> Submission:
    """Return what somebody submits.

    Raises:
        NotAllowed: this question cannot be answered like this, or the answer does not fit.
    """
    if isinstance(done, Sent) and done.what == "decline" and way is not None:
        comment = views.read_declined(done).comment
        return Submission("rejected", who, comment=comment, submission_id=done.submission_id, right="slack")
    if isinstance(done, Sent) and isinstance(way, SmallForm):
        read = views.read_answer(request.document, way, done)
        if read.faults:
            raise NotAllowed(f"Nothing was saved. {' '.join(read.faults.values())}")
        value, comment = read.value, read.comment
    elif isinstance(done, Click) and isinstance(way, Buttons) and int(done.what) < len(way.offers):
        value, comment = way.offers[int(done.what)][1], ""
    else:
        raise NotAllowed(_ELSEWHERE)
    return Submission(
        "answered", who, value, text=False, comment=comment, submission_id=done.submission_id, right="slack"
    )


def _tried(done: Click | Sent, who: Respondent) -> Submission:
    outcome: OutcomeKind = "rejected" if done.what == "decline" else "answered"
    return Submission(outcome, who, submission_id=done.submission_id, right="slack")


def _told(settled: Settled) -> str:
    """Return what is told to who clicked; empty: the message says it."""
    match settled.kind:
        case "recorded":
            return ""
        case "already_yours":
            return " ".join(filter(None, ("Your answer was saved before.", settled.note)))
        case "voted":
            standing = "" if settled.standing is None else settled.standing.sentence()
            return " ".join(filter(None, ("Your vote was saved.", settled.note, standing)))
        case "lost" if settled.outcome is not None:
            return f"What you sent was not saved. {blocks.how_it_ended(settled.outcome)}"
        case "too_late":
            return "The deadline of this question has passed. Nothing was saved."
        case "gone":
            return _UNKNOWN
        case _:
            return f"Nothing was saved. {settled.error or ''}".strip()
