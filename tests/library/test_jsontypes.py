"""A program gets a value of the very type that it asked for, or the answer is refused, whatever the channel."""

import json
import types
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal, Optional, Union, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.author.context import Context
from hitl.author.events import new_event
from hitl.core.documents import RequestDocument
from hitl.core.jsontypes import combined, type_schema
from hitl.core.keys import derived_request_id, request_key
from hitl.core.pythontypes import typed
from hitl.core.question import parse_answer
from hitl.core.values import NoJsonType
from hitl.errors import DocumentDamaged, InvalidRequest, InvalidValue, RequestMismatch
from hitl.records.records import Records
from hitl.records.requests import read_request
from hitl.settings import Settings
from hitl.storage import Store, open_store
from tests.library.samples import NOW, answer, create_request, draft_request, event_of, settle
from tests.library.test_values import json_values, same


def shown(given: Any) -> str:
    return ascii(given)[:32]


def draft(data_type: Any, **changes: Any) -> RequestDocument:
    content: dict[str, Any] = {
        "request_id": "a",
        "event_name": "e",
        "data_type": data_type,
        "prompt": "Which?",
        "timeout_seconds": 600,
        "now": NOW,
    }
    return draft_request(**{**content, **changes})


FITS: list[tuple[Any, Any, Any]] = [
    (list, [1, "a", None], [1, "a", None]),
    (list[Any], [1, "a"], [1, "a"]),
    (list[int], [1.0, -2], [1, -2]),
    (list[int], [], []),
    (list[float], [1, 2.5], [1.0, 2.5]),
    (list[str], ["a", ""], ["a", ""]),
    (list[bool], [True, False], [True, False]),
    (list[list[int]], [[1], [2.0]], [[1], [2]]),
    (list[int | None], [1.0, None], [1, None]),
    (list[Optional[str]], ["a", None], ["a", None]),  # noqa: UP045 - the old spelling is what is tested
    (list[Union[int, str]], [1.0, "1"], [1, "1"]),  # noqa: UP007 - the old spelling is what is tested
    (list[int | float], [1, 1.5], [1, 1.5]),
    (list[Literal["red", "green"]], ["red"], ["red"]),
    (dict, {"a": [1]}, {"a": [1]}),
    (dict[str, Any], {"a": {}}, {"a": {}}),
    (dict[str, int], {"a": 1e3}, {"a": 1000}),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (dict[str, dict[str, list[float]]], {"a": {"b": [1]}}, {"a": {"b": [1.0]}}),
    (None, None, None),
    (type(None), None, None),
]

WRONG: dict[Any, tuple[Any, ...]] = {
    list[str]: ({"a": 1}, 42, "plain text", [1, 2], '["a"]', None, ["a", None], [["a"]]),
    dict: ([1], 42, "x", None, '{"a":1}', True),
    dict[str, int]: ({"a": "b"}, {"a": 1.5}, {"a": True}, {"a": None}, [1], {"a": "1"}),
    list[int]: ([True], ["1"], [1.5], [2**63], [-(2**63) - 1], [1e300], [[1]]),
    list[float]: (["1.5"], [True], [10**400]),
    list[bool]: ([1], [0], ["true"], [None]),
    list[Literal["red"]]: (["blue"], [1]),
    list: ({}, "[]", None, 1),
    None: (0, False, "", [], {}, "null"),
    list[int | None]: (["x"],),
    list[list[int]]: ([1],),
}
REFUSED = [(data_type, value) for data_type, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("data_type", "given_", "value"), FITS, ids=shown)
def test_an_answer_that_fits_becomes_a_value_of_the_type(data_type: Any, given_: Any, value: Any) -> None:
    request = draft(data_type)

    by_json = parse_answer(request, given_, text=False)
    by_text = parse_answer(request, json.dumps(given_), text=True)

    assert same(by_json, by_text)
    assert same(typed(data_type, by_json), value)


@pytest.mark.parametrize(("data_type", "given_"), REFUSED, ids=shown)
def test_an_answer_of_another_type_is_refused(data_type: Any, given_: Any) -> None:
    request = draft(data_type)

    for text, answered in ((False, given_), (True, json.dumps(given_))):
        with pytest.raises(InvalidValue):
            parse_answer(request, answered, text=text)
    with pytest.raises(InvalidValue):
        typed(data_type, given_)


@pytest.mark.parametrize("data_type", [int, float, bool, str, "int", "json", Any])
def test_a_type_whose_name_says_all_has_no_schema(data_type: Any) -> None:
    assert type_schema(data_type) is None
    assert draft(data_type).json_schema is None


