"""Old markers of nobody, as of a team that left, hold up no answer of anybody else."""

import time
import uuid
from functools import partial
from pathlib import Path

import httpx

from hitl.core import keys
from hitl.storage import Store, all_of
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.http_proxy import Fault, HttpProxy
from tests.cluster.operators import OperatorProcess, Questions, Root, run

_MARKERS = 500
_LATE_SECONDS = 15
_ALL_SECONDS = 30


async def _leave(store: Store, name: str) -> None:
    """Leave markers whose question is there, so that they are not deleted, and is nobody's."""
    await store.create_once(keys.request_key(name), b"{}")
    await store.mark(keys.new_marker(name))
    await store.mark(keys.answered_marker(name))


async def _leave_many(store: Store) -> None:
    await all_of([partial(_leave, store, f"old-{number}") for number in range(_MARKERS)])


def test_answers_are_found_while_the_storage_is_asked_about_old_markers(
    quiet_control_plane: ControlPlane, quiet_namespace: str, s3_server: Seaweed, tmp_path: Path
) -> None:
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    root, questions = Root(Backend("s3", url, s3_server.options)), Questions(quiet_control_plane, quiet_namespace)
    run(_leave_many(root.store))
    proxy, asked = HttpProxy(s3_server.endpoint), 0

    def slow(method: str, path: str) -> Fault:
        # Whether the question of a marker is there is asked by HEAD.
        nonlocal asked
        if method == "HEAD" and "/old-" in path:
            asked += 1
            # So long that a sweep which waited for all of them would find nothing for much longer than is allowed.
            return "delay", 5.0
        return "delay", 0.03

    proxy.rule = slow
    operator = OperatorProcess(
        quiet_control_plane,
        Backend("s3", url, {**s3_server.options, "endpoint": proxy.url}),
        tmp_path,
        module=("tests.cluster.hurried",),
        namespaces=quiet_namespace,
        lease="",
        audit_seconds="0.5",
    )
    operator.environment["TEST_STALE"] = "1"
    operator.start()
    try:
        quiet_control_plane.until("old markers are looked up", lambda: asked > 0)
        began = time.monotonic()
        for number in range(5):
            request_id = questions.ask(f"asked-{number}")
            root.answer(request_id, number)
            questions.until(f"asked-{number}", "Answered", _LATE_SECONDS)
        assert time.monotonic() - began < _ALL_SECONDS
        assert httpx.get(f"{operator.url}/healthz").is_success
        assert operator.metric("hitl_root_trouble") == 0
    finally:
        operator.terminate()
        proxy.stop()
