"""What of a body is read, and what is refused because it could mean two things."""

import asyncio
import json
from typing import Any

import pytest

from hitl_webapp.admission import Address
from hitl_webapp.bodies import MAX_FIELDS, find_address, read_document, read_form, require_readable
from hitl_webapp.media import read_media
from hitl_webapp.problems import BadInput, WrongMediaType
from tests.web.raw import BOUNDARY, FORM, MULTIPART, part

END = f"--{BOUNDARY}--\r\n".encode()


def form(body: bytes, content_type: str = FORM) -> dict[str, str]:
    return asyncio.run(read_form(content_type, body)).fields


def document(body: bytes, content_type: str = "application/json") -> Any:
    return asyncio.run(read_document(content_type, body))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"value=a+b%E2%82%AC&token=&comment=x%3Dy"),
        (f"{FORM};charset=UTF-8", "value=a b€&token=&comment=x%3Dy".encode()),
        (MULTIPART, part("value", "a b€".encode()) + part("token", b"") + part("comment", b"x=y") + END),
        (f'multipart/form-data; boundary="{BOUNDARY}"; charset=utf-8', part("value", "a b€".encode())
         + part("token", b"", "Content-Type: text/plain; charset=utf-8") + part("comment", b"x=y") + END),
    ],
)  # fmt: skip
def test_a_form_is_read(content_type: str, body: bytes) -> None:
    assert form(body, content_type) == {"value": "a b€", "token": "", "comment": "x=y"}


@pytest.mark.parametrize(
    "charset",
    ["punycode", "utf-7", "utf-16", "latin-1", "undefined", "idna", "unicode_escape", "zip", "UTF-8 ", "é", ""],
)
def test_no_encoding_but_utf_8_is_read(charset: str) -> None:
    for content_type in (f'{FORM}; charset="{charset}"', f'{MULTIPART}; charset="{charset}"'):
        with pytest.raises(WrongMediaType):
            form(b"value=1", content_type)
    with pytest.raises(WrongMediaType):
        document(b"{}", f'application/json; charset="{charset}"')


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        ";",
        "text/plain",
        "application/x-www-form-urlencoded, text/plain",
        f"{FORM}; charset=utf-8; charset=punycode",
        f"{FORM}; charset",
        f'{FORM}; charset="utf-8',
        "multipart/form-data2; boundary=x",
        "application/json",
    ],
)
def test_what_is_no_form_is_refused(content_type: str) -> None:
    with pytest.raises(WrongMediaType):
        form(b"value=1", content_type)


@pytest.mark.parametrize("boundary", ["", "boundary=", 'boundary=""', f"boundary={'x' * 71}"])
def test_a_multipart_form_needs_a_boundary(boundary: str) -> None:
    with pytest.raises(BadInput):
        form(END, f"multipart/form-data; {boundary}")


@pytest.mark.parametrize(
    "body",
    [
        b"value=1&value=2",
        b"value=1&%76alue=2",
        b"value=1&reject=&reject=",
        b"value=1&valeu=2",
        b"=1",
        b"value=1&__proto__=2",
        b"value=100%",
        b"value=%zz",
        b"value=%u20AC",
        b"value=\xff",
        b"value=%ff",
        b"value=%ED%A0%80",
        b"value%ff=1",
        b"&".join(f"field{n}=x".encode() for n in range(MAX_FIELDS + 1)),
    ],
)
def test_a_form_that_could_mean_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        form(body)


@pytest.mark.parametrize(
    "body",
    [
        part("value", b"1") + part("value", b"2") + END,
        part("value", b"1") + part("valeu", b"2") + END,
        part("value", b"\xff") + END,
        part("value", b"1", "Content-Type: text/plain; charset=utf-7") + END,
        part("value", b"1", "Content-Transfer-Encoding: base64") + END,
        part("value", b"1", "Content-Encoding: gzip") + END,
        part("value", b"1", "Content-Type: multipart/mixed; boundary=b") + END,
        part("value", b"1", 'Content-Disposition: form-data; name="comment"') + END,
        part('value"; filename="a.txt', b"1") + END,
        part('value"; name="comment', b"1") + END,
        part("value", b"1"),
        b"value=1",
        b"",
        b"".join(part(name, b"") for name in ("value", *(f"field{n}" for n in range(MAX_FIELDS)))) + END,
    ],
)
def test_a_multipart_form_that_could_mean_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        form(body, MULTIPART)


def test_a_form_never_names_what_cannot_be_printed() -> None:
    with pytest.raises(BadInput) as refused:
        form(b"%E2%80%AE%1b[31mvalue=1")

    assert "\u202e" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"value": 1, "value": 2}',
        b'{"value": {"a": 1, "a": 2}}',
        b'{"value": NaN}',
        b'{"value": 1e400}',
        b'{"value": 1e-400}',
        b'{"value": "\xff"}',
        '{"value": 1}'.encode("utf-16"),
        b"[" * 100 + b"]" * 100,
        b"[" * 60_000,
        b"{",
        b"",
    ],
)
def test_json_that_could_mean_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        document(body)


def test_what_is_not_called_json_is_refused() -> None:
    for content_type in ("", "text/json", "text/plain", "application/jsonp"):
        with pytest.raises(WrongMediaType):
            document(b"{}", content_type)
    assert document(b"{}", "application/problem+json; charset=utf-8") == {}


def test_the_question_is_found_in_the_first_bytes() -> None:
    address = Address("a-question", "the-token")
    fields = {"request_id": "a-question", "token": "the-token", "value": "x" * 100}
    cut = json.dumps(fields).encode()[:-50]

    assert find_address("application/json", cut) == address
    assert find_address(FORM, b"request_id=a-question&token=the-token&value=xxx") == address
    assert find_address(FORM, b"request_id=a-question&response_path=p%23the-token&value=xxx") == address
    parts = part("request_id", b"a-question") + part("token", b"the-token") + part("value", b"x")[:-5]
    assert find_address(MULTIPART, parts) == address
    assert find_address("application/json", b'{"value": "' + b"x" * 100) is None
    assert find_address("application/json", b"[" * 60_000) is None
    assert find_address("application/json", b"[1, 2") is None
    assert find_address(FORM, b"value=" + b"x" * 100) is None


def test_a_media_type_is_read() -> None:
    media = read_media('Multipart/Form-Data ; Boundary="a\\"b" ; charset=UTF-8;')

    assert media.kind == "multipart/form-data"
    assert media.parameters == {"boundary": 'a"b', "charset": "UTF-8"}


@pytest.mark.parametrize("query", [b"comment=gr%FCn", b"comment=gr\xc3\xbcn", b"comment=100%", b"name=%ED%A0%80"])
def test_a_url_whose_characters_would_become_others_is_refused(query: bytes) -> None:
    with pytest.raises(BadInput, match="URL"):
        require_readable(query)


def test_a_url_in_utf_8_is_read() -> None:
    require_readable(b"name=gr%C3%BCn%20%25&comment=")
