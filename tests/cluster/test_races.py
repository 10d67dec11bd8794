"""The form and kubectl at the same moment."""

import asyncio
import json
from datetime import UTC, datetime

import httpx

from hitl.core.documents import Respondent
from hitl.errors import AlreadySettled
from hitl.records.requests import read_outcome, read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Object, Questions, conditions, question
from tests.library.samples import settle

ROUNDS = 200
_AT_ONCE = 10


class _Api:
    """The API server, for many requests side by side."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._client = httpx.AsyncClient(base_url=plane.url, verify=plane.tls(), timeout=60)
        self._path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{namespace}/humaninputs"

    async def create(self, content: Object) -> None:
        (await self._client.post(self._path, json=content)).raise_for_status()

    async def get(self, name: str) -> Object:
        found: Object = (await self._client.get(f"{self._path}/{name}")).json()
        return found

    async def respond(self, name: str, value: str) -> bool:
        patch = json.dumps({"spec": {"response": {"value": value}}})
        headers = {"Content-Type": "application/merge-patch+json"}
        query = {"fieldManager": "kubectl-patch"}
        reply = await self._client.patch(f"{self._path}/{name}", content=patch, headers=headers, params=query)
        assert reply.status_code in (200, 422), reply.text
        if reply.status_code == 422:
            assert "already" in reply.text
        return reply.is_success

    async def until(self, name: str, phase: str, condition: str | None = None) -> Object:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.get(name)
                status = found.get("status", {})
                there = condition is None or condition in conditions(found)
                if status.get("phase") == phase and "requestID" in status and there:
                    return found
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self._client.aclose()


async def test_the_form_and_kubectl_patch_at_the_same_moment(
    questions: Questions, shared_backend: Backend
) -> None:
    api = _Api(questions.plane, questions.namespace)
    store = Store(shared_backend.url, shared_backend.options)
    limit = asyncio.Semaphore(_AT_ONCE)
    # The operator needs a moment for what kubectl wrote: how long depends on the machine. Where the form won, the
    # next one is that much later, so that it is about even.
    later = 0.04

    async def by_form(request_id: str, pause: float) -> bool:
        await asyncio.sleep(pause)
        request = await read_request(store, request_id)
        submission = Submission("answered", Respondent(name="ada", via="web"), value=1, text=False)
        try:
            await settle(store, request, submission, now=datetime.now(UTC), markers=True)
        except AlreadySettled:
            return False
        return True

    async def play(number: int) -> str:
        nonlocal later
        async with limit:
            name = f"round-{number}"
            await api.create(question(questions.namespace, name))
            request_id = (await api.until(name, "Pending"))["status"]["requestID"]
            form, accepted = await asyncio.gather(
                by_form(request_id, later * (number % 5) / 2), api.respond(name, "2")
            )
            later *= 1.2 if form else 1 / 1.2
            found = await api.until(name, "Answered")
            outcome = await read_outcome(store, request_id)
            assert outcome is not None
            assert found["status"]["value"] == outcome.value_text()
            assert form is (outcome.value == 1)
            if form and accepted:
                found = await api.until(name, "Answered", "ResponseRefused")
                # The loser's response stays readable, and the status says who won.
                assert found["spec"]["response"] == {"value": "2"}
                assert conditions(found)["ResponseRefused"] == ("True", "Superseded")
                [message] = [
                    each["message"] for each in found["status"]["conditions"] if each["type"] == "ResponseRefused"
                ]
                assert "answered by ada (unverified) via web" in message
                await asyncio.to_thread(
                    questions.plane.until, "its Event", lambda: "SubmissionRefused" in questions.events(name)
                )
                return "form, and kubectl was told"
            assert "ResponseRefused" not in conditions(found)
            return "form" if form else "kubectl"

    try:
        winners = await asyncio.gather(*(play(number) for number in range(ROUNDS)))
    finally:
        await api.close()
    assert len(winners) == ROUNDS
    # Otherwise nobody raced anybody.
    assert winners.count("kubectl") > 5
    assert winners.count("form, and kubectl was told") > 5
