"""What is sent to the API server reads the same as JSON and as YAML."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hitl.cluster.body import Lines, encode

_ANY = st.text()
# Those that YAML takes for ends of lines, for faults or for a mark of the byte order, beside any others.
_AWKWARD = st.text(
    st.sampled_from("a\x00\t\n\r\x7f\x80\x85\x9f\xa0\u2028\u2029\ufeff\ufffd\ufffe\uffff\U0001f44d\U0010ffff")
)


@given(st.dictionaries(_ANY | _AWKWARD, _ANY | _AWKWARD))
def test_json_and_yaml_readers_find_what_was_meant(content: dict[str, str]) -> None:
    sent = encode(content)
    assert json.loads(sent) == content
    # A key of one of these words is no string to YAML, unless it is quoted, as all are here.
    assert yaml.safe_load(sent) == content


def test_characters_are_sent_as_themselves() -> None:
    assert encode({"comment": "ship it 👍 – grüß"}) == '{"comment":"ship it 👍 – grüß"}'.encode()


@pytest.mark.parametrize("half", ["\ud83d", "x\udc4d\ud83dy"])
def test_half_a_character_becomes_the_replacement_character(half: str) -> None:
    sent = json.loads(encode({"value": half}))["value"]
    assert sent == "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in half)


@given(st.lists(st.binary(), min_size=1), st.data())
def test_lines_are_put_together_however_the_network_cuts_them(lines: list[bytes], data: st.DataObject) -> None:
    wanted = [each.replace(b"\n", b"") for each in lines]
    stream = b"".join(each + b"\n" for each in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reader = Lines()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [line for piece in pieces for line in reader.feed(piece)] == wanted
