"""What the operator counts of answers: how long each took, under labels whose number has a bound."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, Histogram

from hitl.core.durations import BUCKETS, seconds_to_answer
from hitl_operator import metrics
from tests.controller.test_decide import NOW, outcome, request


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorRegistry]:
    """A registry with the operator's histogram alone, of which nothing is remembered before and after."""
    found = CollectorRegistry()
    histogram = Histogram("s", "", ["outcome", "question_namespace"], buckets=BUCKETS, registry=found)
    monkeypatch.setattr(metrics, "ANSWER_SECONDS", histogram)
    monkeypatch.setattr(metrics, "_namespaces", set())
    metrics._answers.cache_clear()
    yield found
    metrics._answers.cache_clear()


def test_only_what_people_answered_or_rejected_is_timed() -> None:
    defaulted = outcome().model_copy(update={"reason": "DefaultUsed"})
    assert seconds_to_answer(NOW, outcome()) == seconds_to_answer(NOW, outcome("rejected")) == 30
    assert [seconds_to_answer(NOW, each) for each in (outcome("timed_out"), outcome("cancelled"), defaulted)] == [
        None
    ] * 3
    assert seconds_to_answer(NOW + timedelta(minutes=5), outcome()) == 0


def test_a_namespace_beyond_the_bound_gets_no_label_of_its_own(timed: CollectorRegistry) -> None:
    for number in range(60):
        metrics.count_outcome(outcome(), request(), f"team-{number}", NOW)
    metrics.count_outcome(outcome("rejected"), request(), "team-0", NOW)
    metrics.count_outcome(outcome("timed_out"), request(), "team-0", NOW)

    def count(namespace: str, kind: str = "answered") -> float | None:
        return timed.get_sample_value("s_count", {"outcome": kind, "question_namespace": namespace})

    assert (count("team-49"), count("team-50"), count("(others)")) == (1, None, 10)
    assert (count("team-0"), count("team-0", "rejected"), count("team-0", "timed_out")) == (1, 1, None)
    within_a_minute = {"outcome": "answered", "question_namespace": "team-1", "le": "60.0"}
    assert timed.get_sample_value("s_bucket", within_a_minute) == 1
