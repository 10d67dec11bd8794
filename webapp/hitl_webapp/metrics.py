"""What the web app counts."""

from __future__ import annotations

from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY: Final = CollectorRegistry()

OUTCOMES: Final = Counter(
    "hitl_web_outcomes", "Outcomes recorded through this web app.", ["outcome", "via"], registry=REGISTRY
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
    """Count a request to the storage, as `hitl.storage.Store` tells of it."""
    _storage(operation, result).inc()


@cache
def _storage(operation: str, result: str) -> Counter:
    # Looking a counter up by its labels takes longer than reading a small file.
    return STORAGE.labels(operation=operation, result=result)
