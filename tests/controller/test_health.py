"""Liveness is the age of the last sign of each watch; readiness says what is not seen."""

from dataclasses import dataclass

import pytest

from hitl_operator.probes import Health
from hitl_operator.watcher import Sight


@dataclass
class _Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def sights(clock: _Clock) -> list[Sight]:
    return [Sight("HumanInput", namespace, clock) for namespace in ("good", "bad")]


@pytest.fixture
def health(clock: _Clock, sights: list[Sight]) -> Health:
    return Health(3, sights, None, clock)


def test_nothing_is_seen_before_the_first_list(health: Health, sights: list[Sight]) -> None:
    assert health.ready() == (
        False,
        "not seen: HumanInput in good: not listed yet; not seen: HumanInput in bad: not listed yet",
    )
    for each in sights:
        each.signed()
    assert health.ready() == (True, "ok")


def test_a_namespace_that_is_seen_after_trouble_says_so_once(sights: list[Sight]) -> None:
    told: list[str] = []
    sight = sights[0]
    sight.seen_again = told.append
    sight.signed()
    assert told == []
    sight.failed("forbidden")
    sight.failed("forbidden")
    sight.signed()
    sight.signed()
    assert told == ["good"]


def test_what_is_not_needed_is_named_when_it_is_not_seen_and_never_enough_to_be_ready(clock: _Clock) -> None:
    needed, extra = Sight("HumanInput", "", clock), Sight("TaskAction", "", clock, needed=False)
    health = Health(3, [needed, extra], None, clock)
    extra.signed()
    assert health.ready() == (False, "not seen: HumanInput: not listed yet")
    needed.signed()
    extra.failed("forbidden")
    clock.now += 60
    assert health.ready() == (True, "ok; not seen: TaskAction: forbidden")


def test_one_namespace_that_is_not_seen_is_named_and_no_reason_to_be_unready(
    health: Health, sights: list[Sight]
) -> None:
    good, bad = sights
    good.signed()
    bad.failed("forbidden")
    assert health.ready() == (True, "ok; not seen: HumanInput in bad: forbidden")
    assert health.alive() == ""


def test_a_watch_that_breaks_off_is_seen_until_it_cannot_be_resumed(
    health: Health, sights: list[Sight], clock: _Clock
) -> None:
    for each in sights:
        each.signed()
    for each in sights:
        each.failed("cut")
    assert health.ready() == (True, "ok")
    clock.now += 11
    for each in sights:
        each.failed("refused")
    assert health.ready()[0] is False
    sights[0].signed()
    assert health.ready() == (True, "ok; not seen: HumanInput in bad: refused")


def test_a_watch_that_neither_sees_nor_fails_any_more_is_a_reason_to_restart(
    health: Health, sights: list[Sight], clock: _Clock
) -> None:
    for each in sights:
        each.signed()
    clock.now += 170
    health.beat = clock.now
    assert health.alive() == ""
    sights[0].failed("away")
    clock.now += 11
    health.beat = clock.now
    assert health.alive() == "the watch of HumanInput in bad hangs"
    assert "no sign for 181 s" in health.ready()[1]


def test_an_api_server_that_is_away_is_no_reason_to_restart(
    health: Health, sights: list[Sight], clock: _Clock
) -> None:
    for _ in range(100):
        clock.now += 20
        health.beat = clock.now
        for each in sights:
            each.failed("away")
    assert health.alive() == ""
    assert health.ready()[0] is False


def test_of_hundreds_of_namespaces_the_first_are_named(clock: _Clock) -> None:
    health = Health(3, [Sight("HumanInput", f"team-{number}", clock) for number in range(500)], None, clock)
    assert health.ready()[1].endswith("team-19: not listed yet; and 480 more")
