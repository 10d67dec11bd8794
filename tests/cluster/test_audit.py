"""The audit beside an operator: what comes by Kubernetes has its line, and the cluster holds the newest hash."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hitl.core import keys
from hitl.core.audit import Anchor, Attempt
from hitl.core.chain import Finding
from hitl.records.audit_check import Verification
from hitl.records.audit_export import export
from hitl.records.segments import audit_days, segments_of
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, response, run


def test_what_comes_by_kubernetes_has_a_line_and_the_cluster_holds_the_newest_hash(
    quiet_control_plane: ControlPlane,
    quiet_namespace: str,
    s3_server: Seaweed,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    backend = Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)
    root, questions = Root(backend), Questions(quiet_control_plane, quiet_namespace)
    operator = OperatorProcess(
        quiet_control_plane,
        backend,
        tmp_path,
        namespaces=quiet_namespace,
        operator_namespace=quiet_namespace,
        lease=f"audit-{quiet_namespace}",
        audit_anchor="the-audit",
        anchor_seconds="0.2",
    )
    operator.start()
    request.addfinalizer(operator.kill)

    def anchor() -> Anchor | None:
        kept = quiet_control_plane.get(quiet_namespace, "ConfigMap", "the-audit")
        return None if kept is None else Anchor.model_validate_json(kept["data"]["default"])

    def lines() -> list[Attempt]:
        rows = run(_exported(root))
        # The answer to a question that has one is another attempt.
        return [each for each in rows if each.namespace == quiet_namespace]

    patched, committed, deleted = (questions.ask(name) for name in ("patched", "committed", "deleted"))
    late = questions.ask("late", timeoutSeconds=10)
    named = questions.ask("named", respondents={"users": ["ed"]})
    questions.patch("patched", {"response": {"value": "7", "comment": "by hand"}})
    content = response(quiet_namespace, "in-git", "committed", value="8")
    content["metadata"]["annotations"] = {"hitl.flyte.org/commit": "4f1d2ab"}
    quiet_control_plane.apply(content)
    quiet_control_plane.delete(quiet_namespace, "HumanInput", "deleted")
    questions.patch("named", {"response": {"value": "9"}})
    questions.until("patched", "Answered")
    questions.until("committed", "Answered")
    questions.until("late", "TimedOut")
    # An attempt that lost, by another program.
    root.answer(named, 1)
    quiet_control_plane.until(
        "all lines", lambda: {each.request_id for each in lines()} >= {patched, committed, deleted, late}
    )
    quiet_control_plane.until("the refusal", lambda: any(each.result == "refused" for each in lines()))

    found = {each.request_id: each for each in lines() if each.result == "recorded" and each.submission_id}
    assert [(found[each].via, found[each].right, found[each].value) for each in (patched, committed)] == [
        ("kubectl", "kubernetes", "7"),
        (found[committed].via, "kubernetes", "8"),
    ]
    assert found[patched].comment == "by hand"
    assert (found[deleted].attempt, found[deleted].via) == ("cancelled", "operator")
    assert (found[late].attempt, found[late].right) == ("timed_out", "deadline")
    [refused] = [each for each in lines() if each.result == "refused"]
    assert (refused.request_id, refused.reason.partition(":")[0]) == (named, "NotAllowed")

    first = quiet_control_plane.until("an anchor", anchor)
    # Killed, and another one takes over: it goes on from what the cluster holds.
    operator.kill()
    operator.start()
    again = questions.ask("again")
    questions.patch("again", {"response": {"value": "3"}})
    questions.until("again", "Answered")
    quiet_control_plane.until("its line", lambda: any(each.request_id == again for each in lines()))
    quiet_control_plane.until(
        "another anchor", lambda: (found := anchor()) is not None and found.writer != first.writer
    )
    operator.terminate()
    last = anchor()
    assert last is not None
    assert _faults(root, last) == []
    assert _faults(root, first) == []

    # Without its newest lines, or without all of it, the audit does not fit.
    names = run(_names(root))
    dropped = max(name for name in names if name.writer == first.writer)
    run(root.store.delete(dropped.key))
    assert dropped.key in {each.file for each in _faults(root, last)}
    for name in names:
        run(root.store.delete(name.key))
    assert [each.file for each in _faults(root, last)] == [last.name.key]
    # The operator notices by itself, and does not let it be forgotten.
    operator.start()
    quiet_control_plane.until(
        "the metric", lambda: operator.metric("hitl_audit_anchor_missing", root="default") == 1
    )
    quiet_control_plane.until(
        "a new anchor", lambda: (found := anchor()) is not None and found.writer != last.writer
    )
    assert last.name.key in {each.file for each in _faults(root, anchor())}


async def _exported(root: Root) -> list[Attempt]:
    since = datetime(2020, 1, 1, tzinfo=UTC).date()
    return [row.said async for row in export(root.store, since) if isinstance(row.said, Attempt)]


async def _names(root: Root) -> list[keys.SegmentName]:
    return [
        each
        for day in await audit_days(root.store)
        async for each in segments_of(root.store, day)
        if not isinstance(each, str)
    ]


def _faults(root: Root, anchor: Anchor | None) -> list[Finding]:
    async def found() -> list[Finding]:
        checked = Verification(root.store, now=datetime.now(UTC), anchor=anchor)
        return [each async for each in checked.findings() if each.fault]

    return run(found())
