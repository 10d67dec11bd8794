"""A question ends with the workflow that asks it: what counts as the end of a TaskAction, and what never does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import hitl
from hitl.core import keys
from hitl.core.documents import Origin, OutcomeDocument
from hitl.errors import AlreadySettled
from hitl.records.records import Records
from hitl.records.requests import read_request
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE
from tests.cluster.control_plane import ControlPlane
from tests.cluster.flyte_actions import CRD, FlyteActions
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, run
from tests.library.samples import asked, event_of

PLACE = "shop-development"
ROUNDS = 24
_DEFINITION = "CustomResourceDefinition"


class Flyte:
    """A namespace of Flyte's, its questions, and an operator that watches both.

    Args:
        plane: The API server.
        backend: The root.
        folder: For the operator's log.
    """

    def __init__(self, plane: ControlPlane, backend: Backend, folder: Path) -> None:
        self.plane, self.root = plane, Root(backend)
        self.questions, self.actions = Questions(plane, PLACE), FlyteActions(plane, PLACE)
        self.operator = OperatorProcess(plane, backend, folder, lease="", flyte_task_actions="true")

    def ask(self, name: str, action: str = "a0", **origin: object) -> str:
        """Ask as a task of the run does, and return the request's id when it is shown."""
        known = {"project": "shop", "domain": "development", "namespace": PLACE, "run": name, "action": action}
        come_from = Origin.model_validate({**known, **origin})
        request_id = f"{name}-{action}-question"

        async def ask() -> None:
            store = self.root.store
            await asked(store, request_id, now=datetime.now(UTC), origin=come_from)
            await store.mark(keys.new_marker(request_id))

        run(ask())
        shown = Questions(self.plane, come_from.namespace)
        self.plane.until(f"{request_id} is shown", lambda: (shown.get(request_id) or {}).get("status"))
        return request_id

    def phase(self, request_id: str) -> str | None:
        """Return the phase that the HumanInput shows, once it does."""
        found = self.questions.get(request_id)
        return None if found is None else found.get("status", {}).get("phase")

    def until_cancelled(self, request_id: str) -> OutcomeDocument:
        """Wait for the end, and return the outcome."""
        self.questions.until(request_id, "Cancelled")
        outcome = self.root.outcome(request_id)
        assert outcome is not None
        assert (outcome.outcome, outcome.reason, outcome.respondent.via) == ("cancelled", "RunAborted", "operator")
        return outcome

    def until_all_is_looked_at(self) -> None:
        """Wait until an abort that came after everything else was acted upon."""
        self.actions.begin("fence")
        last = self.ask("fence")
        self.actions.abort("fence")
        self.until_cancelled(last)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this file's own, as no other operator may see its questions."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    plane.start()
    try:
        plane.install_crds()
        for name in (PLACE, "elsewhere", "leaving"):
            plane.kubectl("create", "namespace", name)
        FlyteActions(plane, PLACE).install()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def flyte(plane: ControlPlane, s3_backend: Backend, tmp_path: Path) -> Iterator[Flyte]:
    each = Flyte(plane, s3_backend, tmp_path)
    each.operator.start()
    yield each
    each.operator.kill()
    for kind in ("humaninputs", "taskactions"):
        plane.kubectl("delete", kind, "--all", "-n", PLACE, check=False)


async def test_an_aborted_run_ends_its_questions(flyte: Flyte) -> None:
    actions, questions, store = flyte.actions, flyte.questions, flyte.root.store
    await asyncio.to_thread(actions.begin, "aborted", held=True)
    await asyncio.to_thread(actions.begin, "aborted", "child")
    request_id = await asyncio.to_thread(flyte.ask, "aborted")
    child = await asyncio.to_thread(flyte.ask, "aborted", "child")
    waiting = asyncio.ensure_future(
        event_of(Records(store, announce=True), await read_request(store, request_id)).wait.aio()
    )
    for action in ("a0", "child"):
        await asyncio.to_thread(actions.abort, "aborted", action)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(
            hitl.EventCancelled, match=r"The workflow has ended: action a0 of run aborted was abor"
        ):
            await waiting
    # Flyte's executor still holds the action: its deletion alone tells.
    await asyncio.to_thread(actions.let_go, "aborted")
    await asyncio.to_thread(flyte.until_cancelled, child)
    outcome = await asyncio.to_thread(flyte.until_cancelled, request_id)
    assert outcome.summary().endswith(": The workflow has ended: action a0 of run aborted was aborted.")
    shown = questions.get(request_id)
    assert shown is not None
    assert shown["status"]["comment"] == outcome.comment
    assert conditions(shown)["Settled"] == ("True", "RunAborted")
    assert conditions(shown)["Stalled"] == ("True", "RunAborted")
    await asyncio.to_thread(questions.until_events, request_id, "Requested", "RunAborted")
    with pytest.raises(AlreadySettled, match="The workflow has ended"):
        await asyncio.to_thread(flyte.root.answer, request_id, 7)
    refused = questions.patch(request_id, {"response": {"value": "7"}}, check=False)
    assert "the question is already Cancelled" in refused.err
    await asyncio.to_thread(flyte.plane.until, "no marker is left", lambda: not flyte.root.markers())


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda actions: actions.end("over", "Succeeded"), "has succeeded"),
        (lambda actions: actions.end("over", "Failed"), "has failed"),
        (lambda actions: actions.mark("over"), "was terminated"),
    ],
    ids=["succeeded", "failed", "marked"],
)
def test_a_question_that_its_action_left_open_ends(
    flyte: Flyte, end: Callable[[FlyteActions], None], words: str
) -> None:
    flyte.actions.begin("over")
    request_id = flyte.ask("over")
    end(flyte.actions)
    assert flyte.until_cancelled(request_id).comment == f"The workflow has ended: action a0 of run over {words}."


