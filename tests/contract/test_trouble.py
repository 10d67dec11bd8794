"""Storage that is unsuitable, unreachable, slow or loses messages: what a caller is told, and how soon."""

import asyncio
import base64
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hitl.core import keys
from hitl.core.documents import OutcomeDocument
from hitl.errors import StorageError, StorageUnavailable, StorageUnsuitable
from hitl.records.links import add_link
from hitl.records.requests import read_outcome, read_request
from hitl.records.submissions import new_submission_id
from hitl.storage import Store
from hitl.storage.objectstores import ObjectFileSystem
from tests.backends.plugin import Backend
from tests.backends.processes import free_ports
from tests.backends.seaweed import BUCKET, Seaweed
from tests.contract.wires import Behaviour, Fate, fake_s3, lossy_wire
from tests.library.samples import NOW, answer, asked, settle

KEY = "hitl-requests/a/response.json"
# A person waits for it: the bound of a call, and a little for a busy machine.
PATIENCE = 20.0


def s3(endpoint: str, **more: Any) -> Store:
    access = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}
    return Store(f"s3://{BUCKET}/root", {**access, "endpoint": endpoint, **more})


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("ignores conditions", "of 2 creations of one key at once 2 succeeded"),
        ("refuses every creation", "what was created did not last"),
        ("knows no conditions", "knows no way to create"),
        ("refuses everybody", "check the credentials"),
    ],
)
async def test_a_fake_s3_that_cannot_hold_outcomes_is_refused(behaviour: Behaviour, sentence: str) -> None:
    with fake_s3(behaviour) as endpoint, pytest.raises(StorageUnsuitable) as refused:
        await s3(endpoint).probe()

    assert sentence in str(refused.value)
    assert f"s3://{BUCKET}/root" in str(refused.value)


async def test_a_wrong_key_to_azure_is_named(azure_backend: Backend) -> None:
    wrong = {**azure_backend.options, "account_key": base64.b64encode(secrets.token_bytes(64)).decode()}
    store = Store(azure_backend.url, wrong)

    for attempt in (store.probe, lambda: store.read(KEY), store.list_request_ids):
        with pytest.raises(StorageUnsuitable, match="check the credentials' rights") as refused:
            await attempt()
        assert str(wrong["account_key"]) not in str(refused.value)


async def test_a_signature_in_the_address_is_not_repeated() -> None:
    [port] = free_ports(1)
    endpoint = {"endpoint": f"http://127.0.0.1:{port}/account", "account_name": "account"}
    store = Store("az://container/root", {**endpoint, "sas_key": "sv=2021-08-06&sig=c2VjcmV0"})

    with pytest.raises(StorageUnavailable, match="could not read") as failed:
        await store.read(KEY)

    assert "c2VjcmV0" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    # Some servers do not tell strangers that a bucket is missing, only that they may not write there.
    [("s3", "that the bucket is there"), ("azure", "create its bucket"), ("gcs", "create its bucket")],
)
async def test_a_bucket_that_is_not_there_is_named(
    name: str, sentence: str, request: pytest.FixtureRequest
) -> None:
    backend: Backend = request.getfixturevalue(f"{name}_backend")
    url = backend.url.replace(f"//{BUCKET}/", "//no-such-bucket/")
    store = Store(url, backend.options)

    attempts: list[Callable[[], Awaitable[Any]]] = [
        store.probe,
        lambda: store.mark(keys.new_marker("a")),
        lambda: store.create_once(KEY, b"x"),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError, match=sentence) as refused:
            await attempt()
        assert url in str(refused.value)


async def calls(store: Store) -> list[float]:
    """Make every kind of call at once; each must fail in time. Return how many seconds each took."""

    async def fails(call: Any) -> float:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable) as failed:
            await call
        assert store.url in str(failed.value)
        return time.monotonic() - began

    every: list[Any] = [
        store.create_once(KEY, b"x"),
        store.read(KEY),
        store.exists(KEY),
        store.mark(keys.new_marker("a")),
        store.delete(KEY),
        store.list_markers(keys.NEW),
        store.probe(),
    ]
    return await asyncio.gather(*map(fails, every))


