"""Several operators share the namespaces, and when one dies the others do its work."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitl_operator.shards import shard_of
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, question

SHARDS = 3
NAMESPACES = [f"team-{number}" for number in range(12)]


@pytest.fixture
def plane(own_control_plane: ControlPlane) -> ControlPlane:
    for name in NAMESPACES:
        own_control_plane.kubectl("create", "namespace", name)
    return own_control_plane


@pytest.fixture
def operators(plane: ControlPlane, s3_backend: Backend, tmp_path: Path) -> Iterator[list[OperatorProcess]]:
    found = [
        OperatorProcess(plane, s3_backend, tmp_path, shards=str(SHARDS), open_seconds="1") for _ in range(SHARDS)
    ]
    for each in found:
        each.start()
    plane.until("each has its share", lambda: [each.metric("hitl_leading") for each in found] == [1, 1, 1])
    # The first one, which is killed, is not the one that finds questions without a HumanInput meanwhile.
    lease = f"hitl-operator-{shard_of('default', SHARDS)}-of-{SHARDS}"
    holder = plane.kubectl("get", "lease", lease, "-o", "jsonpath={.spec.holderIdentity}").out
    yield sorted(found, key=lambda each: f"-{each.pid}-" in holder)
    for each in found:
        each.kill()


def test_the_namespaces_of_this_test_are_in_every_part() -> None:
    assert {shard_of(name, SHARDS) for name in NAMESPACES} == set(range(SHARDS))


def test_each_does_its_share_and_when_one_is_killed_the_others_do_its_work(
    plane: ControlPlane, operators: list[OperatorProcess], s3_backend: Backend
) -> None:
    root, teams = Root(s3_backend), [Questions(plane, name) for name in NAMESPACES]
    ids = {each.namespace: each.ask("first") for each in teams}
    plane.until("each counts its own", lambda: sum(each.metric("hitl_pending") for each in operators) == 12)
    assert all(each.metric("hitl_pending") > 0 for each in operators)
    for each in teams[:6]:
        each.patch("first", {"response": {"value": "1"}})
    for each in teams[6:]:
        root.answer(ids[each.namespace], 1)
    for each in teams:
        each.until("first", "Answered")
    # A status is written before it is counted.
    plane.until("all are counted", lambda: sum(each.metric("hitl_outcomes_total") for each in operators) >= 12)
    assert all(each.metric("hitl_outcomes_total") > 0 for each in operators)
    assert sum(each.metric("hitl_outcomes_total") for each in operators) == 12, "nothing is done twice"
    timed = [each.metric("hitl_answer_seconds_count", outcome="answered") for each in operators]
    assert sum(timed) == 12, "each answer is timed by one of them"
    namespace = teams[0].namespace
    assert sum(each.metric("hitl_answer_seconds_count", question_namespace=namespace) for each in operators) == 1

    for each in teams:
        each.ask("second")
    operators[0].kill()
    for each in teams[:6]:
        each.patch("second", {"response": {"value": "2"}})
        plane.apply(question(each.namespace, "third"))
    for each in teams[6:]:
        plane.delete(each.namespace, "HumanInput", "second")
    for each in teams[:6]:
        assert each.until("second", "Answered")["status"]["value"] == "2"
        each.until("third", "Pending")
    left = operators[1:]
    plane.until("all parts are led", lambda: sum(each.metric("hitl_leading") for each in left) == SHARDS)
    time.sleep(5)
    for each in teams[6:]:
        assert each.get("second") is None, "what was deleted meanwhile stays so"
    plane.until("what was deleted is settled", lambda: sum(each.metric("hitl_pending") for each in left) == 6)

    # One that comes later gets its share of those who have more.
    operators[0].start()
    plane.until("each has its share", lambda: [each.metric("hitl_leading") for each in operators] == [1, 1, 1])
    for each in teams[:6]:
        each.patch("third", {"response": {"value": "3"}})
        each.until("third", "Answered")
        each.until_events("third", "Answered", "Requested")
    assert all(each.terminate() == 0 for each in operators)