def test_what_happened_while_the_operator_was_away_is_found_at_its_start(flyte: Flyte) -> None:
    for name in ("goes", "stays"):
        flyte.actions.begin(name)
    gone, stays = flyte.ask("goes"), flyte.ask("stays")
    assert flyte.operator.terminate() == 0
    flyte.actions.abort("goes")
    flyte.operator.start()
    assert flyte.until_cancelled(gone).comment.endswith("action a0 of run goes is gone.")
    flyte.until_all_is_looked_at()
    assert flyte.phase(stays) == "Pending"


def test_a_question_that_comes_after_the_end_ends_too(flyte: Flyte) -> None:
    assert flyte.until_cancelled(flyte.ask("never-seen")).comment.endswith("is gone.")


def test_what_no_taskaction_asks_stays(flyte: Flyte) -> None:
    flyte.questions.ask("born-in-kubernetes")
    stay = [flyte.ask("on-a-laptop", local=True), flyte.ask("by-a-program", run="")]
    # The author named a namespace for questions: the TaskAction is where Flyte has it.
    flyte.actions.begin("named")
    elsewhere, run_elsewhere = Questions(flyte.plane, "elsewhere"), flyte.ask("named", namespace="elsewhere")
    flyte.until_all_is_looked_at()
    assert [flyte.phase(each) for each in ("born-in-kubernetes", *stay)] == ["Pending"] * 3
    elsewhere.until(run_elsewhere, "Pending")
    flyte.actions.abort("named")
    elsewhere.until(run_elsewhere, "Cancelled")


def test_an_annotation_that_names_an_aborted_run_ends_nothing(flyte: Flyte) -> None:
    flyte.actions.begin("goes-on")
    request_id = flyte.ask("goes-on")
    flyte.questions.ask("born-in-kubernetes")
    for name in (request_id, "born-in-kubernetes"):
        flyte.plane.kubectl(
            "annotate", "hi", name, "-n", PLACE, "--overwrite",
            "hitl.flyte.org/run=aborted-before", "hitl.flyte.org/action=a0",
        )  # fmt: skip
    flyte.until_all_is_looked_at()
    assert [flyte.phase(name) for name in (request_id, "born-in-kubernetes")] == ["Pending"] * 2
    # Storage says which action asks: that one's end is found, whatever an annotation hides, once somebody looks.
    flyte.actions.abort("goes-on")
    httpx.post(f"{flyte.operator.url}/hints/{request_id}").raise_for_status()
    flyte.until_cancelled(request_id)


def test_a_run_that_flyte_forgets_cancels_nothing_that_is_settled(flyte: Flyte) -> None:
    flyte.actions.begin("answered")
    request_id = flyte.ask("answered")
    flyte.root.answer(request_id, 5)
    flyte.questions.until(request_id, "Answered")
    flyte.actions.abort("answered")
    flyte.until_all_is_looked_at()
    outcome = flyte.root.outcome(request_id)
    assert outcome is not None
    assert (outcome.value, flyte.phase(request_id)) == (5, "Answered")