async def test_an_endpoint_that_nobody_serves() -> None:
    [port] = free_ports(1)

    assert max(await calls(s3(f"http://127.0.0.1:{port}"))) < PATIENCE


async def test_a_name_that_does_not_exist() -> None:
    assert max(await calls(s3("http://storage.invalid"))) < PATIENCE


async def test_an_s3_that_stands_still_and_goes_on(seaweed: Seaweed) -> None:
    store = Store(f"s3://{BUCKET}/root", seaweed.options)
    request = await asked(store)
    submission = answer()

    seaweed.pause()
    standing_still = calls(store)
    with pytest.raises(StorageUnavailable):
        await settle(store, request, submission, now=NOW, markers=True)
    assert max(await standing_still) < PATIENCE
    seaweed.resume()

    outcome = await settle(store, request, submission, now=NOW, markers=True)
    assert outcome == await read_outcome(store, request.request_id)


@pytest.mark.parametrize("ticks", range(5))
async def test_a_cancellation_just_as_a_call_ends_is_not_lost(
    s3_backend: Backend, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    ending: asyncio.Future[tuple[bytes, dict[str, Any]]] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(ObjectFileSystem, "_fetch", lambda *_: ending)
    reading = asyncio.create_task(Store(s3_backend.url, s3_backend.options).read(KEY))
    for _ in range(20):
        await asyncio.sleep(0)

    ending.set_result((b"", {"size": 0, "last_modified": NOW}))
    for _ in range(ticks):
        await asyncio.sleep(0)

    if reading.cancel():
        with pytest.raises(asyncio.CancelledError):
            await reading
    else:
        await reading


class Losing:
    """A decision that loses what concerns outcomes, a number of times."""

    def __init__(self, fate: Fate, times: int) -> None:
        self.fate: Fate = fate
        self.left = times
        self.seen = 0

    def __call__(self, first_line: str) -> Fate:
        if not (first_line.startswith("PUT ") and "/response.json" in first_line):
            return "pass"
        self.seen += 1
        self.left -= 1
        return self.fate if self.left >= 0 else "pass"


@pytest.mark.parametrize("times", [1, 1000])
async def test_a_lost_reply_to_the_creation_is_recognised_as_ones_own(s3_backend: Backend, times: int) -> None:
    straight = Store(s3_backend.url, s3_backend.options)
    request = await asked(straight)
    losing = Losing("lose the reply", times)

    async with lossy_wire(s3_backend.options["endpoint"], losing) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        outcome = await settle(store, request, answer("7"), now=NOW, markers=True)

    assert losing.seen >= 1
    assert outcome.value == 7
    assert outcome == await read_outcome(straight, request.request_id)


async def test_a_lost_creation_claims_nothing_and_may_be_made_again(s3_backend: Backend) -> None:
    straight = Store(s3_backend.url, s3_backend.options)
    request = await asked(straight)
    submission = answer("7", submission_id=new_submission_id())
    losing = Losing("lose the request", 1000)

    async with lossy_wire(s3_backend.options["endpoint"], losing) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        with pytest.raises(StorageUnavailable):
            await settle(store, request, submission, now=NOW, markers=True)
        assert await read_outcome(straight, request.request_id) is None
        losing.left = 0
        outcome = await settle(store, request, submission, now=NOW, markers=True)

    assert outcome.submission_id == submission.submission_id


async def test_a_lost_reply_to_the_question_is_no_mismatch(s3_backend: Backend) -> None:
    def decide(first_line: str) -> Fate:
        return "lose the reply" if first_line.startswith("PUT ") and "/request.json" in first_line else "pass"

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        # One try after another, as whoever asks makes them.
        with pytest.raises(StorageUnavailable):
            await asked(store)

    straight = Store(s3_backend.url, s3_backend.options)
    assert await asked(straight) == await read_request(straight, "a-question")


async def test_a_probe_whose_reply_is_lost_refuses_nobody(s3_backend: Backend) -> None:
    lost = 0

    def decide(first_line: str) -> Fate:
        nonlocal lost
        if first_line.startswith("PUT ") and lost == 0:
            lost += 1
            return "lose the reply"
        return "pass"

    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        await Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint}).probe()

    assert lost == 1