@pytest.mark.parametrize(
    ("data_type", "sentence"),
    [
        (dict[int, str], r"names of type int.*use dict\[str, str\] and convert"),
        (dict[bytes, int], r"use dict\[str, int\]"),
        (dict[Any, int], "names of type"),
        (list[dict[int, str]], "JSON's names are text"),
    ],
    ids=shown,
)
def test_a_type_that_json_cannot_hold_is_refused_when_it_is_asked_for(data_type: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        draft(data_type)


@pytest.mark.parametrize(
    ("data_type", "part"),
    [
        (list[bytes], "bytes"),
        (list[set[int]], r"set\[int\]"),
        (list[tuple[int, int]], r"tuple\[int, int\]"),
        (list[datetime], "datetime"),
        (dict[str, complex], "complex"),
        (list[object], "object"),
        (list["int"], "'int'"),
        (list[Literal[1]], "typing.Literal"),
        (list[int | bytes], "bytes"),
    ],
    ids=shown,
)
def test_what_is_none_of_jsons_own_types_is_left_to_pydantic(data_type: Any, part: str) -> None:
    with pytest.raises(NoJsonType, match=f"because of {part}"):
        type_schema(data_type)
    assert draft(data_type).json_schema


def test_a_type_without_end_is_refused() -> None:
    nested: Any = int
    for _ in range(200):
        nested = list[nested]

    with pytest.raises(InvalidRequest, match="nested too deeply"):
        draft(nested)


def list_of(part: Any) -> Any:
    return types.GenericAlias(list, (part,))


parts: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([int, float, bool, str, None, Any, list, dict, Literal["red"]]),
    lambda inner: (
        inner.map(list_of)
        | inner.map(lambda part: types.GenericAlias(dict, (str, part)))
        | inner.map(lambda part: cast("Any", Union)[part, None])
    ),
    max_leaves=4,
)


def holds(data_type: Any, value: Any) -> bool:
    """Whether Python would call a value one of the type: written apart from what is tested."""
    origin, arguments = getattr(data_type, "__origin__", data_type), getattr(data_type, "__args__", ())
    if data_type is Any:
        return True
    if data_type is None or data_type is type(None):
        return value is None
    if origin is list:
        return type(value) is list and all(holds(arguments[0], each) for each in value if arguments)
    if origin is dict:
        return type(value) is dict and all(holds(arguments[1], each) for each in value.values() if arguments)
    if origin is Literal:
        return value in arguments and type(value) is str
    if arguments:
        return any(holds(each, value) for each in arguments)
    return type(value) is data_type


@given(part=parts, value=json_values)
def test_what_is_accepted_is_returned_as_the_type_and_equal(part: Any, value: Any) -> None:
    data_type = list_of(part)
    request = draft(data_type)

    for given_ in (value, [value]):
        try:
            recorded = parse_answer(request, given_, text=False)
        except InvalidValue:
            assert not holds(data_type, given_) or any(abs(n) > 2**63 - 1 for n in whole_numbers(given_))
            continue
        returned = typed(data_type, recorded)
        assert returned == recorded
        assert holds(data_type, returned)


def whole_numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return whole_numbers(list(value.values()))
    if isinstance(value, list):
        return [number for each in value for number in whole_numbers(each)]
    return [value] if isinstance(value, int) else []


def test_the_authors_schema_counts_besides_and_its_references_lead_where_they_led() -> None:
    own = {"$defs": {"small": {"maximum": 9}}, "items": {"$ref": "#/$defs/small"}, "allOf": [{"minItems": 1}]}
    request = draft(list[int], json_schema=own)

    assert parse_answer(request, [1, 9], text=False) == [1, 9]
    refused: Any
    for refused in ([], [10], ["1"], {}):
        with pytest.raises(InvalidValue):
            parse_answer(request, refused, text=False)
    assert own["allOf"] == [{"minItems": 1}], "what the author gave stays as it was"


def test_the_type_does_not_loosen_the_authors_rule_for_what_is_left_over() -> None:
    own: dict[str, Any] = {"properties": {"a": {}}, "unevaluatedProperties": False}
    request = draft(dict[str, int], json_schema=own)

    assert parse_answer(request, {"a": 1}, text=False) == {"a": 1}
    refused: Any
    for refused in ({"b": 1}, {"a": "x"}):
        with pytest.raises(InvalidValue):
            parse_answer(request, refused, text=False)


def test_a_wrong_schema_is_refused_and_not_hidden_by_the_type() -> None:
    with pytest.raises(InvalidRequest, match="no JSON Schema"):
        draft(list[int], json_schema={"allOf": 5})


