"""Answers compared with their questions. Where a schema makes that long, others are served meanwhile."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from hitl.core.documents import RequestDocument
from hitl.core.files import asks_for_file
from hitl.records.submissions import Checked, Submission

# In units of a check's work, of about a microsecond. Usual answers cost less.
_AT_ONCE: Final = 10_000
_thread = ThreadPoolExecutor(1, thread_name_prefix="hitl-checks")


async def checked(question: RequestDocument, submission: Submission) -> Submission:
    """Return a submission that says whether its value fits. The event loop goes on while that is found.

    Long checks take their turns, on one thread.

    Args:
        question: The question.
        submission: What is submitted to it.
    """
    if submission.outcome != "answered" or question.json_schema is None or asks_for_file(question):
        return submission
    # Loaded when somebody answers: a start need not wait for it.
    from hitl.core.schema.check import TakesTooLong
    from hitl.core.schema.work import Work

    found = Checked.of(question, submission, Work(_AT_ONCE))
    if isinstance(found.error, TakesTooLong):
        found = await asyncio.get_running_loop().run_in_executor(_thread, Checked.of, question, submission)
    return replace(submission, checked=found)
