"""Whose workflow has ended: decided from what was seen of Flyte's TaskActions, without any cluster."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.client import Object
from hitl.cluster.mapping import human_input_of
from hitl.cluster.task_actions import Asker, End, end_of
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.documents import Origin
from hitl_operator.index import Index
from hitl_operator.task_actions import TaskActions, may_have_ended
from hitl_operator.watcher import Sight
from hitl_operator.work_items import ReconcileHumanInput
from tests.library.samples import draft_request

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
HOME = "shop-development"
ORIGIN = Origin(project="shop", domain="development", run="r1", action="a0", namespace=HOME)


def _condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "Progressing", "status": "True"}, {"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("metadata", "status", "expected"),
    [
        ({}, {}, None),
        ({}, None, None),
        ({}, {"conditions": None}, None),
        ({}, _condition("Succeeded", "False"), None),
        ({}, _condition("Failed", "Unknown"), None),
        ({"labels": {"flyte.org/termination-status": "running"}, "annotations": None}, {}, None),
        ({"finalizers": ["flyte.org/abort"]}, {}, None),
        ({}, _condition("Succeeded"), End.SUCCEEDED),
        ({}, _condition("Failed"), End.FAILED),
        ({"deletionTimestamp": "2031-01-01T00:00:00Z"}, {}, End.ABORTED),
        # Flyte's own collection, an hour after the end.
        ({"deletionTimestamp": "2031-01-01T00:00:00Z"}, _condition("Succeeded"), End.SUCCEEDED),
        ({"labels": {"flyte.org/termination-status": "terminated"}}, {}, End.TERMINATED),
        ({"annotations": {"flyte.org/termination-status": "terminated"}}, {}, End.TERMINATED),
    ],
)
def test_what_counts_as_the_end_of_an_action(metadata: Object, status: Object, expected: End | None) -> None:
    assert end_of({"metadata": metadata, "status": status}) == expected


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({}, (HOME,)),
        ({"project": "", "domain": ""}, (HOME,)),
        ({"namespace": "questions"}, ("questions", HOME)),
        ({"run": ""}, None),
        ({"action": ""}, None),
        ({"local": True}, None),
    ],
)
def test_where_the_action_is_that_asks(changes: dict[str, Any], places: tuple[str, ...] | None) -> None:
    origin = ORIGIN.model_copy(update=changes)
    asker = Asker.of(origin, origin.namespace)
    assert (None if asker is None else asker.places) == places
    assert asker is None or asker.name == "r1-a0"


def test_an_origin_of_the_previous_release_is_read_and_one_of_this_release_is_read_there() -> None:
    assert Origin.model_validate_json('{"run": "r1", "action": "a0"}').local is False
    # What it does not know, it ignores.
    assert Origin.model_validate({**ORIGIN.model_dump(), "later": 1}) == ORIGIN


def test_two_actions_of_the_same_name_are_told_apart_by_their_labels() -> None:
    asker = Asker("a-b", "c", (HOME,))
    assert asker.is_in({"flyte.org/run": "a-b", "flyte.org/action": "c"})
    assert asker.is_in({})
    assert not asker.is_in({"flyte.org/run": "a", "flyte.org/action": "b-c"})


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        ({}, (), False),
        ({}, ("questions",), False),
        ({}, ("questions", HOME), True),
        ({HOME: True}, (), True),
        ({HOME: False}, ("questions", HOME), False),
        ({"questions": True, HOME: False}, (), True),
        ({"questions": False, HOME: True}, (), False),
        # Somebody else's, or a namespace that Flyte's admin chose: it hides that ours is missing, and never more.
        ({"strange": False}, ("questions", HOME), False),
        ({"strange": True}, ("questions",), False),
        ({"strange": True}, ("questions", HOME), True),
    ],
)
def test_when_it_is_worth_asking_whether_an_action_has_ended(
    seen: dict[str, bool], known: tuple[str, ...], expected: bool
) -> None:
    assert may_have_ended(Asker("r1", "a0", ("questions", HOME)), seen, known.__contains__) is expected


class _Queue:
    """Notes what is queued."""

    def __init__(self) -> None:
        self.added: list[str] = []

    def add(self, work: ReconcileHumanInput) -> None:
        self.added.append(work.name)

    def taken(self) -> list[str]:
        taken, self.added = self.added, []
        return taken


class _Watched:
    """TaskActions in one namespace, as their watch tells of them."""

    def __init__(self, leads: bool = True) -> None:
        self.queue, self.index, self.sight = _Queue(), Index(askers=True), Sight("TaskAction", HOME, needed=False)
        self.actions = TaskActions(self.index, self.queue, lambda _: leads)  # type: ignore[arg-type]  # only add
        self.actions.watched_by([Sight("HumanInput", HOME), self.sight])

    def ask(self, name: str, phase: str = "Pending", **changes: Any) -> HumanInput:
        draft = draft_request(
            request_id=name,
            now=NOW,
            origin=ORIGIN.model_copy(update=changes),
            event_name="asked",
            data_type="int",
            prompt="?",
            timeout_seconds=600,
        )
        content = human_input_of(draft, 60).to_object()
        content["metadata"]["uid"] = f"uid-{name}"
        found = HumanInput.from_object({**content, "status": {"phase": phase, "requestID": name}})
        self.index.put(found)
        return found

    def tell(self, change: str, run: str = "r1", **metadata: Any) -> None:
        self.actions.changed(change, {"metadata": {"name": f"{run}-a0", "namespace": HOME, **metadata}})

    def list_all(self, *runs: str) -> None:
        self.sight.signed()
        for run in runs:
            self.tell("ADDED", run)
        self.actions.listed(HOME, {(HOME, f"{run}-a0") for run in runs})


def test_an_abort_queues_the_questions_of_that_action_that_are_pending() -> None:
    watched = _Watched()
    watched.ask("one"), watched.ask("two"), watched.ask("settled", "Answered"), watched.ask("other", run="r2")
    watched.list_all("r1", "r2")
    assert watched.queue.taken() == []
    watched.tell("MODIFIED", deletionTimestamp="2031-01-01T00:00:00Z")
    assert sorted(watched.queue.taken()) == ["one", "two"]
    watched.tell("DELETED")
    assert sorted(watched.queue.taken()) == ["one", "two"]


def test_what_is_missing_counts_only_once_all_is_listed_and_while_somebody_watches() -> None:
    watched = _Watched()
    watched.ask("one")
    watched.actions.look_at_all()
    assert watched.queue.taken() == [], "nothing is listed yet"
    watched.list_all("r2")
    assert watched.queue.taken() == ["one"]
    watched.sight.failed("forbidden")
    watched.sight.since -= 60
    watched.actions.look_at_all()
    assert watched.queue.taken() == [], "nobody watches any more"
    watched.sight.signed()
    watched.actions.look_at_all()
    assert watched.queue.taken() == ["one"]


def test_what_went_away_while_nobody_watched_is_found_by_the_next_list() -> None:
    watched = _Watched()
    watched.ask("one")
    watched.list_all("r1")
    watched.list_all()
    assert watched.queue.taken() == ["one"]


def test_only_who_does_the_work_on_a_namespace_acts() -> None:
    watched = _Watched(leads=False)
    watched.ask("one")
    watched.list_all()
    watched.tell("DELETED")
    assert watched.queue.taken() == []


@given(st.lists(st.tuples(st.sampled_from(["ADDED", "DELETED", "ask", "settle"]), st.sampled_from(["r1", "r2"]))))
def test_whatever_the_order_a_question_is_queued_exactly_when_its_action_is_missing(
    steps: list[tuple[str, str]],
) -> None:
    watched = _Watched()
    watched.list_all()
    running: set[str] = set()
    pending: set[str] = set()
    for step, run in steps:
        if step in ("ask", "settle"):
            watched.ask(f"of-{run}", "Pending" if step == "ask" else "Answered", run=run)
            (pending.add if step == "ask" else pending.discard)(run)
        else:
            watched.tell(step, run)
            (running.add if step == "ADDED" else running.discard)(run)
        watched.queue.taken()
        watched.actions.look_at_all()
        assert sorted(watched.queue.taken()) == sorted(f"of-{run}" for run in pending - running)
