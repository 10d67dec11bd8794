"""What the API server answers is read, however deeply somebody nested a part of it."""

import json
from typing import Any

import pytest

from hitl.cluster.mapping import question_of
from hitl.cluster.replies import KindNotServed, parsed, parsed_list, refusal
from hitl.cluster.v1alpha1 import MAX_SCHEMA_LEVELS, HumanInput
from hitl.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnavailable,
    InvalidRequest,
)


def _listed(levels: int) -> bytes:
    schema = '{"a]}":["\\"{[",' * levels + "1" + "]}" * levels
    spec = '"spec":{"prompt":"?","dataType":"json","schema":'
    first = '{"metadata":{"name":"a"},' + spec + schema + "}}"
    second = '{"metadata":{"name":"b"},' + spec + '{"type":"object"}}}'
    return f'{{"kind":"HumanInputList","metadata":{{"resourceVersion":"7"}},"items":[{first},{second}]}}'.encode()


@pytest.mark.parametrize("levels", [90, MAX_SCHEMA_LEVELS, 5_000])
def test_one_object_that_is_nested_deeply_hides_no_other_of_its_list(levels: int) -> None:
    found = parsed(_listed(levels))
    first, second = (HumanInput.from_object(each) for each in found["items"])
    assert found["metadata"]["resourceVersion"] == "7"
    assert (first.metadata.name, second.metadata.name) == ("a", "b")
    assert question_of(second).json_schema == {"type": "object"}
    if 2 * levels > MAX_SCHEMA_LEVELS:
        with pytest.raises(InvalidRequest, match="nested too deeply"):
            question_of(first)
    else:
        assert found == json.loads(_listed(levels))


@pytest.mark.parametrize(
    "data",
    [
        *(b"<html>", b"", b'{"items":', b"\xff", b"[" * 3_000, b"]" * 3_000, b'"{' * 300),
        # What a proxy may say of itself.
        *(b"null", b'"ok"', b"[]", b"{}", b"5", b'{"status":"ok"}', b'[{"kind":"Lease"}]'),
    ],
)
def test_what_is_no_object_is_no_api_server(data: bytes) -> None:
    with pytest.raises(ClusterUnavailable, match="sent no object"):
        parsed(data)


@pytest.mark.parametrize("value", ["👍", 2**70, 1e300, None, "\\u0000", "a\u2028b"])
def test_what_is_read_is_what_was_sent(value: Any) -> None:
    content = {"kind": "HumanInput", "value": value}
    assert parsed(json.dumps(content).encode()) == content


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        # A token that is being renewed is unknown for a moment.
        (401, ClusterUnavailable),
        (403, ClusterForbidden),
        (404, ClusterNotFound),
        (409, ClusterConflict),
        (413, ClusterError),
        (422, ClusterError),
        (429, ClusterUnavailable),
        (500, ClusterUnavailable),
        (504, ClusterUnavailable),
    ],
)
def test_a_status_says_whether_trying_again_may_help(status: int, kind: type[ClusterError]) -> None:
    error = refusal(status, b'{"kind":"Status","message":"no"}')
    assert (type(error), error.status, str(error)) == (kind, status, "no")


@pytest.mark.parametrize("data", [b"<html>404", b"", b'{"message":"no Route matched with those values"}', b"null"])
def test_a_404_of_something_else_says_nothing_of_an_object(data: bytes) -> None:
    assert type(refusal(404, data)) is ClusterUnavailable


def test_that_a_kind_is_not_served_says_nothing_of_an_object_either() -> None:
    # The API server says so, and many a proxy by the same words.
    assert type(refusal(404, b"404 page not found\n")) is KindNotServed


@pytest.mark.parametrize("data", [b'{"kind":"Status"}', b'{"type":"about:blank"}', b'{"kind":"List","items":[]}'])
def test_what_is_no_list_is_no_api_server(data: bytes) -> None:
    with pytest.raises(ClusterUnavailable, match="sent no object"):
        parsed_list(data)
