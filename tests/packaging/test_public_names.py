"""The names that programs may rely on. Who takes one away breaks them."""

import hitl
from hitl import errors

NAMES = {
    "Approval",
    "BusinessHours",
    "Change",
    "Event",
    "EventFormLink",
    "EventScope",
    "File",
    "HITLSubmissionTyped",
    "MISSING",
    "Outcome",
    "Vote",
    "ask",
    "env",
    "escape",
    "evidence",
    "new_event",
}


def test_the_public_names_are_these() -> None:
    raised = {
        name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, Exception)
    }

    assert set(hitl.__all__) == NAMES | {name for name in raised if not name.startswith("_")}
    assert [name for name in hitl.__all__ if not hasattr(hitl, name)] == []
