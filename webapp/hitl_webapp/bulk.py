"""One answer for several questions: each is settled by itself, and has a result of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.datastructures import Headers

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument, Respondent, Via
from hitl.errors import HITLError, InvalidValue
from hitl.records.outcomes import Submission, new_submission_id
from hitl_webapp.admission import Address
from hitl_webapp.problems import BadInput, Problem, problem_of
from hitl_webapp.service import Service

MOST: Final = 100
_AT_ONCE: Final = 8

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Result:
    """What happened to one of the questions.

    Args:
        request_id: The question.
        outcome: The recorded outcome, if there is one that may be told.
        problem: Why the submission is not the outcome; None: it is.
        note: What of it was not taken over, as it was recorded before.
    """

    request_id: str
    outcome: OutcomeDocument | None = None
    problem: Problem | None = None
    note: str = ""

    @property
    def status(self) -> int:
        """The HTTP status that the submission alone would have got."""
        return 200 if self.problem is None else self.problem.status


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


async def seen(service: Service, headers: Headers, request_ids: Sequence[str]) -> list[RequestDocument | Problem]:
    """Return the questions, or why one is not shown.

    Raises:
        Unauthenticated: nobody signed in.
    """

    async def one(request_id: str) -> RequestDocument | Problem:
        try:
            return (await service.admission.to_see(Address(request_id, ""), headers)).request.document
        except HITLError as error:
            return problem_of(error)

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
            return Result(request_id, problem=problem_of(error))
        if settled.error is not None:
            return Result(request_id, settled.outcome, problem_of(settled.error))
        return Result(request_id, settled.outcome, note=settled.note)

    return await _each(request_ids, one)


def submission(via: Via, comment: str, *, declines: bool, value: object = None, text: bool = False) -> Submission:
    """Return what is submitted to each question, but for who does it.

    Args:
        via: The channel.
        comment: Free text.
        declines: Whether it declines to answer.
        value: The answer.
        text: Whether that is text as a form holds it.
    """
    return Submission(
        outcome="rejected" if declines else "answered",
        respondent=Respondent(via=via),
        value=None if declines else value,  # type: ignore[arg-type]  # JSON, as it was read
        text=text and not declines,
        comment=comment,
        submission_id=new_submission_id(),
    )


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
