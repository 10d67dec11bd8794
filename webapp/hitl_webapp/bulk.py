"""One answer for several questions: each is settled by itself, and has a result of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from starlette.datastructures import Headers

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent, Via
from hitl.core.files import asks_for_file
from hitl.errors import HITLError, InvalidValue
from hitl.records.submissions import Submission
from hitl_webapp.admission import Address, Admitted
from hitl_webapp.problems import BadInput, Problem, problem_of
from hitl_webapp.sentences import ended, vote_note
from hitl_webapp.service import Service

MOST: Final = 100
_AT_ONCE: Final = 8

_T = TypeVar("_T")
_R = TypeVar("_R")


class Result(NamedTuple):
    """What happened to one of the questions.

    Args:
        request_id: The question.
        outcome: The recorded outcome, if there is one that may be told.
        error: Why the submission is not the outcome; None: it is.
        note: What of it was not taken over, as it was recorded before.
    """

    request_id: str
    outcome: OutcomeDocument | None = None
    error: HITLError | None = None
    note: str = ""

    @property
    def problem(self) -> Problem | None:
        """What is told about the error."""
        return None if self.error is None else problem_of(self.error)

    @property
    def status(self) -> int:
        """The HTTP status that the submission alone would have got."""
        return 200 if self.problem is None else self.problem.status


class Seen(NamedTuple):
    """One of the questions, as a visitor sees it.

    Args:
        request_id: Its id.
        question: The question; None: it is not shown to them.
        why: Why no answer of theirs is taken here, as a sentence; empty: one is.
    """

    request_id: str
    question: RequestDocument | None = None
    why: str = ""


def checked_ids(given: Sequence[str]) -> list[str]:
    """Return the ids of the questions, each once.

    Raises:
        BadInput: there are none, more than 100, or one is no id.
    """
    found = list(dict.fromkeys(given))
    if not found:
        raise BadInput("Choose at least one question.")
    if len(found) > MOST:
        raise BadInput(f"These are {len(found)} questions: choose at most {MOST} at a time.")
    if not all(map(keys.is_request_id, found)):
        raise BadInput("One of these is not the id of a question: nothing was recorded.")
    return found


async def seen(service: Service, headers: Headers, request_ids: Sequence[str]) -> list[Seen]:
    """Return the questions, and why one takes no answer of this visitor here.

    Raises:
        Unauthenticated: nobody signed in.
    """

    async def one(request_id: str) -> Seen:
        try:
            admitted = await service.admission.to_see(Address(request_id, ""), headers)
            return Seen(request_id, admitted.request.document, await _closed(service, admitted))
        except HITLError as error:
            return Seen(request_id, why=problem_of(error).detail)

    return await _each(request_ids, one)


async def submit(
    service: Service,
    headers: Headers,
    request_ids: Sequence[str],
    submission_of: Callable[[RequestDocument], Submission],
    via: Via,
) -> list[Result]:
    """Submit to each of the questions.

    Args:
        service: The web app's parts.
        headers: In which the visitor is found.
        request_ids: The questions.
        submission_of: Returns what is submitted to a question, but for who does it. Raises `InvalidValue` if
            nothing can be.
        via: The channel.

    Raises:
        Unauthenticated: nobody signed in.
    """

    async def one(request_id: str) -> Result:
        try:
            admitted = await service.submissions.admit(Address(request_id, ""), headers)
            try:
                submission, fault = submission_of(admitted.request.document), None
            except InvalidValue as error:
                submission, fault = Submission("answered", Respondent(via=via)), error
            submission = submission.by(admitted.respondent(via))
            settled = await service.submissions.settle(admitted, submission, fault)
        except HITLError as error:
            return Result(request_id, error=error)
        return Result(request_id, settled.outcome, settled.error, vote_note(settled))

    return await _each(request_ids, one)


async def _closed(service: Service, admitted: Admitted) -> str:
    question = admitted.request.document
    outcome = await service.questions.outcome(admitted.request)
    if outcome is not None:
        return ended(question, outcome)
    if await service.questions.over(admitted.request):
        return "The deadline has passed: answers are no longer taken."
    if asks_for_file(question):
        return "It is answered by a file: open it to send one."
    return await admitted.principal.refusal(question, await service.clock.rights_time(question))


def plain(question: RequestDocument) -> RequestDocument:
    """Return a question without what is filled in for it alone: one form is for several."""
    return question.model_copy(update={"default": None, "proposed": None, "refused": []})


def kind_of(question: RequestDocument) -> str:
    """Return a text that is equal for questions that take the same answers."""
    return question.model_dump_json(
        include={"data_type", "json_schema", "choices", "choice_labels"}, by_alias=True
    )


async def _each(several: Sequence[_T], work: Callable[[_T], Awaitable[_R]]) -> list[_R]:
    """Do something for each, some at once. After an error the others end first, so that nothing goes on unseen."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(each: _T) -> _R:
        async with limit:
            return await work(each)

    found = await asyncio.gather(*map(one, several), return_exceptions=True)
    results: list[_R] = []
    for each in found:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
    return results
