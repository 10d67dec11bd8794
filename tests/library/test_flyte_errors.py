"""What ends a Flyte task without an answer: asked of Flyte's own conversion, which decides on retries."""

from collections.abc import Callable
from typing import Any

import pytest

import hitl
from hitl.core.documents import OutcomeDocument
from hitl.engines.flyte_errors import not_retried
from hitl.errors import EventFailed, RecordedOutcome
from tests.library.samples import NOW, person


@pytest.fixture
def outcome() -> RecordedOutcome:
    """How it ended, which these errors only carry."""
    return OutcomeDocument(
        request_id="a-question",
        data_type="int",
        status="cancelled",
        outcome="cancelled",
        reason="Cancelled",
        submission_id="one",
        answered_at=NOW,
        respondent=person("ann"),
        request_sha256="0" * 64,
    )


def unusable(outcome: RecordedOutcome) -> EventFailed:
    return hitl.EventUnusable(outcome, ("Too many.",))


@pytest.mark.parametrize("known", [hitl.EventRejected, hitl.EventTimedOut, hitl.EventCancelled, unusable])
def test_flyte_does_not_retry_and_the_author_catches_what_the_docs_name(
    known: Callable[[RecordedOutcome], EventFailed], outcome: RecordedOutcome
) -> None:
    from flyte._internal.runtime.convert import convert_from_native_to_error

    before = known(outcome)
    error = not_retried(before)
    converted: Any = convert_from_native_to_error(error)

    assert isinstance(error, type(before))
    assert error.outcome is outcome
    assert not converted.recoverable
    assert (converted.err.code, converted.err.message) == (type(before).__name__, str(before))
    assert "a-question" in str(error)
