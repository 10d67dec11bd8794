"""A question is refused before it is stored when it is invalid, and never changes afterwards."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import hitl
from hitl.author.context import Context
from hitl.core import keys
from hitl.core.documents import sha256_hex
from hitl.core.question import parse_answer
from hitl.errors import (
    ClockApart,
    DocumentDamaged,
    InvalidRequest,
    InvalidValue,
    RequestMismatch,
    RequestNotFound,
)
from hitl.records.links import add_link, find_link
from hitl.records.records import Records
from hitl.records.requests import asked_as, create, read_outcome, read_request
from hitl.storage import Store
from tests.library.samples import (
    DEADLINE,
    NOW,
    SECOND,
    Timed,
    answer,
    asked,
    draft_request,
    number_question,
    settle,
)


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


async def opened(store: Store, request_id: str, token: str, now: datetime) -> str | None:
    link = await find_link(store, request_id, keys.hash_token(token), None)
    return keys.hash_token(token) if link is not None and link.valid(now) else None


def draft(**changes: Any) -> Any:
    content: dict[str, Any] = {
        "request_id": "a",
        "event_name": "e",
        "data_type": int,
        "prompt": "How many?",
        "timeout_seconds": 600,
        "now": NOW,
    }
    return draft_request(**{**content, **changes})


def test_a_question_is_kept_in_canonical_form() -> None:
    request = draft(data_type=float, choices=["1", 2, "2.50"], default="2.5", on_timeout="default")

    assert request.choices == ["1.0", "2.0", "2.5"]
    assert request.default == "2.5"
    assert request.expires_at == DEADLINE


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds is 0"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"timeout_seconds": 367 * 86400}, "at most 366 days"),
        ({"request_id": "Not/an id"}, None),
        ({"event_name": ""}, "^name: it is empty"),
        ({"event_name": "x" * 129}, "^name: "),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 16_385}, "prompt"),
        ({"prompt": "half \ud800"}, "prompt"),
        ({"data_type": print}, "print"),
        ({"on_timeout": "default"}, "needs a default"),
        ({"on_timeout": "later"}, "on_timeout"),
        ({"default": "many"}, "default: "),
        ({"default": 4.5}, "default: "),
        ({"default": 3, "choices": [1, 2]}, "the default '3' does not fit .* not one of the choices"),
        ({"choices": "12"}, "give a list"),
        ({"choices": [1, "01"]}, "the same value twice"),
        ({"choices": list(range(65))}, "choices"),
        ({"choices": ["x"]}, "choices: "),
        ({"choices": [1, 2], "data_type": bool}, "cannot be given with data_type bool"),
        ({"choices": [1], "data_type": dict}, "cannot be given with data_type json"),
        ({"choices": [""], "data_type": str}, "choices: An answer is needed"),
        ({"choices": ["x" * 257], "data_type": str}, "choices"),
        ({"json_schema": {"type": "whole"}}, "no JSON Schema"),
        ({"json_schema": {"minimum": 5}, "default": 4}, "the default '4' does not fit"),
        ({"json_schema": {"minimum": 5}, "choices": [4, 6]}, "the choice '4' does not fit"),
    ],
)
def test_a_question_that_does_not_hold_together_is_refused(
    changes: Mapping[str, Any], sentence: str | None
) -> None:
    with pytest.raises(RequestNotFound if sentence is None else InvalidRequest, match=sentence):
        draft(**changes)


@pytest.mark.parametrize(
    ("changes", "given", "text", "value"),
    [
        ({}, "42", True, 42),
        ({}, 42, False, 42),
        ({"choices": [1, 2]}, " 02 ", True, 2),
        ({"data_type": str}, "None", True, "None"),
        ({"data_type": dict, "json_schema": {"type": "object"}}, '{"a": 1}', True, {"a": 1}),
        ({"data_type": "json"}, None, False, None),
    ],
)
def test_answers_that_fit(changes: Mapping[str, Any], given: Any, text: bool, value: Any) -> None:
    assert parse_answer(draft(**changes), given, text=text) == value


@pytest.mark.parametrize(
    ("changes", "given", "text", "sentence"),
    [
        ({}, "maybe", True, "not a whole number"),
        ({}, None, True, "An answer is needed"),
        ({}, 42, True, "An answer is needed"),
        ({"data_type": str}, None, True, "An answer is needed"),
        ({"data_type": dict}, None, True, "An answer is needed"),
        ({}, None, False, "nothing is not of type int"),
        ({"choices": [1, 2]}, "3", True, "not one of the choices"),
        ({"json_schema": {"minimum": 5}}, "4", True, "less than the minimum of 5"),
        ({"data_type": dict, "json_schema": {"required": ["b"]}}, {"a": 1}, False, "'b' is a required property"),
    ],
)
def test_answers_that_do_not_fit(changes: Mapping[str, Any], given: Any, text: bool, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        parse_answer(draft(**changes), given, text=text)


async def test_a_question_is_stored_once(store: Store) -> None:
    first = await asked(store)

    again = await asked(store, now=NOW + SECOND, timeout_seconds=5)

    assert again == first == await read_request(store, first.request_id)
    assert again.document.expires_at == DEADLINE
    data = await store.read(keys.request_key(first.request_id))
    assert data is not None
    assert first.sha256 == sha256_hex(data)


async def test_another_question_under_the_same_id_is_a_mismatch(store: Store) -> None:
    first = await asked(store)

    with pytest.raises(RequestMismatch, match="asks something else"):
        await asked(store, prompt="How few?")

    assert await read_request(store, first.request_id) == first


async def test_what_an_earlier_release_asked_under_a_longer_id_is_found_again(store: Store) -> None:
    long = keys.derived_request_id("approve the model's deployment", "run", "action")
    short = keys.short_request_id(long)

    assert await asked_as(store, long) == short
    assert await asked_as(store, short) == short
    await asked(store, long)
    assert await asked_as(store, long) == long


async def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(RequestNotFound, match="there is no question a"):
        await read_request(store, "a")
    assert await read_outcome(store, "a") is None
    for read in (read_request, read_outcome):
        with pytest.raises(RequestNotFound):
            await read(store, "../a")


async def copied(store: Store, source: str, target: str, change: tuple[bytes, bytes] = (b"", b"")) -> None:
    data = await store.read(source)
    assert data is not None
    assert await store.create_once(target, data.replace(*change))


async def test_a_copy_of_another_requests_objects_is_damage(store: Store) -> None:
    request = await asked(store, "one")
    await settle(store, request, answer(), now=NOW, markers=False)
    await copied(store, keys.request_key("one"), keys.request_key("two"))
    await copied(store, keys.response_key("one"), keys.response_key("two"))

    with pytest.raises(DocumentDamaged, match=r"two/request\.json is damaged: it belongs to request 'one'"):
        await read_request(store, "two")
    with pytest.raises(DocumentDamaged, match=r"two/response\.json is damaged: it belongs to request 'one'"):
        await read_outcome(store, "two")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b'"default":"3"', b'"default":"three"'), "default 'three' does not fit"),
        ((b'"default":"3"', b'"default":"03"'), "not in its canonical form"),
        ((b'"default":"3"', b'"default":null'), "needs a default"),
        ((b'"minimum":1', b'"minimum":"1"'), "no JSON Schema"),
        ((b'"minimum":1', b'"$ref":"http://127.0.0.1:9/"'), "nothing is fetched"),
        ((b'"int"', b'"integer"'), "data_type"),
        ((b"2031-05-06T07:18:09", b"9999-99-99T00:00:00"), "expires_at"),
        ((b"{", b""), "not JSON"),
    ],
)
async def test_a_question_changed_by_hand_is_damage(store: Store, change: tuple[bytes, bytes], why: str) -> None:
    await asked(store, "one", default=3, on_timeout="default", json_schema={"minimum": 1})
    rename = (b'"one"', b'"two"')
    data = await store.read(keys.request_key("one"))
    assert data is not None
    assert change[0] in data
    await store.create_once(keys.request_key("two"), data.replace(*rename).replace(*change))

    with pytest.raises(DocumentDamaged, match=why) as damaged:
        await read_request(store, "two")

    assert damaged.value.name == "hitl-requests/two/request.json"


async def test_asking_again_over_a_damaged_question_names_it(store: Store) -> None:
    await store.create_once(keys.request_key("a-question"), b"{}")

    with pytest.raises(DocumentDamaged, match=r"hitl-requests/a-question/request\.json"):
        await asked(store)


async def test_a_link_grants_one_request(store: Store) -> None:
    await asked(store, "one")
    await asked(store, "two")
    token = await add_link(store, "one", now=NOW, label="Ann")

    assert await opened(store, "one", token, NOW) == keys.hash_token(token)
    assert await opened(store, "two", token, NOW) is None
    assert await opened(store, "three", token, NOW) is None
    assert await opened(store, "one", token + "x", NOW) is None
    assert await opened(store, "one", "", NOW) is None
    assert await opened(store, "one", "../../one/request", NOW) is None
    assert await opened(store, "one", "\ud800" * 1000, NOW) is None


async def test_a_request_may_have_many_links(store: Store) -> None:
    tokens = [await add_link(store, "one", now=NOW) for _ in range(3)]

    assert len(set(tokens)) == 3
    for token in tokens:
        assert await opened(store, "one", token, NOW) is not None


async def test_no_token_is_stored(store: Store) -> None:
    token = await add_link(store, "one", now=NOW)

    [(key, _)] = [found async for found in store.list_keys(keys.PREFIX)]
    data = await store.read(key)
    assert data is not None
    assert token not in key
    assert token.encode() not in data


async def test_a_link_ends_with_its_own_deadline(store: Store) -> None:
    token = await add_link(store, "one", now=NOW, expires_at=NOW + SECOND)

    assert await opened(store, "one", token, NOW + SECOND / 2) is not None
    assert await opened(store, "one", token, NOW + SECOND) is None


async def test_what_is_created_is_what_is_read(store: Store) -> None:
    created = await asked(store, "a", now=NOW + timedelta(microseconds=1))

    assert await read_request(store, "a") == created


@pytest.mark.parametrize("seconds", [31, -31, 3600, -3600])
async def test_no_deadline_is_counted_by_a_clock_that_is_not_the_storages(seconds: int) -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")
    now = NOW + timedelta(seconds=seconds)
    question = number_question()
    records = Records(store, now=lambda: now)

    for new in (True, False):
        with pytest.raises(ClockApart, match="set the clock"):
            await create(records, question, request_id="a", new=new)
        assert await store.read(keys.request_key("a")) is None

    # What was asked before is only read, as a task that is restarted does.
    store.time = now
    stored = await create(records, question, request_id="a")
    store.time = NOW
    assert await create(records, question, request_id="a") == stored


async def test_new_event_counts_the_deadline_by_a_clock_that_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Timed(f"memory://{uuid.uuid4().hex}")

    async def here() -> Context:
        return Context(Records(store), "http://127.0.0.1:1", "local")

    monkeypatch.setattr("hitl.author.asking.find_context", here)

    with pytest.raises(ClockApart):
        await hitl.new_event.aio("a", int, prompt="How many?")
    assert await store.list_request_ids() == []

    store.time = datetime.now(UTC)
    event: Any = await hitl.new_event.aio("a", int, prompt="How many?")
    assert await store.list_request_ids() == [event.request_id]
