"""Evidence in storage: there before its question or not at all, sent once, and deleted with it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from hitl.author import evidence
from hitl.author.asking import AskedQuestion, ask_question
from hitl.author.context import Context
from hitl.author.evidence import Shown, pieces_of
from hitl.core import keys
from hitl.core.evidence import Evidence
from hitl.errors import RequestMismatch, StorageUnavailable
from hitl.records.evidence import EvidenceChanged, check_evidence, read_evidence
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.records.retention import STALE, collect, drop_stale, scan_all
from tests.library.beside import png, stored
from tests.library.samples import NOW, Timed, answer, asked, number_question, settle

MONTH = timedelta(days=30)
DAY = timedelta(days=1)
ID = "a-question"
SHOWN = [
    evidence.image(png(), name="plot"),
    evidence.table([{"a": 1}], name="numbers"),
    evidence.file(b"large" * 500_000, name="dump"),
    evidence.link("https://runs.example/1"),
]


class Killed(BaseException):
    """The program ended."""


class Dying(Timed):
    """A store whose program is killed right before one of its writes, or right after it."""

    def __init__(self, url: str, survives: int, *, after: bool) -> None:
        super().__init__(url)
        self.survives = survives
        self.after = after
        self.sent: list[str] = []

    async def create_once(self, key: str, data: bytes) -> bool:
        self._die(after=False)
        created = await super().create_once(key, data)
        self.sent.append(key)
        self._die(after=True)
        self.survives -= 1
        return created

    async def mark(self, key: str) -> None:
        self._die(after=False)
        await super().mark(key)
        self._die(after=True)
        self.survives -= 1

    def _die(self, *, after: bool) -> None:
        if self.survives == 0 and self.after == after:
            raise Killed


@pytest.fixture
def root() -> str:
    return f"memory://{uuid.uuid4().hex}"


async def ask(store: Timed, monkeypatch: pytest.MonkeyPatch, shown: list[Shown] = SHOWN) -> AskedQuestion:
    """Ask as a program with a key does, which finds its question again."""

    async def context() -> Context:
        return Context(Records(store, now=lambda: store.time), "http://127.0.0.1:1", "operator")

    monkeypatch.setattr("hitl.author.asking.find_context", context)
    pieces = await pieces_of(shown)
    question = number_question(evidence=[piece.evidence for piece in pieces])
    return await ask_question(question, key="once", pieces=pieces)


async def lying(store: Timed, prefix: str = "") -> set[str]:
    return {key async for key, _ in store.list_keys(prefix)}


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_every_write_the_question_comes_with_all_its_evidence_or_not_at_all(
    root: str, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    kills = 0
    while True:
        store = Dying(f"{root}{kills}", kills, after=after)
        await store.prove()
        try:
            await ask(store, monkeypatch)
        except Killed:
            kills += 1
        else:
            break
        for request_id in await store.list_request_ids():
            if await store.exists(keys.request_key(request_id)):
                await check_evidence(store, await read_request(store, request_id))

        store.survives = 1_000
        found = await ask(store, monkeypatch)

        await check_evidence(store, found.request)
        pieces = [key for key in store.sent if "/evidence/" in key]
        assert len(pieces) == len(set(pieces)) == 3

    # Three pieces, the question, its row and its link.
    assert kills >= 6


async def test_asked_again_it_is_the_same_question_and_nothing_is_sent_twice(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Dying(root, 1_000, after=False)
    first = await ask(store, monkeypatch)
    sent = [key for key in store.sent if "/evidence/" in key]
    again = await ask(store, monkeypatch)

    assert again.request.sha256 == first.request.sha256
    assert [key for key in store.sent if "/evidence/" in key] == sent


async def test_other_evidence_under_the_same_key_is_refused_and_leaves_nothing(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Timed(root)
    await ask(store, monkeypatch)
    before = await lying(store)

    with pytest.raises(RequestMismatch):
        await ask(store, monkeypatch, [evidence.image(png(9, 9))])

    assert await lying(store) == before


async def test_the_same_bytes_are_stored_once(root: str) -> None:
    store = Timed(root)
    found = await stored(store, ID, [evidence.file(b"same", name="one"), evidence.file(b"same", name="two")])

    assert {key for key in await lying(store) if "/evidence/" in key} == {keys.evidence_key(ID, found[0].sha256)}
    assert [each.name for each in found] == ["one", "two"]


async def read(store: Timed, piece: Evidence) -> bytes:
    return b"".join([part async for part in read_evidence(store, ID, piece)])


@pytest.mark.parametrize("size", [1, 1_000, 1024 * 1024, 1024 * 1024 + 1, 5 * 1024 * 1024 + 7])
async def test_a_changed_byte_a_lost_one_or_one_more_is_found(root: str, size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    for change in (data[:-1] + b"\xff", data[:-1], data + b"x", b"\xfe" + data[1:], b"", None):
        store = Timed(f"{root}{uuid.uuid4().hex}")
        (piece,) = await stored(store, ID, [evidence.file(data)])
        assert await read(store, piece) == data
        key = keys.evidence_key(ID, piece.sha256)
        await store.delete(key)
        if change is not None:
            await store.create_once(key, change)

        with pytest.raises(EvidenceChanged):
            await read(store, piece)


@pytest.mark.parametrize("size", [1, 1024 * 1024 + 1])
async def test_a_folder_in_the_place_of_a_piece_is_found(tmp_path: Path, size: int) -> None:
    store = Timed(str(tmp_path))
    (piece,) = await stored(store, ID, [evidence.file(bytes(size))])
    lies = tmp_path / keys.evidence_key(ID, piece.sha256)
    lies.unlink()
    lies.mkdir()

    with pytest.raises(EvidenceChanged):
        await read(store, piece)


async def test_the_recorded_answer_is_bound_to_what_was_shown(root: str) -> None:
    store = Timed(root)
    one = await asked(store, "one", evidence=await stored(store, "one", [evidence.image(png(8, 8))]))
    other = await asked(store, "other", evidence=await stored(store, "other", [evidence.image(png(9, 9))]))
    without = await asked(store, "without")

    digests = {each.document.question_digest() for each in (one, other, without)}
    assert len(digests) == 3


async def test_evidence_and_files_go_with_their_question_and_not_before(root: str) -> None:
    store = Timed(root)
    request = await asked(store, ID, evidence=await stored(store, ID, SHOWN))
    waiting = await asked(store, "waiting", evidence=await stored(store, "waiting", SHOWN))
    await store.create_once(keys.answer_part_key(ID, "lost", 0), b"lost the race")
    await settle(store, request, answer("7"), now=store.time)
    store.time += MONTH - timedelta(minutes=1)
    await collect(store, now=store.time, retention=MONTH)
    await check_evidence(store, request)

    for _ in range(4):
        store.time += DAY
        await collect(store, now=store.time, retention=MONTH)

    assert [key for key in await lying(store) if f"/{ID}/" in key] == []
    await check_evidence(store, waiting)


async def test_evidence_of_a_question_that_was_never_asked_goes_after_a_day(root: str) -> None:
    store = Timed(root)
    await stored(store, ID, SHOWN)
    there = await lying(store, keys.question_prefix(ID))
    await scan_all(store, now=store.time)
    await drop_stale(store, now=store.time)
    store.time += DAY - timedelta(minutes=1)
    await scan_all(store, now=store.time)
    assert await lying(store, keys.question_prefix(ID)) == there

    store.time += STALE
    await scan_all(store, now=store.time)
    # Whoever asks now could find half of it.
    with pytest.raises(StorageUnavailable):
        await asked(store, ID, now=store.time)
    store.time += STALE
    await drop_stale(store, now=store.time)
    assert await lying(store, keys.question_prefix(ID)) == set()
    with pytest.raises(StorageUnavailable):
        await asked(store, ID, now=store.time)
    store.time += STALE
    await drop_stale(store, now=store.time)

    await asked(store, ID, now=store.time)


async def test_evidence_of_a_question_that_is_asked_late_stays(root: str) -> None:
    store = Timed(root)
    shown = await stored(store, ID, SHOWN)
    store.time += 2 * DAY
    request = await asked(store, ID, now=store.time, evidence=shown)
    for _ in range(4):
        store.time += STALE
        await scan_all(store, now=store.time)
        await drop_stale(store, now=store.time)

    await check_evidence(store, request)
    assert request.document.created_at > NOW