def test_an_answer_and_an_abort_at_the_same_moment_have_one_outcome(flyte: Flyte) -> None:
    names = [f"race-{number}" for number in range(ROUNDS)]
    for name in names:
        flyte.actions.begin(name)
    ids = [flyte.ask(name) for name in names]

    async def play(number: int, pause: float) -> bool:
        aborting = asyncio.create_task(asyncio.to_thread(flyte.actions.abort, names[number]))
        await asyncio.sleep(pause)
        try:
            await asyncio.to_thread(flyte.root.answer, ids[number], number)
        except AlreadySettled:
            return False
        finally:
            await aborting
        return True

    async def play_all() -> list[bool]:
        # Who won waits longer the next time, so that on any machine it is about even.
        won, pause = [], 0.2
        for number in range(ROUNDS):
            won.append(await play(number, pause))
            pause = pause * 1.5 if won[-1] else pause / 2
        return won

    answered = run(play_all())
    for number, request_id in enumerate(ids):
        flyte.questions.until(request_id, "Answered" if answered[number] else "Cancelled")
        outcome = flyte.root.outcome(request_id)
        assert outcome is not None
        assert outcome.outcome == ("answered" if answered[number] else "cancelled")
    # Otherwise nobody raced anybody.
    assert set(answered) == {True, False}


def test_when_a_namespace_is_deleted_no_question_ends(flyte: Flyte) -> None:
    there = FlyteActions(flyte.plane, "leaving")
    for name in ("first", "second"):
        there.begin(name)
        flyte.ask(name, project="", namespace="leaving")
    there.abort("first")
    leaving = Questions(flyte.plane, "leaving")
    leaving.until("first-a0-question", "Cancelled")
    # Without controllers, nothing in it is deleted by itself.
    flyte.plane.delete("", "Namespace", "leaving")
    there.abort("second")
    flyte.until_all_is_looked_at()
    leaving.until("second-a0-question", "Pending")


def test_when_flyte_is_uninstalled_no_question_ends(flyte: Flyte) -> None:
    for number in range(5):
        flyte.actions.begin(f"kept-{number}", held=number == 0)
    ids = [flyte.ask(f"kept-{number}") for number in range(5)]
    try:
        flyte.plane.kubectl("delete", "crd", CRD, "--wait=false")
        flyte.actions.plane.until("the others are gone", lambda: _count(flyte) == 1)
        flyte.actions.let_go("kept-0")
        unserved = "waiting: the API server does not serve flyte.org/v1 TaskAction: install Flyte 2"
        flyte.plane.until("it says so", lambda: unserved in flyte.operator.said())
        flyte.plane.until("the probe says so", lambda: "not seen: TaskAction: " in _ready(flyte))
        # Everything else goes on.
        flyte.questions.ask("fence")
        flyte.questions.patch("fence", {"response": {"value": "1"}})
        flyte.questions.until("fence", "Answered")
        assert [flyte.phase(each) for each in ids] == ["Pending"] * 5
        flyte.plane.until("the metric says so", lambda: flyte.operator.metric("hitl_unseen_watches") == 1)
    finally:
        flyte.plane.until("Flyte is gone", lambda: flyte.plane.get("", _DEFINITION, CRD) is None)
        flyte.actions.install()


def _count(flyte: Flyte) -> int:
    found = flyte.plane.kubectl("get", "--raw", f"/apis/flyte.org/v1/namespaces/{PLACE}/taskactions")
    return len(json.loads(found.out)["items"])


def _ready(flyte: Flyte) -> str:
    probe = httpx.get(f"{flyte.operator.url}/readyz")
    assert probe.status_code == 200
    return probe.text


def test_where_the_right_to_see_taskactions_is_missing_no_question_ends(
    plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    flyte = Flyte(plane, s3_backend, tmp_path)
    flyte.operator.kubeconfig = plane.user("limited")
    _grant(plane, "operator", {"hitl.flyte.org": "*", "": "*", "coordination.k8s.io": "*"})
    flyte.operator.start()
    try:
        flyte.actions.begin("unseen")
        request_id = flyte.ask("unseen")
        flyte.actions.abort("unseen")
        flyte.plane.until("the probe says so", lambda: "not seen: TaskAction: " in _ready(flyte))
        assert "forbidden" in _ready(flyte)
        flyte.questions.ask("fence")
        flyte.questions.patch("fence", {"response": {"value": "1"}})
        flyte.questions.until("fence", "Answered")
        assert flyte.phase(request_id) == "Pending"
        _grant(plane, "flyte", {"flyte.org": "taskactions"}, ("get", "list", "watch"))
        flyte.until_cancelled(request_id)
        flyte.plane.until("all is seen", lambda: _ready(flyte) == "ok")
    finally:
        flyte.operator.kill()


def _grant(
    plane: ControlPlane,
    role: str,
    resources: dict[str, str],
    verbs: tuple[str, ...] = ("*",),
    user: str = "limited",
) -> None:
    rules = [
        {"apiGroups": [group], "resources": [each], "verbs": list(verbs)} for group, each in resources.items()
    ]
    metadata = {"name": f"{user}-{role}"}
    content = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata}
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({**content, "rules": rules}))
    name = metadata["name"]
    plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={user}")
