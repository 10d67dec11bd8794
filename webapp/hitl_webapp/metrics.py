"""What the web app counts."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hitl.core.documents import OutcomeDocument
from hitl.core.durations import BUCKETS, seconds_to_answer

REGISTRY: Final = CollectorRegistry()

OUTCOMES: Final = Counter(
    "hitl_web_outcomes", "Outcomes recorded through this web app.", ["outcome", "via"], registry=REGISTRY
)
ANSWER_SECONDS: Final = Histogram(
    "hitl_web_answer_seconds",
    "Seconds from asking to an answer or a rejection that this web app recorded.",
    ["outcome"],
    buckets=BUCKETS,
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "hitl_web_refusals", "Submissions that were refused, by the class of error.", ["reason"], registry=REGISTRY
)
CLOCK: Final = Gauge(
    "hitl_web_clock_difference_seconds",
    "Seconds by which this machine's clock is ahead of the storage's; over 30 either way nothing is recorded.",
    registry=REGISTRY,
)
AUDIT_WAITING: Final = Gauge(
    "hitl_web_audit_waiting_lines", "Lines of the audit that are not in storage yet.", registry=REGISTRY
)
FORMS: Final = Counter("hitl_web_forms", "Forms and outcomes shown.", registry=REGISTRY)
STORAGE: Final = Counter(
    "hitl_web_storage_requests", "Requests to the storage.", ["operation", "result"], registry=REGISTRY
)


def count_storage(operation: str, result: str) -> None:
    """Count a request to the storage, as `hitl.storage.Store` reports it."""
    _storage(operation, result).inc()


@cache
def _storage(operation: str, result: str) -> Counter:
    # Looking a counter up by its labels takes longer than reading a small file.
    return STORAGE.labels(operation=operation, result=result)


def count_answer(asked_at: datetime, outcome: OutcomeDocument) -> None:
    """Count how long an answer took that this web app recorded: it was first, so no other one counts it."""
    seconds = seconds_to_answer(asked_at, outcome)
    if seconds is not None:
        _answers(outcome.outcome).observe(seconds)


@cache
def _answers(outcome: str) -> Histogram:
    return ANSWER_SECONDS.labels(outcome=outcome)
