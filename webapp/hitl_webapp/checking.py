"""Answers compared with their questions, and forms. While a schema makes that long, others are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hitl.core.documents import RequestDocument
from hitl.core.files import asks_for_file
from hitl.errors import InvalidValue
from hitl.records.aside import unhurried
from hitl.records.submissions import Checked, Submission
from hitl_webapp.parts import PartsForm, form_of, stepped
from hitl_webapp.sent import SentForm


async def checked(question: RequestDocument, submission: Submission) -> Submission:
    """Return a submission that says whether its value fits.

    Args:
        question: The question.
        submission: What is submitted to it.
    """
    if submission.outcome != "answered" or question.json_schema is None or asks_for_file(question):
        return submission
    found = await unhurried(lambda work: Checked.of(question, submission, work))
    return replace(submission, checked=found)


async def planned(question: RequestDocument) -> None:
    """Find out of which parts a question's form is made, before a page needs to know it."""
    if question.json_schema is not None:
        await unhurried(lambda work: form_of(question, work))


async def resolved(sent: SentForm, question: RequestDocument) -> SentForm:
    """Return a form with the answer that it means, as `SentForm.resolved` does.

    Raises:
        BadInput: it could mean two answers.
    """
    if not sent.parts:
        return sent.resolved(question)
    return await unhurried(lambda work: sent.resolved(question, work))


async def placed(sent: SentForm, question: RequestDocument, error: InvalidValue) -> SentForm:
    """Return a form with the faults of an answer in parts, as `SentForm.placed` does."""
    return await unhurried(lambda work: sent.placed(question, error, work)) if sent.parts else sent


async def after_step(question: RequestDocument, sent: Mapping[str, Sequence[str]], step: str) -> PartsForm | None:
    """Return a form after one of its buttons was pressed, as `hitl_webapp.parts.stepped` does."""
    return await unhurried(lambda work: stepped(question, sent, step, work))