@given(
    own=st.dictionaries(st.sampled_from(["type", "minItems", "allOf", "$defs", "not"]), json_values, max_size=3)
)
def test_combining_changes_nothing_of_the_authors_own(own: dict[str, Any]) -> None:
    before = json.dumps(own)

    both = combined(own, {"type": "array"})

    assert json.dumps(own) == before
    assert both is not None
    assert all(both[name] == own[name] for name in own if name != "allOf")


def test_a_default_is_of_the_type_too() -> None:
    assert draft(list[int], default=[1, 2]).default == "[1,2]"
    for wrong in (["a"], {"a": 1}, 5):
        with pytest.raises(InvalidRequest, match="does not fit its own question"):
            draft(list[int], default=wrong)


@pytest.mark.parametrize("given_", [("[1.0, 2]", True), ([1.0, 2], False)])
async def test_wait_returns_a_value_of_the_type_whatever_the_channel(given_: tuple[Any, bool]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    now = datetime.now(UTC)
    request = await create_request(store, draft(list[int], now=now, root=store.url))
    value, text = given_
    await settle(store, request, answer(value, text=text), now=now, markers=False)

    assert same(await event_of(store, request, list[int]).wait.aio(), [1, 2])


async def test_an_outcome_of_another_type_is_damage() -> None:
    # As release 0.1.0 recorded it, or as somebody wrote it into the bucket.
    store = Store(f"memory://{uuid.uuid4().hex}")
    now = datetime.now(UTC)
    request = await create_request(store, draft("json", now=now, root=store.url))
    await settle(store, request, answer({"a": 1}, text=False), now=now, markers=False)

    with pytest.raises(DocumentDamaged, match=r"response\.json.*not of type 'array'"):
        await event_of(store, request, list[int]).wait.aio()


class _Action:
    """A Flyte action, as far as asking needs one: it counts identical questions."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def take_number(self, event_name: str, digest: str) -> int:
        before = self._counts[event_name, digest]
        self._counts[event_name, digest] += 1
        return before

    async def show(self, *shown: Any) -> None:
        """Nothing is shown."""


# Digests of release 0.1.0 for the question of `draft`: without and with an author's own schema and a default.
BEFORE: list[tuple[str, dict[str, Any]]] = [
    ("ab1e44642a72159714c8f1a423b9aefa6246d249d9aaa8a8e52f87e6efe5aa82", {}),
    (
        "077a3ab6ab0cd40371fe98957dc1c7f327e9cdd6e8e0988cfc4830f2851ae2a2",
        {"schema": {"minProperties": 1}, "default": {"a": 1}, "on_timeout": "default"},
    ),
]


@pytest.mark.parametrize(("digest", "content"), BEFORE)
async def test_a_restarted_task_finds_what_release_0_1_0_asked(
    digest: str, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    request_id = derived_request_id("e", "", "", "", "", "", digest, "0")
    own = content.get("schema")
    asked_before = draft("json", request_id=request_id, json_schema=own, default=content.get("default"))
    await create_request(store, asked_before)

    async def here() -> Context:
        return Context(Records(store), "http://127.0.0.1:1", "flyte", cast("Any", _Action()))

    monkeypatch.setattr("hitl.author.asking.find_context", here)

    event = await new_event.aio("e", dict, prompt="Which?", **content)

    assert event.request_id == request_id
    assert event.expires_at == asked_before.expires_at


@pytest.mark.parametrize("own", [None, {"minProperties": 1}])
async def test_a_key_finds_what_release_0_1_0_asked(own: Any) -> None:
    store = open_store(Settings())
    key = uuid.uuid4().hex
    first = await new_event.aio("an-old-one", dict, prompt="Which?", key=key, schema=own)
    stored = (await read_request(store, first.request_id)).document
    assert stored.json_schema != own
    await store.delete(request_key(first.request_id))
    await create_request(store, stored.model_copy(update={"json_schema": own}))

    again = await new_event.aio("an-old-one", dict, prompt="Which?", key=key, schema=own)

    assert again.request_id == first.request_id
    with pytest.raises(RequestMismatch):
        await new_event.aio("an-old-one", dict, prompt="Which?", key=key, schema={"minProperties": 2})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((list[str], None), (list[int], None)),
        ((dict, {"minProperties": 1}), (dict, None)),
    ],
)
async def test_another_type_or_schema_under_the_same_key_is_another_question(one: Any, other: Any) -> None:
    key = uuid.uuid4().hex
    await new_event.aio("typed", one[0], key=key, schema=one[1])

    with pytest.raises(RequestMismatch):
        await new_event.aio("typed", other[0], key=key, schema=other[1])
