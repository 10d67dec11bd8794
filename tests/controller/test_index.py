"""What the operator remembers of HumanInputs, of refused writes, and of objects that it was just told of."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.cluster.replies import KindNotServed
from hitl.cluster.v1alpha1 import HumanInput
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterNotFound, ClusterUnavailable
from hitl_operator.index import Index
from hitl_operator.memory import Fresh
from hitl_operator.refusals import FAILED_SECONDS, QUICK_TRIES, REFUSED_SECONDS, SLOW_SECONDS, Refusals, lasting
from hitl_operator.work_items import IssueLink, MirrorRequest, ReconcileHumanInput, WorkItem

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def human_input(name: str, uid: str, namespace: str = "team", **content: Any) -> HumanInput:
    spec = {"prompt": "?", "dataType": "int", **content.pop("spec", {})}
    metadata = {"name": name, "uid": uid, "namespace": namespace, "creationTimestamp": NOW.isoformat(), **content}
    return HumanInput.from_object({"metadata": metadata, "spec": spec, "status": metadata.pop("status", {})})


def shows(request_id: str, uid: str, namespace: str, *, confirmed: bool, name: str = "") -> HumanInput:
    status = {"phase": "Pending", "requestID": request_id} if confirmed else {}
    return human_input(name or request_id, uid, namespace, spec={"request": {"id": request_id}}, status=status)


@pytest.mark.parametrize("stranger_first", [True, False])
def test_a_stranger_who_names_a_request_never_shows_it(stranger_first: bool) -> None:
    index = Index()
    ours, theirs = (
        shows("r", "uid-1", "team", confirmed=True),
        shows("r", "uid-2", "aaa", confirmed=False),
    )
    for each in (theirs, ours) if stranger_first else (ours, theirs):
        index.put(each)
    assert [found.uid for found in (index.shown_by("r"), index.shown_in("team", "r")) if found] == ["uid-1"] * 2
    index.drop(("team", "r"), "uid-1")
    assert index.shown_by("r") is None


@pytest.mark.parametrize("born_first", [True, False])
def test_the_one_that_asked_shows_its_request_whoever_else_names_it(born_first: bool) -> None:
    index = Index()
    born, other = human_input("born", "uid-1"), shows("uid-1", "uid-2", "team", confirmed=True)
    for each in (born, other) if born_first else (other, born):
        index.put(each)
    for found in (index.shown_by("uid-1"), index.shown_in("team", "uid-1")):
        assert found is not None
        assert found.uid == "uid-1"


def test_one_of_another_name_shows_nothing() -> None:
    index = Index()
    index.put(shows("r", "uid-1", "team", confirmed=False, name="other"))
    assert index.shown_in("team", "r") is None


def test_one_that_was_deleted_never_comes_back() -> None:
    index = Index()
    index.put(human_input("a", "uid-1"))
    assert index.pending() == {"team": 1}
    assert index.drop(("team", "a"), "uid-1") is not None
    # A look that began before the deletion ends after it.
    index.put(human_input("a", "uid-1"))
    assert index.get(("team", "a")) is None
    assert index.pending() == {}


def test_one_whose_name_was_taken_is_known_to_be_gone() -> None:
    index = Index()
    index.put(human_input("a", "uid-1"))
    replaced = index.put(human_input("a", "uid-2"))
    assert replaced is not None
    assert replaced.uid == "uid-1"
    assert index.shown_by("uid-1") is None
    assert index.pending() == {"team": 1}
    # The event of its deletion comes late, and is not about the new one.
    assert index.drop(("team", "a"), "uid-1") is None
    assert index.shown_by("uid-2") is not None


def test_the_same_one_again_replaces_nothing() -> None:
    index = Index()
    index.put(human_input("a", "uid-1"))
    assert index.put(human_input("a", "uid-1", status={"phase": "Answered"})) is None
    assert index.pending() == {}


def test_lost_outcomes_are_counted() -> None:
    index = Index()
    missing = {
        "type": "OutcomeMissing",
        "status": "True",
        "reason": "NotStored",
        "lastTransitionTime": NOW.isoformat(),
    }
    index.put(human_input("a", "uid-1", status={"phase": "Answered", "conditions": [missing]}))
    assert index.missing().total() == 1
    index.put(human_input("a", "uid-1", status={"phase": "Answered"}))
    assert index.missing() == {}


def test_a_fresh_object_is_taken_once_and_large_ones_are_not_kept() -> None:
    fresh: Fresh[HumanInput] = Fresh(most=20_000)
    small = human_input("a", "uid-1")
    fresh.put(small)
    assert fresh.take(("team", "a")) is small
    assert fresh.take(("team", "a")) is None
    fresh.put(human_input("big", "uid-2", spec={"schema": {"description": "x" * 30_000}}))
    assert len(fresh) == 0
    for number in range(10):
        fresh.put(human_input(f"n-{number}", f"uid-{number}"))
    # The newest are kept.
    assert 1 <= len(fresh) <= 4
    assert fresh.take(("team", "n-9")) is not None


@pytest.mark.parametrize(
    ("error", "is_lasting"),
    [
        (ClusterForbidden("no"), True),
        (ClusterNotFound("no namespace"), True),
        (KindNotServed("no definition"), True),
        (ClusterError("invalid"), True),
        (ClusterConflict("changed"), False),
        (ClusterUnavailable("away"), False),
        (ValueError("ours"), False),
    ],
)
def test_what_the_api_server_will_say_again_is_lasting(error: Exception, is_lasting: bool) -> None:
    assert lasting(error) is is_lasting


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ClusterForbidden("rights are being changed", status=403), REFUSED_SECONDS),
        (ClusterError("invalid", status=422), REFUSED_SECONDS),
        # As when a webhook is gone, or an object is too large for etcd.
        (ClusterUnavailable("failed calling webhook", status=500), FAILED_SECONDS),
    ],
)
def test_a_write_rests_after_three_tries_in_some_time_until_it_is_forgotten(
    error: ClusterError, seconds: float
) -> None:
    time = [100.0]
    refusals, work = Refusals(lambda: time[0]), ReconcileHumanInput("team", "a")
    assert not any(refusals.count(work, error) for _ in range(QUICK_TRIES)), "a moment costs no minutes"
    time[0] += seconds - 1
    assert not refusals.count(work, error)
    time[0] += 1
    assert refusals.count(work, error)
    assert refusals.rests(work) == SLOW_SECONDS
    assert refusals.rests(ReconcileHumanInput("team", "b")) == 0
    time[0] += SLOW_SECONDS
    assert refusals.rests(work) == 0
    assert refusals.count(work, error), "one more try, and it rests again"
    refusals.forget(work)
    assert refusals.rests(work) == 0
    assert not refusals.count(work, error)


def test_a_single_failure_is_tried_again_however_long_ago_the_one_before_was() -> None:
    time = [100.0]
    refusals, work = Refusals(lambda: time[0]), ReconcileHumanInput("team", "a")
    for _ in range(QUICK_TRIES - 1):
        assert not refusals.count(work, ClusterForbidden("no"))
        time[0] += REFUSED_SECONDS


@pytest.mark.parametrize(
    "error", [ClusterConflict("changed"), ClusterUnavailable("away"), ClusterUnavailable("slow down", status=429)]
)
def test_what_passes_never_rests(error: ClusterError) -> None:
    time = [100.0]
    refusals, work = Refusals(lambda: time[0]), ReconcileHumanInput("team", "a")
    for _ in range(2 * QUICK_TRIES):
        assert not refusals.count(work, error)
        time[0] += FAILED_SECONDS


def test_what_may_have_passed_is_tried_at_once_when_its_namespace_is_seen_again() -> None:
    time = [100.0]
    refusals = Refusals(lambda: time[0])
    here, invalid = ReconcileHumanInput("team", "a"), ReconcileHumanInput("team", "invalid")
    link, stored, elsewhere = (
        IssueLink("team", "a", "uid"),
        MirrorRequest("main", "r"),
        ReconcileHumanInput("other", "a"),
    )
    errors: dict[WorkItem, ClusterError] = {
        here: ClusterForbidden("no"),
        invalid: ClusterError("invalid"),
        link: ClusterUnavailable("no webhook", status=500),
        stored: ClusterForbidden("no"),
        elsewhere: ClusterForbidden("no"),
    }
    for _ in range(QUICK_TRIES):
        for work, error in errors.items():
            refusals.count(work, error)
        time[0] += FAILED_SECONDS
    assert all(refusals.rests(work) for work in errors)

    assert refusals.seen_again("team") == [here, link, stored]
    assert [work for work in errors if refusals.rests(work)] == [invalid, elsewhere]
    assert refusals.seen_again("") == [elsewhere]
