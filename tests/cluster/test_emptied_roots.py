"""A root that loses what it held, as by somebody's hand or an older backup, while the operator runs."""

from pathlib import Path

from hitl.core import keys
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, conditions, run


async def _emptied(store: Store) -> dict[str, bytes]:
    """Delete every object; return them all."""
    found: dict[str, bytes] = {}
    for key in [key async for key, _ in store.list_keys(keys.PREFIX)]:
        found[key] = await store.read(key) or b""
        await store.delete(key)
    return found


async def _restore(store: Store, objects: dict[str, bytes]) -> None:
    for key, data in objects.items():
        await store.create_once(key, data)


def test_a_question_that_vanished_from_storage_says_so_before_its_deadline(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_backend: Backend, tmp_path: Path
) -> None:
    questions = Questions(quiet_control_plane, quiet_namespace)
    operator = OperatorProcess(
        quiet_control_plane,
        s3_backend,
        tmp_path,
        namespaces=quiet_namespace,
        open_seconds="0.5",
        audit_seconds="0.5",
        auth="proxy",
    )
    operator.start()
    store = Store(s3_backend.url, s3_backend.options)
    try:
        questions.ask("asked")
        gone = run(_emptied(store))
        assert any("request" in each for each in gone)
        quiet_control_plane.until(
            "it says that its question is gone",
            lambda: conditions(questions.get("asked")).get("Stalled") == ("True", "RequestMissing"),
            15,
        )
        # Put back, it goes on.
        run(_restore(store, gone))
        questions.until_condition("asked", "Reconciling", "AwaitingAnswer")
        questions.patch("asked", {"response": {"value": "3"}})
        questions.until("asked", "Answered")
    finally:
        operator.terminate()
