"""Questions and answers in a Git repository, applied by Flux's own controllers: what the guide for GitOps says."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hitl.core.documents import OutcomeDocument
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.chart.charts import PLAIN, render
from tests.cluster.control_plane import ControlPlane
from tests.cluster.flux import CANCELS, Flux, Team
from tests.cluster.git import GitServer
from tests.cluster.operators import Object, OperatorProcess, Root, question, response


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this module's own, as Flux and the chart's admission policies watch all of it."""
    plane = ControlPlane(tmp_path_factory.mktemp("flux-plane"))
    plane.start()
    plane.install_crds()
    chart = render(PLAIN | {"identity": {"mutatingAdmissionPolicy": True}})
    policies = [each for each in chart if "AdmissionPolicy" in each["kind"]]
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(policies))
    answered = yaml.safe_dump(question("default", "probe", response={"value": "1"}))
    probe = ("create", "-f", "-", "--dry-run=server", "-o=json")
    # Definitions and policies hold a moment after they were made.
    plane.until("policies", lambda: "respondent" in plane.kubectl(*probe, stdin=answered, check=False).out)
    yield plane
    plane.stop()


@pytest.fixture(scope="module")
def root(s3_server: Seaweed) -> Root:
    """A root for `plane`."""
    return Root(Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options))


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    server = GitServer(tmp_path_factory.mktemp("git"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def flux(plane: ControlPlane, root: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Flux and an operator at work."""
    try:
        flux = Flux(plane, tmp_path_factory.mktemp("flux"))
    except RuntimeError as error:
        pytest.skip(f"not tested with Flux, which cannot be built here: {error}")
    operator = OperatorProcess(plane, root.backend, tmp_path_factory.mktemp("operator"), identity_verified="true")
    operator.start()
    flux.start()
    yield
    flux.stop()
    operator.terminate()


@pytest.fixture
def team(flux: None, plane: ControlPlane, git: GitServer) -> Team:
    namespace = f"team-{uuid.uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", namespace)
    return Team(plane, namespace, git.repository(namespace))


def _answers(team: Team, how: str, **given: Any) -> dict[str, Object]:
    """Return the files that answer the question `asked`, in one of the two ways."""
    if how == "HumanInputResponse":
        return {"answer": response(team.namespace, "answer", "asked", **given)}
    return {"asked": question(team.namespace, "asked", response=given)}


def _outcome(root: Root, request_id: str) -> OutcomeDocument:
    found = root.outcome(request_id)
    assert found is not None
    return found


both_ways = pytest.mark.parametrize("how", ["HumanInputResponse", "spec.response"])


@both_ways
def test_a_commit_asks_another_answers_and_the_sync_goes_on(team: Team, root: Root, how: str) -> None:
    team.follow(labels=CANCELS)
    team.commit(asked=question(team.namespace, "asked"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    team.until_waiting()
    answering = team.commit(**_answers(team, how, value="42"))
    status = team.until("asked", "Answered")["status"]
    assert (status["answeredVia"], status["answeredBy"], status["verified"]) == ("gitops", team.user, True)
    assert _outcome(root, request_id).value == 42
    team.until_ready(answering)
    assert team.failures() == []


def test_a_commit_that_answers_is_applied_when_the_health_check_ends(team: Team) -> None:
    team.follow(timeout="30s", retryInterval="1s")
    team.commit(asked=question(team.namespace, "asked"))
    team.until_waiting()
    answering = team.commit(**_answers(team, "HumanInputResponse", value="42"))
    team.until_ready(answering)
    [failure, *_] = team.failures()
    assert f"timeout waiting for: [HumanInput/{team.namespace}/asked status: 'InProgress']" in failure


@pytest.mark.parametrize("health", [{}, {"healthCheckExprs": []}], ids=["healthCheckExprs", "kstatus"])
def test_a_rejected_question_fails_the_sync(team: Team, health: Object) -> None:
    team.follow(**health)
    asked = question(team.namespace, "asked")
    commit = team.commit(asked=asked, **_answers(team, "HumanInputResponse", reject=True, comment="not today"))
    ready, message = team.synced(commit)
    assert ready == "False"
    assert (
        f"failed early due to stalled resources: [HumanInput/{team.namespace}/asked status: 'Failed']" in message
    )
    assert team.until("asked", "Rejected")["status"]["comment"] == "not today"


@pytest.mark.parametrize("how", ["HumanInputResponse", "spec.response", "kubectl", "web"])
def test_fifty_reconciliations_with_an_answer_in_the_middle_change_nothing(
    team: Team, root: Root, how: str
) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]

    def versions() -> set[str]:
        found = set()
        for _ in range(25):
            team.reconcile()
            found.add((team.get("asked") or {})["metadata"]["resourceVersion"])
        return found

    assert len(versions()) == 1
    if how == "kubectl":
        team.patch("asked", {"response": {"value": "42"}})
    elif how == "web":
        root.answer(request_id, 42)
    else:
        team.until_ready(team.commit(**_answers(team, how, value="42")))
    team.until("asked", "Answered")
    # Flux takes out what kubectl wrote, once.
    team.reconcile()
    team.until_seen("asked")
    assert len(versions()) == 1
    assert team.failures() == []


@both_ways
def test_reverting_the_commit_that_answered_fails_no_sync_and_takes_nothing_back(
    team: Team, root: Root, how: str
) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    team.commit(**_answers(team, how, value="42"))
    answered = team.until("asked", "Answered")
    outcome = _outcome(root, request_id)
    for _ in ("revert", "revert the revert"):
        commit = team.repository.revert()
        team.fetch(commit)
        assert team.synced(commit)[0] == "True"
        assert team.until("asked", "Answered")["metadata"]["uid"] == answered["metadata"]["uid"]
        assert _outcome(root, request_id) == outcome
    assert team.failures() == []


def test_pruning_the_response_leaves_the_question(team: Team) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"), **_answers(team, "HumanInputResponse", value="42"))
    team.until("asked", "Answered")
    commit = team.commit(answer=None)
    assert team.synced(commit)[0] == "True"
    assert team.plane.get(team.namespace, "HumanInputResponse", "answer") is None
    assert team.until("asked", "Answered")["status"]["value"] == "42"


def test_pruning_a_pending_question_withdraws_it(team: Team, root: Root) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"), other=question(team.namespace, "other"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    commit = team.commit(asked=None)
    assert team.synced(commit)[0] == "True"
    team.plane.until("it is withdrawn", lambda: root.outcome(request_id))
    assert _outcome(root, request_id).outcome == "cancelled"


def test_a_pending_question_that_somebody_deletes_is_withdrawn_and_asked_again(team: Team, root: Root) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    team.plane.delete(team.namespace, "HumanInput", "asked")
    team.plane.until("it is withdrawn", lambda: root.outcome(request_id))
    team.reconcile()
    assert team.until("asked", "Pending")["status"]["requestID"] != request_id


def test_a_question_with_a_ttl_is_asked_again_after_it(team: Team, root: Root) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked", ttlSecondsAfterFinished=1))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    root.answer(request_id, 42)
    team.plane.until("it is deleted", lambda: team.get("asked") is None)
    team.reconcile()
    assert team.until("asked", "Pending")["status"]["requestID"] != request_id


def test_who_may_not_answer_asks_and_the_commit_that_answers_fails_with_a_sentence(team: Team) -> None:
    team.follow(wait=False, may_answer=False)
    team.commit(asked=question(team.namespace, "asked"))
    team.until("asked", "Pending")
    for how in ("HumanInputResponse", "spec.response"):
        ready, message = team.synced(team.commit(**_answers(team, how, value="42")))
        assert ready == "False"
        assert f"{team.user} may not answer asked: that takes the verb answer" in message
    team.until("asked", "Pending")


def test_a_changed_question_fails_the_sync_with_a_sentence(team: Team) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"))
    ready, message = team.synced(team.commit(asked=question(team.namespace, "asked", prompt="How few?")))
    assert ready == "False"
    assert "prompt cannot be changed, as the question was asked: create another HumanInput" in message


def test_an_answer_that_comes_too_late_fails_the_sync_in_the_question_and_not_beside_it(team: Team) -> None:
    team.follow(wait=False)
    team.commit(asked=question(team.namespace, "asked"))
    team.until("asked", "Pending")
    team.patch("asked", {"response": {"reject": True}})
    team.until("asked", "Rejected")
    assert team.synced(team.commit(**_answers(team, "HumanInputResponse", value="42")))[0] == "True"
    team.until_condition("answer", "Accepted", "Superseded", "HumanInputResponse")
    ready, message = team.synced(team.commit(**_answers(team, "spec.response", value="42")))
    assert ready == "False"
    assert "the question is already Rejected, so no other response can be given" in message


@pytest.mark.parametrize("verb", ["patch", "apply"])
def test_what_kubectl_answered_flux_takes_out_of_the_question_and_the_outcome_stands(
    team: Team, root: Root, verb: str
) -> None:
    team.follow(wait=False)
    commit = team.commit(asked=question(team.namespace, "asked"))
    request_id = team.until("asked", "Pending")["status"]["requestID"]
    if verb == "patch":
        team.patch("asked", {"response": {"value": "42"}})
    else:
        answered = yaml.safe_dump(question(team.namespace, "asked", response={"value": "42"}))
        team.plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=answered)
    team.until("asked", "Answered")
    team.reconcile()
    assert team.synced(commit)[0] == "True"
    assert "response" not in team.until("asked", "Answered")["spec"]
    assert (_outcome(root, request_id).value, _outcome(root, request_id).respondent.via) == (42, "kubectl")


def test_a_pipeline_that_writes_what_is_applied_names_the_commit(team: Team, root: Root) -> None:
    team.follow(branch="applied", wait=False)
    asked, answer = question(team.namespace, "asked"), response(team.namespace, "answer", "asked", value="42")
    author = team.repository.commit(asked=asked, answer=answer)
    annotate = ("annotate", "--local", "-f", "-", "-o=yaml", f"hitl.flyte.org/commit={author}")
    annotated = yaml.safe_load(team.plane.kubectl(*annotate, stdin=yaml.safe_dump(answer)).out)
    team.fetch(team.repository.commit("applied", answer=annotated))
    request_id = team.until("asked", "Answered")["status"]["requestID"]
    assert _outcome(root, request_id).respondent.commit == author
