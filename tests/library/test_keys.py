"""Keys stay under their prefix, ids are DNS labels, and what differs gets different ones."""

import string
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hitl.core import keys
from hitl.errors import RequestNotFound

anything = st.text(st.characters())
label = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
key_builders: list[Callable[[str], str]] = [
    keys.request_key,
    keys.response_key,
    keys.links_prefix,
    keys.new_marker,
    keys.answered_marker,
    lambda request_id: keys.link_key(request_id, keys.hash_token("token")),
    lambda request_id: keys.evidence_key(request_id, "0" * 64),
    lambda request_id: keys.answer_part_key(request_id, "../..", 3),
]


@given(name=anything, identity=st.lists(anything, max_size=4))
@example(name="", identity=[])
@example(name="../../etc/passwd", identity=["\ud800"])
@example(name='Approve "this" <script>' * 40, identity=[])
@example(name="İĞ-" * 30, identity=[])
def test_any_event_name_gives_a_label(name: str, identity: list[str]) -> None:
    for request_id in (keys.derived_request_id(name, *identity), keys.random_request_id(name)):
        assert 1 <= len(request_id) <= 63
        assert set(request_id) <= set(string.ascii_lowercase + string.digits + "-")
        assert not request_id.startswith("-")
        assert keys.is_request_id(request_id)


def test_an_id_begins_with_the_event_name() -> None:
    assert keys.derived_request_id("User number: input!").startswith("user-number-input-")
    assert keys.derived_request_id("???").startswith("event-")


@given(one=st.lists(anything, min_size=1, max_size=4), other=st.lists(anything, min_size=1, max_size=4))
@example(one=["e", "ab", "c"], other=["e", "a", "bc"])
@example(one=["e", "a", ""], other=["e", "a"])
@example(one=["e", ""], other=["e", "", ""])
@example(one=["e", "\ud800"], other=["e", "\udfff"])
@example(one=["E"], other=["e"])
def test_distinct_identities_give_distinct_ids(one: list[str], other: list[str]) -> None:
    assume(one != other)

    assert keys.derived_request_id(*one) == keys.derived_request_id(*one)
    assert keys.derived_request_id(*one) != keys.derived_request_id(*other)


def test_random_ids_differ() -> None:
    ids = {keys.random_request_id("same") for _ in range(100)}
    assert len(ids) == 100
    # 96 random bits: no place is fixed, as two are in a UUID.
    assert all(len(set(place)) > 4 for place in zip(*(each.removeprefix("same-") for each in ids), strict=True))


@given(request_id=label)
def test_a_label_is_a_request_id_and_its_keys_are_its_own(request_id: str) -> None:
    assert keys.is_request_id(request_id)
    built = [build(request_id) for build in key_builders]
    assert len(set(built)) == len(built)
    for key in built:
        first, *_ = key.split("/")
        assert first == "hitl-requests"
        assert request_id in key.split("/")


@given(text=anything | st.text(string.ascii_letters + "-._/\\\n%", max_size=70))
@example("..")
@example("a/../b")
@example("a\n")
@example("-a")
@example("a-")
@example("_new")
@example("A")
@example("a" * 64)
@example("")
@example("ａ")
def test_nothing_else_builds_a_key(text: str) -> None:
    assume(not keys.is_request_id(text))

    for build in key_builders:
        with pytest.raises(RequestNotFound, match="not a question's id"):
            build(text)


@given(text=anything)
@example("a\n")
@example("a" * 63)
@example("a" * 64)
def test_what_a_request_id_is(text: str) -> None:
    allowed = set(string.ascii_lowercase + string.digits)
    expected = 1 <= len(text) <= 63 and set(text) <= allowed | {"-"} and text[0] in allowed and text[-1] in allowed
    assert keys.is_request_id(text) == expected


@given(token=anything)
def test_a_link_lies_with_its_request_whatever_the_token(token: str) -> None:
    key = keys.link_key("a", keys.hash_token(token))

    prefix, _, name = key.rpartition("/")
    assert prefix == keys.links_prefix("a")
    assert len(name) == len(".json") + 64
    assert set(name.removesuffix(".json")) <= set("0123456789abcdef")


@pytest.mark.parametrize("token_hash", ["", "../../x", "A" * 64, "a" * 63, "a" * 64 + "\n", "/" * 64])
def test_what_is_no_hash_builds_no_key(token_hash: str) -> None:
    with pytest.raises(RequestNotFound):
        keys.link_key("a", token_hash)


def test_tokens_are_long_random_and_safe_in_a_url() -> None:
    tokens = {keys.new_token() for _ in range(100)}

    assert len(tokens) == 100
    for token in tokens:
        assert len(token) == 22, "of 128 bits"
        assert keys.looks_like_token(token)
        assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("root", ["s3://bucket/x", "s3://bucket/x/"])
def test_a_full_path_joins_root_and_key(root: str) -> None:
    assert keys.path_under(root, "a/b") == "s3://bucket/x/a/b"


def test_probes_differ_and_are_no_requests() -> None:
    one, other = keys.probe_key(), keys.probe_key()

    assert one != other
    assert not keys.is_request_id(one.split("/")[1])


@given(submission_id=anything)
@example(submission_id="../../x")
def test_a_submission_id_is_no_path(submission_id: str) -> None:
    key = keys.answer_part_key("a", submission_id, 7)
    folder, _, name = key.removeprefix(f"{keys.PREFIX}/a/").rpartition("/")

    assert folder.startswith("answers/")
    assert folder.count("/") == 1
    assert set(folder.removeprefix("answers/")) <= set("0123456789abcdef")
    assert name == "00007"


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n", "../" + "0" * 61])
def test_what_is_no_digest_names_no_file(sha256: str) -> None:
    with pytest.raises(RequestNotFound):
        keys.evidence_key("a", sha256)
