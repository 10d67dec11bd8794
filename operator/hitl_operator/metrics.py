"""What the operator counts."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.durations import BUCKETS, seconds_to_answer

REGISTRY: Final = CollectorRegistry()

PENDING: Final = Gauge("hitl_pending", "Pending HumanInputs.", registry=REGISTRY)
OLDEST_PENDING: Final = Gauge(
    "hitl_oldest_pending_seconds", "Age of the oldest pending HumanInput, in seconds.", registry=REGISTRY
)
OUTCOMES: Final = Counter(
    "hitl_outcomes", "Outcomes mirrored into a HumanInput's status.", ["outcome", "via"], registry=REGISTRY
)
ANSWER_SECONDS: Final = Histogram(
    "hitl_answer_seconds",
    "Seconds from asking to an answer or a rejection, over any channel.",
    ["outcome", "question_namespace"],
    buckets=BUCKETS,
    registry=REGISTRY,
)
MIRROR_SECONDS: Final = Histogram(
    "hitl_mirror_seconds",
    "Seconds from an outcome to the status that shows it.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
QUEUE_DEPTH: Final = Gauge("hitl_queue_depth", "Objects that wait for a worker.", registry=REGISTRY)
FAILING: Final = Gauge(
    "hitl_failing", "Objects whose last attempt failed, by root and reason.", ["root", "reason"], registry=REGISTRY
)
UNSEEN: Final = Gauge(
    "hitl_unseen_watches", "Watches, one for each kind and namespace, that see nothing.", registry=REGISTRY
)
WATCH_AGE: Final = Gauge(
    "hitl_watch_age_seconds", "Age of the last sign of the watch that had none for longest.", registry=REGISTRY
)
EVENTS_LOST: Final = Counter(
    "hitl_lost_events", "Kubernetes Events that were not posted, by the reason.", ["reason"], registry=REGISTRY
)
ROOT_TROUBLE: Final = Gauge(
    "hitl_root_trouble",
    "1 while a root does not answer, is unsuitable, or has another clock.",
    ["root", "reason"],
    registry=REGISTRY,
)
API_REQUESTS: Final = Counter(
    "hitl_api_requests", "Requests to the API server beside watches.", ["verb", "status"], registry=REGISTRY
)
STORAGE_REQUESTS: Final = Counter(
    "hitl_storage_requests", "Requests to the storage.", ["operation", "result"], registry=REGISTRY
)
REFUSED: Final = Counter(
    "hitl_refused_submissions", "Submissions by Kubernetes that were refused.", ["reason"], registry=REGISTRY
)
REFUSED_WRITES: Final = Gauge(
    "hitl_refused_writes",
    "Pieces of work that the API server refuses, or fails at, again and again, tried once in five minutes.",
    registry=REGISTRY,
)
MISSING_OUTCOMES: Final = Gauge(
    "hitl_missing_outcomes",
    "HumanInputs whose outcome the root does not hold any more, or holds another one for.",
    registry=REGISTRY,
)
FOREIGN: Final = Counter(
    "hitl_foreign_requests",
    "Requests left alone because their namespace is not one of their root's.",
    ["root"],
    registry=REGISTRY,
)
DAMAGED: Final = Counter(
    "hitl_damaged_objects", "Looks at stored objects that cannot be read.", ["root"], registry=REGISTRY
)
COLLECTED: Final = Counter("hitl_collected_requests", "Requests deleted after their retention.", registry=REGISTRY)
SWEEP_SECONDS: Final = Gauge(
    "hitl_last_sweep_timestamp_seconds", "When markers were last looked for, as Unix time.", registry=REGISTRY
)
HINTS: Final = Counter(
    "hitl_hints", "Hints that came in, by result: taken, or dropped.", ["result"], registry=REGISTRY
)
WEBAPP_HINTS: Final = Counter("hitl_webapp_hints", "Hints to web apps.", ["result"], registry=REGISTRY)
CLOCK: Final = Gauge(
    "hitl_clock_difference_seconds",
    "Seconds by which this machine's clock is ahead of the root's; over 10 either way nothing is recorded there.",
    ["root"],
    registry=REGISTRY,
)
WEBAPP_TROUBLE: Final = Gauge(
    "hitl_webapp_trouble", "1 while a root's web app cannot be brought up or down.", ["root"], registry=REGISTRY
)
API_CLOCK: Final = Gauge(
    "hitl_api_clock_difference_seconds",
    "Seconds by which this machine's clock is ahead of the API server's; over 10 either way nothing is recorded.",
    registry=REGISTRY,
)
AUDIT_ANCHOR: Final = Gauge(
    "hitl_audit_anchor",
    "The first 13 hexadecimal digits of the newest hash of a root's audit, as a number.",
    ["root"],
    registry=REGISTRY,
)
AUDIT_ANCHORED: Final = Gauge(
    "hitl_audit_anchor_timestamp_seconds",
    "When the newest hash of a root's audit was anchored, as Unix time.",
    ["root"],
    registry=REGISTRY,
)
AUDIT_ANCHOR_MISSING: Final = Gauge(
    "hitl_audit_anchor_missing",
    "1 while the line of a root's audit that was anchored last is not in storage as it was written.",
    ["root"],
    registry=REGISTRY,
)
AUDIT_WAITING: Final = Gauge(
    "hitl_audit_waiting_lines", "Lines of the audit that are not in storage yet.", ["root"], registry=REGISTRY
)
NOTICES: Final = Counter(
    "hitl_notices",
    "Notices, by target (namespace/name) and result: delivered, failed (tried again), given_up.",
    ["target", "result"],
    registry=REGISTRY,
)
NOTICES_WAITING: Final = Gauge(
    "hitl_notices_waiting", "Notices that are due and not delivered, by target.", ["target"], registry=REGISTRY
)
NOTICES_OLDEST: Final = Gauge(
    "hitl_notices_oldest_waiting_seconds",
    "Since how many seconds the notice is due that waits longest of those that failed, by target.",
    ["target"],
    registry=REGISTRY,
)
LEADING: Final = Gauge("hitl_leading", "How many Leases this operator holds.", registry=REGISTRY)

# Each namespace costs some 40 series. Those beyond are counted together.
_MOST_NAMESPACES: Final = 50
_OTHERS: Final = "(others)"
_namespaces: set[str] = set()


def count_outcome(
    outcome: OutcomeDocument, request: RequestDocument | None, namespace: str, now: datetime
) -> None:
    """Count an outcome, and how long it took. Only who wrote it into the status counts it: that happens once.

    Args:
        outcome: The outcome.
        request: The question, if it was read.
        namespace: That of its HumanInput.
        now: The moment at which the status showed it, with a time zone.
    """
    _outcomes(outcome.outcome, outcome.respondent.via).inc()
    MIRROR_SECONDS.observe(max(0.0, (now - outcome.answered_at).total_seconds()))
    seconds = None if request is None else seconds_to_answer(request.created_at, outcome)
    if seconds is None:
        # Nobody gave it.
        return
    if len(_namespaces) < _MOST_NAMESPACES:
        _namespaces.add(namespace)
    shown = namespace if namespace in _namespaces else _OTHERS
    _answers(outcome.outcome, shown).observe(seconds)


# There are few of each, and the client sorts the labels each time that it is asked for one.
@cache
def _outcomes(outcome: str, via: str) -> Counter:
    return OUTCOMES.labels(outcome=outcome, via=via)


@cache
def _answers(outcome: str, namespace: str) -> Histogram:
    return ANSWER_SECONDS.labels(outcome=outcome, question_namespace=namespace)