async def test_s3_hears_one_request_for_many_deletions(s3_backend: Backend) -> None:
    asked_for: list[str] = []

    def decide(first_line: str) -> Fate:
        asked_for.append(first_line.partition(" ")[0])
        return "pass"

    markers = [keys.new_marker(f"question-{n}") for n in range(300)]
    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        store = Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint})
        for first in range(0, len(markers), 20):
            await asyncio.gather(*map(store.mark, markers[first : first + 20]))
        asked_for.clear()

        await store.delete_many(markers)

    assert asked_for == ["POST"]


async def test_deleting_many_goes_on_after_a_lost_reply(s3_backend: Backend) -> None:
    left = 1

    def decide(first_line: str) -> Fate:
        nonlocal left
        if first_line.startswith("POST ") and left:
            left -= 1
            return "lose the reply"
        return "pass"

    straight = Store(s3_backend.url, s3_backend.options)
    markers = [keys.new_marker(f"question-{n}") for n in range(20)]
    for marker in markers:
        await straight.mark(marker)
    async with lossy_wire(s3_backend.options["endpoint"], decide) as endpoint:
        try:
            await Store(s3_backend.url, {**s3_backend.options, "endpoint": endpoint}).delete_many(markers)
        except StorageUnavailable:
            # Deleting once more is safe.
            await straight.delete_many(markers)

    assert left == 0
    assert await straight.list_markers(keys.NEW) == []


class Meddling:
    """Lets one write of many end otherwise, once."""

    def __init__(self, number: int, fate: Fate) -> None:
        self.number = number
        self.fate: Fate = fate
        self.writes: list[str] = []

    def __call__(self, first_line: str) -> Fate:
        if not first_line.startswith(("PUT ", "POST ", "DELETE ")):
            return "pass"
        self.writes.append(first_line)
        return self.fate if len(self.writes) == self.number + 1 else "pass"


async def lived(endpoint: str, backend: Backend) -> OutcomeDocument:
    """Ask, link and answer, again after trouble as programs and people do, and return the outcome."""
    store = Store(backend.url, {**backend.options, "endpoint": endpoint})
    submission = answer("7", submission_id=new_submission_id())
    for _ in range(3):
        with suppress(StorageUnavailable):
            request = await asked(store)
            await add_link(store, request.request_id, now=NOW)
            return await settle(store, request, submission, now=NOW, markers=True)
    raise AssertionError("it never came through")


@pytest.mark.parametrize("fate", ["lose the reply", "lose the request", "conflict", "precondition failed"])
async def test_trouble_with_any_write_records_one_outcome(s3_backend: Backend, fate: Fate) -> None:
    number, all_of_them = 0, 1
    while number < all_of_them:
        backend = replace(s3_backend, url=f"{s3_backend.url}/{number}")
        meddling = Meddling(number, fate)
        async with lossy_wire(backend.options["endpoint"], meddling) as endpoint:
            outcome = await lived(endpoint, backend)

        straight = Store(backend.url, backend.options)
        assert outcome.value == 7
        assert outcome == await read_outcome(straight, "a-question")
        assert await straight.list_request_ids() == ["a-question"]
        # Until no write was left to meddle with.
        all_of_them = max(all_of_them, len(meddling.writes))
        number += 1
    # The probe's writes, the question, its link, markers and the outcome.
    assert all_of_them >= 8
