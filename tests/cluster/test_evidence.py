"""What Kubernetes answers is recorded only while the evidence is what was asked with the question."""

import uuid
from datetime import UTC, datetime

import pytest

from hitl.cli.cluster_backend import InCluster, Target
from hitl.core import keys
from hitl.core.documents import Origin, sha256_hex
from hitl.core.evidence import Evidence
from hitl.errors import StorageError
from tests.cluster.operators import Questions, Root, response, run
from tests.library.beside import stored_as
from tests.library.samples import asked

DATA = b"rows: 10"
EVIDENCE = Evidence(
    name="plan", kind="file", media_type="text/plain", size_bytes=len(DATA), sha256=sha256_hex(DATA)
)


async def ask(root: Root, namespace: str) -> str:
    request_id = f"shown-{uuid.uuid4().hex[:8]}"
    shown = [await stored_as(root.store, request_id, EVIDENCE, DATA)]
    await asked(root.store, request_id, now=datetime.now(UTC), origin=Origin(namespace=namespace), evidence=shown)
    await root.store.mark(keys.new_marker(request_id))
    return request_id


def test_nothing_is_recorded_while_the_evidence_is_not_what_was_asked(questions: Questions, root: Root) -> None:
    name = run(ask(root, questions.namespace))
    questions.until(name, "Pending")
    key = keys.evidence_key(name, EVIDENCE.sha256)
    run(root.store.delete(key))
    run(root.store.create_once(key, DATA[:-1] + b"9"))

    questions.patch(name, {"response": {"value": "1"}})
    questions.plane.apply(response(questions.namespace, f"{name}-r", name, value="1"))

    refused = questions.until_condition(name, "ResponseRefused", "EvidenceChanged")
    questions.until_condition(f"{name}-r", "Accepted", "EvidenceChanged", "HumanInputResponse")
    assert refused["status"]["phase"] == "Pending"
    assert root.outcome(name) is None
    # The command says so at once: whoever waits for the operator would be told that it does not look.
    backend = InCluster(Target(str(questions.plane.kubeconfig), None, questions.namespace))
    with pytest.raises(StorageError, match="is not what was asked with it"):
        run(backend.answer(name, "1", text=True, comment=""))

    run(root.store.delete(key))
    run(root.store.create_once(key, DATA))
    questions.patch(name, {"response": {"value": "2"}})
    assert questions.until(name, "Answered")["status"]["value"] == "2"
