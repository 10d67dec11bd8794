"""Whatever is changed in the audit, `Verification` names it; what a kill leaves is no fault."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.audit import (
    FIRST,
    Anchor,
    Attempt,
    End,
    Head,
    Heads,
    Line,
    Omitted,
    Other,
    seal,
    sealed_segment,
    unseal,
)
from hitl.core.chain import Finding
from hitl.core.documents import Respondent
from hitl.core.keys import SegmentName
from hitl.errors import StorageUnavailable
from hitl.records import audit, outcomes
from hitl.records.attempts import _RequestFields, _SubmissionFields
from hitl.records.audit import Alone, AuditWriter
from hitl.records.audit_check import Verification
from hitl.records.audit_export import Row, export
from hitl.records.records import Records
from hitl.records.retention import collect, scan_all
from hitl.records.segments import audit_days, head_of, newest_of_day, segments_of
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.library.counting import Counting, filled
from tests.library.samples import NOW, SECOND, Timed, answer, asked, person

DAY = NOW.date()
ANN, BOB, OPERATOR = ("a" * 16, "b" * 16, "f" * 16)


def attempt(number: int, **more: object) -> Attempt:
    content = {"at": NOW + number * SECOND, "request_id": f"q-{number}", "result": "lost", "name": "Ann é"}
    return Attempt.model_validate({**content, **more})


def segments(writer: str, sizes: Sequence[int], ends: Line | None = None) -> tuple[dict[str, bytes], Head]:
    """Return the objects of a writer, one for each size, on two days, and its last line."""
    found: dict[str, bytes] = {}
    head: Head | None = None
    for number, size in enumerate(sizes, 1):
        lines: list[Line] = [attempt(each) for each in range(size)]
        if number == len(sizes):
            lines.append(ends or End(at=NOW))
        name = SegmentName(DAY + timedelta(days=number == len(sizes)), writer, number)
        segment = sealed_segment(name, "web", lines, head)
        found[name.key], head = segment.data, segment.head
    assert head is not None
    return found, head


def whole() -> tuple[dict[str, bytes], Anchor]:
    """Return the objects of two writers, and of the operator that saw both."""
    ann, ann_head = segments(ANN, [2, 1, 3])
    bob, bob_head = segments(BOB, [1, 2])
    operator, head = segments(OPERATOR, [1, 0], Heads(at=NOW, heads=(ann_head, bob_head)))
    return {**ann, **bob, **operator}, Anchor(at=NOW, **head.model_dump())


async def stored(objects: dict[str, bytes]) -> Store:
    store = Store(f"memory://audit-{uuid.uuid4().hex}")
    for key, data in objects.items():
        await store.create_once(key, data)
    return store


async def verified(store: Store, anchor: Head | None = None, since: date | None = None) -> list[Finding]:
    checked = Verification(store, now=NOW + timedelta(hours=1), since=since, anchor=anchor)
    return [finding async for finding in checked.findings()]


def faults(found: Sequence[Finding]) -> list[tuple[str, str, int | None]]:
    return [(each.kind, each.file, each.line) for each in found if each.fault]


def key(writer: str, number: int, day: date = DAY) -> str:
    return SegmentName(day, writer, number).key


@st.composite
def tampered(draw: st.DrawFn) -> tuple[dict[str, bytes], set[str]]:
    """Draw one change of the audit; with the files that it touches, one of which must be named."""
    objects, _ = whole()
    names = sorted(objects)
    name = draw(st.sampled_from(names))
    lines = objects[name].splitlines(keepends=True)
    number = draw(st.integers(0, len(lines) - 1))
    match draw(st.sampled_from(["byte", "cut", "remove", "repeat", "swap", "lose", "trade", "move"])):
        case "byte":
            data = bytearray(objects[name])
            place = draw(st.integers(0, len(data) - 1))
            data[place] ^= draw(st.integers(1, 255))
            objects[name] = bytes(data)
        case "cut":
            objects[name] = objects[name][: draw(st.integers(0, len(objects[name]) - 1))]
        case "remove":
            objects[name] = b"".join(lines[:number] + lines[number + 1 :])
        case "repeat":
            lines.insert(draw(st.integers(0, len(lines))), lines[number])
            objects[name] = b"".join(lines)
        case "swap":
            other = draw(st.integers(0, len(lines) - 1).filter(lambda each: each != number))
            lines[number], lines[other] = lines[other], lines[number]
            objects[name] = b"".join(lines)
        case "lose":
            del objects[name]
        case "trade":
            other_name = draw(st.sampled_from([each for each in names if each != name]))
            objects[name], objects[other_name] = objects[other_name], objects[name]
            return objects, {name, other_name}
        case "move":
            segment = SegmentName.of_key(name)
            assert segment is not None
            to = SegmentName(segment.day + timedelta(days=7), segment.writer, segment.number)
            objects[to.key] = objects.pop(name)
            return objects, {name, to.key}
    # What is missing at the end of a segment is named at the beginning of the next one.
    return objects, {name, *following(name, names)}


def following(name: str, names: Sequence[str]) -> list[str]:
    writer = name.split("/")[-2]
    return [each for each in names if each > name and each.split("/")[-2] == writer][:1]


@settings(max_examples=150)
@given(tampered())
def test_any_single_change_is_named_with_its_file(change: tuple[dict[str, bytes], set[str]]) -> None:
    objects, touched = change
    _, anchor = whole()

    async def found() -> list[Finding]:
        return await verified(await stored(objects), anchor)

    named = {file for _, file, _ in faults(asyncio.run(found()))}

    assert named & touched


async def test_nothing_is_found_where_nothing_was_changed() -> None:
    objects, anchor = whole()

    assert await verified(await stored(objects), anchor) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"q-0", b"q-9"), lines[2]], ("changed", key(ANN, 1), 2)),
        (lambda lines: [lines[0], lines[2]], ("missing", key(ANN, 1), 2)),
        (lambda lines: [lines[0], lines[2], lines[1]], ("repeated", key(ANN, 1), 3)),
        (lambda lines: [*lines, lines[1]], ("repeated", key(ANN, 1), 4)),
        (lambda lines: lines[1:], ("moved", key(ANN, 1), 1)),
    ],
)
async def test_the_line_is_named(change: object, named: tuple[str, str, int]) -> None:
    objects, _ = whole()
    assert callable(change)
    objects[key(ANN, 1)] = b"".join(change(objects[key(ANN, 1)].splitlines(keepends=True)))

    assert named in faults(await verified(await stored(objects)))


async def test_a_lost_segment_is_named_where_it_should_be() -> None:
    objects, _ = whole()
    del objects[key(ANN, 2)]

    [found] = [each for each in await verified(await stored(objects)) if each.fault]

    assert (found.kind, found.file) == ("missing", key(ANN, 3, DAY + timedelta(days=1)))
    assert found.text == "segment 00000002.jsonl is missing before this one"


async def test_what_a_killed_writer_leaves_is_no_fault() -> None:
    objects, _ = segments(ANN, [2, 3])
    last = key(ANN, 2, DAY + timedelta(days=1))
    objects[last] = objects[last][:-20]

    [found] = await verified(await stored(objects))

    assert (found.kind, found.file, found.line, found.fault) == ("cut", last, 5, False)


async def test_a_line_that_was_written_again_with_its_hash_does_not_fit_the_anchor() -> None:
    objects, anchor = whole()
    forged, head = segments(BOB, [2, 2])
    seen, _ = segments(OPERATOR, [1, 0], Heads(at=NOW, heads=(head,)))

    assert faults(await verified(await stored({**objects, **forged}))) == [
        ("missing", key(BOB, 2, DAY + timedelta(days=1)), None)
    ]
    # Who writes the operator's lines again, too, is found out by what the cluster holds.
    store = await stored({**objects, **forged, **seen})
    assert [file for _, file, _ in faults(await verified(store))] == []
    assert [file for _, file, _ in faults(await verified(store, anchor))] == [anchor.name.key]


async def test_days_that_were_deleted_are_no_fault_with_since() -> None:
    objects, anchor = whole()
    kept = {name: data for name, data in objects.items() if str(DAY) not in name}
    store = await stored(kept)

    assert faults(await verified(store, anchor)) != []
    assert faults(await verified(store, anchor, DAY + timedelta(days=1))) == []


async def test_lines_of_one_second_are_one_object_and_the_first_is_written_at_once(backend: Backend) -> None:
    store = Store(backend.url, backend.options)
    # The pause is longer than the test: only what hurries ends it.
    writer = AuditWriter(store, "web", seconds=3600)

    await writer.note(attempt(0))
    while writer.waiting:
        await asyncio.sleep(0.01)
    for number in range(1, 1001):
        await writer.note(attempt(number, result="recorded"))
    assert len(writer._waiting) == 1000
    await writer.close(120)

    [day] = await audit_days(store)
    found = [name async for name in segments_of(store, day)]
    assert len(found) == 2
    assert faults(await verified(store)) == []
    newest = (await newest_of_day(store, day, {}))[writer.head.writer] if writer.head else None
    assert newest is not None
    assert await head_of(store, newest) == writer.head
    assert writer.head is not None
    # Two headers, and the end.
    assert writer.head.n == 1001 + 3


class Away(Store):
    """A real store whose creations a test makes fail; real storage fails when nobody wants it to."""

    away = False
    lost_replies = 0

    async def create_once(self, key: str, data: bytes) -> bool:
        if self.away:
            raise StorageUnavailable("away")
        created = await super().create_once(key, data)
        if self.lost_replies:
            self.lost_replies -= 1
            raise StorageUnavailable("the reply was lost")
        return created


async def test_lines_that_come_while_others_are_written_wait_for_their_turn() -> None:
    store = await stored({})
    # The pause is longer than the test.
    writer = AuditWriter(store, "web", seconds=3600)
    create = store.create_once

    async def slow(key: str, data: bytes) -> bool:
        await writer.note(attempt(1))
        return await create(key, data)

    store.create_once = slow  # type: ignore[method-assign]  # a real store, in which a line comes meanwhile

    await writer.note(attempt(0))
    while writer.head is None:
        await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)

    assert (writer.head.segment, writer.waiting) == (1, 1)
    store.create_once = create  # type: ignore[method-assign]
    await writer.close(120)


async def test_trouble_with_the_storage_costs_memory_within_a_limit_and_then_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(audit, "MOST_WAITING", 50)
    store = Away(f"memory://audit-{uuid.uuid4().hex}")
    await store.prove()
    store.away = True
    writer = AuditWriter(store, "web", now=lambda: NOW)

    for number in range(60):
        await writer.note(attempt(number, result="recorded"))
    await writer.flush(0.1)
    # With the line that says how many have none.
    assert writer.waiting == 51
    assert "lines are lost" in caplog.text
    store.away, store.lost_replies = False, 1
    await writer.close(120)

    rows = [row.said async for row in export(store, DAY - timedelta(days=1), left=[])]
    assert [row.request_id for row in rows if isinstance(row, Attempt)] == [f"q-{number}" for number in range(50)]
    assert [row.others for row in rows if isinstance(row, Omitted)] == [10]
    assert faults(await verified(store)) == []


async def test_of_refused_attempts_only_so_many_have_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_REFUSED", 5)
    store = await stored({})
    writer = AuditWriter(store, "web", now=lambda: NOW)

    for number in range(20):
        await writer.note(attempt(number, result="refused"))
    await writer.note(attempt(20, result="recorded"))
    await writer.close(120)

    rows = [row.said async for row in export(store, DAY - timedelta(days=1))]
    assert [row.result for row in rows if isinstance(row, Attempt)] == ["refused"] * 5 + ["recorded"]
    assert [row.refused for row in rows if isinstance(row, Omitted)] == [15]


async def test_an_object_that_somebody_else_wrote_first_begins_another_writer() -> None:
    store = await stored({})
    writer = AuditWriter(store, "web", now=lambda: NOW)
    await writer.note(attempt(0))
    await writer.flush(120)
    assert writer.head is not None
    taken = key(writer.head.writer, 2)
    await store.create_once(taken, b"not its own\n")

    await writer.note(attempt(1))
    await writer.close(120)

    assert [row.said.request_id for row in await exported(store) if isinstance(row.said, Attempt)] == [
        "q-0",
        "q-1",
    ]
    assert [(kind, file) for kind, file, _ in faults(await verified(store))] == [("changed", taken)]


async def exported(store: Store, since: date = DAY, until: date | None = None) -> list[Row]:
    return [row async for row in export(store, since, until)]


async def test_an_export_is_in_the_order_of_time_with_outcomes_that_no_line_tells_of() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    told, untold, later = [
        await asked(store, each, timeout_seconds=86_400) for each in ("told", "untold", "later")
    ]
    audited = Records(store, now=lambda: NOW, audited=Alone(store, "cli", now=lambda: NOW).note)
    await outcomes.settle(audited, told, answer("7"), now=NOW + 2 * SECOND)
    await outcomes.settle(audited, told, answer("8", by="bob"), now=NOW + 3 * SECOND)
    await outcomes.settle(Records(store), untold, answer("9", by="cy"), now=NOW + SECOND)
    tomorrow = NOW + timedelta(hours=20)
    store.time = tomorrow
    evening = Alone(store, "cli", now=lambda: tomorrow)
    await outcomes.settle(Records(store, audited=evening.note), later, answer("1"), now=tomorrow)

    rows = await exported(store)

    assert [(row.said.request_id, row.said.result) for row in rows if isinstance(row.said, Attempt)] == [
        ("untold", "recorded"),
        ("told", "recorded"),
        ("told", "lost"),
        ("later", "recorded"),
    ]
    assert [row.line for row in rows] == [None, 2, 2, 2]
    assert rows[0].file == keys.response_key("untold")
    assert await exported(store, DAY, DAY) == rows[:3]
    assert await exported(store, tomorrow.date()) == rows[3:]
    [found] = await verified(store)
    assert (found.kind, found.file, found.fault) == ("unlisted", keys.response_key("untold"), False)


async def test_an_outcome_that_was_changed_is_named_by_the_line_that_tells_of_it() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    question = await asked(store)
    alone = Alone(store, "cli", now=lambda: NOW)
    settled = await outcomes.settle(Records(store, audited=alone.note), question, answer("7"), now=NOW)
    assert settled.outcome is not None
    response = keys.response_key(question.request_id)
    await store.delete(response)
    await store.create_once(response, settled.outcome.model_copy(update={"value": 8}).to_bytes())

    [found] = await verified(store)

    assert (found.kind, found.line) == ("outcome", 2)
    assert found.file.startswith(keys.AUDIT)
    # A question that was deleted after its retention is no fault.
    await store.delete(response)
    assert await verified(store) == []


async def test_a_line_says_who_by_which_right_what_was_shown_and_what_was_answered() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    question = await asked(store, respondents={"groups": ["leads"]})
    lines: list[Attempt] = []

    async def note(line: Attempt) -> None:
        lines.append(line)

    records = Records(store, now=lambda: NOW, audited=note)
    lead = Respondent(name="ann", via="web", verified=True, groups=["staff", "leads"], link="")
    won = await outcomes.settle(
        records, question, answer("7", by=lead, comment="as agreed", right="proxy"), now=NOW
    )
    await outcomes.settle(records, question, answer("7", by=lead, right="proxy"), now=NOW)
    await outcomes.settle(records, question, answer("8", by=person("bob", link="e" * 64)), now=NOW)
    await outcomes.settle(records, question, answer("x" * 2000, by=person("cy")), now=NOW)

    assert won.outcome is not None
    first, again, lost, long = lines
    assert first.model_dump(exclude_defaults=True) == {
        "at": NOW,
        "request_id": question.request_id,
        "attempt": "answered",
        "result": "recorded",
        "reason": "Answered",
        "name": "ann",
        "verified": True,
        "right": "proxy",
        "named": "group leads",
        "via": "web",
        "submission_id": won.outcome.submission_id,
        "request_sha256": question.sha256,
        "value": "7",
        "comment": "as agreed",
        "outcome_sha256": first.outcome_sha256,
    }
    assert [each.result for each in lines] == ["recorded", "already_yours", "lost", "lost"]
    assert (lost.right, lost.lost_to) == ("link", won.outcome.submission_id)
    assert long.value is None
    assert len(long.value_sha256) == 64
    assert again.lost_to == won.outcome.submission_id


@pytest.mark.parametrize("fields", [_SubmissionFields, _RequestFields])
def test_the_parts_of_a_line_have_the_names_and_types_of_its_fields(fields: type) -> None:
    assert get_type_hints(fields).items() <= get_type_hints(Attempt).items()


async def test_no_token_is_in_a_line() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    token = keys.new_token()
    question = await asked(store, data_type=str)
    lines: list[Attempt] = []

    async def note(line: Attempt) -> None:
        lines.append(line)

    pasted = f"https://hitl.example/form/a-question?token={token}"
    by = person(pasted[-60:], verified=False, link=keys.hash_token(token))
    submission = answer(pasted, by=by, comment=f"see {pasted}")
    await outcomes.settle(Records(store, audited=note), question, submission, now=NOW)

    [line] = lines
    assert token not in line.model_dump_json()
    assert line.value is None
    assert line.link == keys.hash_token(token)


async def test_retention_leaves_the_audit_alone() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    question = await asked(store)
    records = Records(store, audited=Alone(store, "cli", now=lambda: NOW).note)
    await outcomes.settle(records, question, answer("7"), now=NOW)
    before = [name async for name in segments_of(store, DAY)]

    for days in (0, 40, 41, 42):
        store.time = NOW + timedelta(days=days)
        await collect(store, now=store.time, retention=timedelta(days=30), full=True)

    assert not await store.exists(keys.request_key(question.request_id))
    assert [name async for name in segments_of(store, DAY)] == before != []


async def test_what_was_seen_of_a_day_is_not_listed_again() -> None:
    store = Counting(f"memory://audit-{uuid.uuid4().hex}", page=10)
    for writer in (ANN, BOB):
        for number in range(1, 51):
            await store.create_once(key(writer, number), b"")
    seen = await newest_of_day(store, DAY, {})
    assert seen == {each: SegmentName(DAY, each, 50) for each in (ANN, BOB)}
    await store.create_once(key(BOB, 51), b"")

    assert await newest_of_day(store, DAY, seen) == {BOB: SegmentName(DAY, BOB, 51)}

    # A page for each writer, one with what is new, and one that says that there is no more.
    assert await store.cost(newest_of_day(store, DAY, seen)) <= 4


async def test_a_full_scan_does_not_look_at_the_audit() -> None:
    store = Counting(f"memory://audit-{uuid.uuid4().hex}", page=10)
    await filled(store, settled=5, pending=5)
    before = await store.cost(scan_all(store, now=NOW))

    for number in range(200):
        await store.create_once(key(ANN, number + 1), b"")

    # The page on which it begins, and the one after it.
    assert await store.cost(scan_all(store, now=NOW)) <= before + 2


def test_a_line_of_a_kind_that_a_later_release_writes_is_no_fault() -> None:
    later, _ = seal(Other(kind="later"), 7, FIRST)

    found = unseal(later.rstrip(b"\n"))

    assert found is not None
    assert (found[0].kind, found[0].n) == ("later", 7)


async def test_each_vote_has_a_line_and_so_has_the_outcome_whoever_finds_it() -> None:
    store = Timed(f"memory://audit-{uuid.uuid4().hex}")
    question = await asked(store, approval=Approval(required=2))
    lines: list[Attempt] = []

    async def note(line: Attempt) -> None:
        lines.append(line)

    audited = Records(store, now=lambda: NOW, audited=note)
    for name, value in (("ann", "7"), ("bob", "8"), ("cy", "7")):
        await outcomes.settle(audited, question, answer(value, by=name, right="proxy"), now=NOW)

    assert [(each.name, each.result, each.value, each.right) for each in lines if each.result == "voted"] == [
        ("ann", "voted", "7", "proxy"),
        ("bob", "voted", "8", "proxy"),
        ("cy", "voted", "7", "proxy"),
    ]
    [recorded] = [each for each in lines if each.result == "recorded"]
    assert recorded.value == "7"
    assert len(lines) == 4


def resealed(content: str) -> bytes:
    """Return a line with a hash that fits, as anybody who may write the root can make one."""
    said = content.encode()
    return b'%s,"hash":"%s"}\n' % (said, hashlib.sha256(said + b"}").hexdigest().encode())


_SAID = '"kind":"attempt","at":"2031-05-06T00:00:00Z","request_id":"q","result":"lost"'
_HEAD = '{"day":"2031-05-06","writer":"aaaaaaaaaaaaaaaa","segment":1,"hash":"' + "0" * 64 + '","n":'


@pytest.mark.parametrize("since", [None, DAY])
@pytest.mark.parametrize(
    ("content", "number"),
    [
        ('{"n":0,' + _SAID, 1),
        ('{"n":-1,' + _SAID, 1),
        ("{" + _SAID, 1),
        (f'{{"n":{10**30},{_SAID}', 1),
        (f'{{"n":1,"kind":"heads","at":"2031-05-06T00:00:00Z","heads":[{_HEAD}{10**30}}}]', 1),
        ('{"n":1,"kind":"attempt","at":"0001-01-01T00:00:00+14:00","request_id":"../x","result":"recorded"', 1),
        (f'{{"n":1,"kind":"segment","writer":"../x","segment":{10**40},"day":"9999-12-31","component":""', 1),
        ('{"n":0,' + _SAID, 0),
    ],
)
async def test_no_line_that_fits_its_hash_keeps_the_rest_from_being_verified_and_exported(
    content: str, number: int, since: date | None
) -> None:
    objects, anchor = whole()
    name = key("c" * 16, number)
    store = await stored({**objects, name: resealed(content)})

    found = await verified(store, anchor, since)
    assert {each.file for each in found if each.fault} == {name}
    assert len([row for row in await exported(store) if row.file != name]) == len(
        await exported(await stored(objects))
    )
    segment = SegmentName.of_key(name)
    assert segment is None or (head := await head_of(store, segment)) is None or head.n >= 1


async def test_a_segment_that_cannot_be_read_is_named_though_others_saw_its_last_line() -> None:
    objects, anchor = whole()
    name = key(ANN, 3, DAY + timedelta(days=1))
    found = await verified(await stored({**objects, name: b"x" * 6_000_000}), anchor)
    assert faults(found) == [("unreadable", name, None), ("missing", name, None)]


async def test_an_export_has_the_lines_that_are_verified_by_the_same_numbers() -> None:
    objects, _ = segments(ANN, [1])
    (name,) = objects
    odd = resealed('{"n":1,\r' + _SAID)
    store = await stored({name: odd + objects[name]})
    first, second = await exported(store)
    assert (first.line, second.line) == (1, 3)
    left: list[str] = []
    assert len([row async for row in export(store, date.min, date.max, left=left)]) == 2
    assert left == []
