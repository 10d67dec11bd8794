"""Forms and JSON as they are sent, read strictly: UTF-8 alone, each name once, no name that nobody asked for.

Whatever is unclear is refused with a sentence. Nothing is guessed, since what is read here is recorded.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import pydantic_core
from pydantic import JsonValue
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState
from starlette.datastructures import Headers

from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.strictjson import read_json, show
from hitl.core.submissions import split_token
from hitl.errors import InvalidValue
from hitl.records.aside import Thread
from hitl_webapp.admission import Address
from hitl_webapp.media import Media, part_name, read_media
from hitl_webapp.problems import BadInput, WrongMediaType

_ADDRESS_FIELDS: Final = ("request_id", "token", "response_path", "request_path", "data_type", "submission_id")
_TYPED_FIELDS: Final = ("value", "choice", "kept", "comment", "name", "reject", "step", "to")
FORM_FIELDS: Final = frozenset((*_ADDRESS_FIELDS, *_TYPED_FIELDS))
# The fields of an answer's parts, see `hitl.core.forms`: as many as a form has at most.
_OF_PARTS: Final = ("v/", "v~")
MAX_FIELDS: Final = 4_096
# So many bytes of a body are read before its link is known. A larger body is parsed on a thread of its own.
PREFIX_BYTES: Final = 64 * 1024
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_BAD_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")

_T = TypeVar("_T")
_thread: Final = Thread("hitl-bodies")


class Form(NamedTuple):
    """A form as it was sent.

    Args:
        fields: What it holds about the question and the whole answer, each once.
        parts: The fields of the answer's parts, with all their values.
    """

    fields: dict[str, str]
    parts: dict[str, list[str]]


async def read_form(content_type: str, body: bytes) -> Form:
    """Read a form: each known field at most once, and those of an answer's parts.

    Raises:
        WrongMediaType: it is no form, or not in UTF-8.
        BadInput: saying what is wrong with it.
    """
    media = read_media(content_type)
    if media.kind not in (_URLENCODED, _MULTIPART):
        raise WrongMediaType(f"This takes a form: send {_URLENCODED}.")
    return await _aside(body, lambda: _fields(media, body))


async def read_pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Read a form of any fields, each with its value, in their order.

    Raises:
        WrongMediaType: it is no form of a page, or not in UTF-8.
        BadInput: saying what is wrong with it.
    """
    if read_media(content_type).kind != _URLENCODED:
        raise WrongMediaType(f"This takes JSON, or a form: send {_URLENCODED}.")
    return await _aside(body, lambda: _urlencoded(body))


async def read_form_of_several(content_type: str, body: bytes) -> tuple[list[str], Form]:
    """Read a form for several questions: the values of its fields `id`, and what else it holds.

    Raises:
        WrongMediaType: it is no form of a page, or not in UTF-8.
        BadInput: saying what is wrong with it.
    """
    found = await read_pairs(content_type, body)
    return [text for name, text in found if name == "id"], _form(each for each in found if each[0] != "id")


async def read_document(content_type: str, body: bytes) -> JsonValue:
    """Read a JSON body.

    Raises:
        WrongMediaType: it is not announced as JSON, or not in UTF-8.
        BadInput: it is no JSON, names something twice, is nested too deeply or holds a number that cannot be kept.
    """
    media = read_media(content_type)
    if media.kind != "application/json" and not media.kind.endswith("+json"):
        raise WrongMediaType("The body must be JSON, and its Content-Type application/json.")
    try:
        return await _aside(body, lambda: read_json(body))
    except InvalidValue as error:
        raise BadInput(str(error)) from error


def find_address(content_type: str, prefix: bytes) -> Address | None:
    """Find the question and the link in the first bytes of a body that is not whole yet; None: not there.

    What is found decides only how much more is read. The whole body is read again, strictly.
    """
    media = read_media(content_type)
    fields: dict[str, str] = {}
    if media.kind in (_URLENCODED, _MULTIPART):
        parts = _urlencoded(prefix.rpartition(b"&")[0]) if media.kind == _URLENCODED else _parts(media, prefix)[0]
        fields = dict(_known(parts))
    else:
        try:
            content = pydantic_core.from_json(prefix, allow_partial=True)
        except ValueError:
            return None
        if isinstance(content, dict):
            fields = {name: text for name, text in content.items() if isinstance(text, str)}
    if "request_id" not in fields:
        return None
    _, token_in_path = split_token(fields.get("response_path", ""))
    return Address(fields["request_id"], fields.get("token", "") or token_in_path)


async def _aside(body: bytes, read: Callable[[], _T]) -> _T:
    # A small body is read sooner than a thread could be asked to. Of large ones, one at a time: what they are made
    # of while they are read takes many times their size.
    if len(body) <= PREFIX_BYTES:
        return read()
    return await _thread.run(read)


def _fields(media: Media, body: bytes) -> Form:
    if media.kind == _URLENCODED:
        found = _urlencoded(body)
    else:
        found, whole = _parts(media, body)
        if not whole:
            raise BadInput("The form ends in the middle of a field: nothing was recorded, send it again.")
    return _form(found)


def _form(fields: Iterable[tuple[str, str]]) -> Form:
    found = list(fields)
    parts: dict[str, list[str]] = {}
    for name, text in found:
        if _is_of_part(name):
            parts.setdefault(name, []).append(text)
    return Form(dict(_known(found)), parts)


def _is_of_part(name: str) -> bool:
    return name == "v" or name.startswith(_OF_PARTS)


def _known(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    found = [(name, text) for name, text in fields if not _is_of_part(name)]
    for name, count in Counter(name for name, _ in found).items():
        if name not in FORM_FIELDS:
            raise BadInput(f"The form has a field {show(name)} that is unknown here: leave it out.")
        if count > 1:
            raise BadInput(f'The form has the field "{name}" twice: send it once.')
    return found


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("ascii" if body.isascii() else "utf-8")
        if _BAD_PERCENT.search(text):
            raise BadInput('The form has a "%" without two digits behind it: send a percent sign as %25.')
        return parse_qsl(
            text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError as error:
        raise BadInput("The form is not in UTF-8: nothing was recorded.") from error
    except ValueError as error:
        raise BadInput(f"The form has more than {MAX_FIELDS:,} fields.") from error


class _Part:
    """One part of a multipart form while it is read."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.data = bytearray()
        self.whole = False


class _Reader:
    """Collects the parts of a multipart form from the parser's callbacks, and refuses too many."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self._name = b""
        self._value = b""

    def on_part_begin(self) -> None:
        if len(self.parts) == MAX_FIELDS:
            raise BadInput(f"The form has more than {MAX_FIELDS:,} fields.")
        self.parts.append(_Part())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data += data[start:end]

    def on_part_end(self) -> None:
        self.parts[-1].whole = True

    def on_header_begin(self) -> None:
        self._name = self._value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        name = self._name.decode("latin-1").strip().lower()
        if name in self.parts[-1].headers:
            raise BadInput("A field of the form has a header twice.")
        self.parts[-1].headers[name] = self._value.decode("latin-1").strip()


def _parts(media: Media, body: bytes) -> tuple[list[tuple[str, str]], bool]:
    """Return the fields that are whole, and whether the form is."""
    boundary = media.parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadInput("The Content-Type of a multipart form needs a boundary of 1 to 70 characters.")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary.encode(),
            {
                "on_part_begin": reader.on_part_begin,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_header_begin": reader.on_header_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
            },
        )
        parser.write(body)
    except FormParserError as error:
        raise BadInput("The multipart form is malformed: nothing was recorded.") from error
    return [_field(part) for part in reader.parts if part.whole], parser.state == MultipartState.END


def _field(part: _Part) -> tuple[str, str]:
    try:
        return part_name(part.headers), bytes(part.data).decode()
    except UnicodeDecodeError as error:
        raise BadInput("The form is not in UTF-8: nothing was recorded.") from error


def require_readable(query: bytes) -> None:
    """Refuse the query of a URL from which something is recorded, if some of its characters would become others.

    Raises:
        BadInput: it is not percent-encoded UTF-8.
    """
    try:
        text = query.decode("ascii")
        parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise BadInput("The URL is not in UTF-8, percent-encoded: nothing was recorded.") from error
    if _BAD_PERCENT.search(text):
        raise BadInput('The URL has a "%" without two digits behind it: send a percent sign as %25.')


def declared_length(headers: Headers) -> int | None:
    """Return the length that a request announces for its body; None: it announces none."""
    announced = headers.get("content-length")
    return int(announced) if announced is not None and re.fullmatch("[0-9]{1,18}", announced) else None


def require_plain(headers: Headers) -> None:
    """Refuse a body that is not what it stands for, as its header fields say.

    Raises:
        WrongMediaType: it is encoded.
        BadInput: it is a part of something.
    """
    for name, value in headers.raw:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise WrongMediaType("The body is encoded: send it without Content-Encoding.")
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise WrongMediaType("The body is encoded: chunked is the only Transfer-Encoding read here.")
        if name == b"content-range":
            raise BadInput("The body is a part of something, as Content-Range says: send it whole.")


def check_comment(comment: str) -> None:
    """Refuse a comment that cannot be recorded, before anything is.

    Raises:
        BadInput: saying what is wrong with it.
    """
    if len(comment) > MAX_COMMENT_CHARS:
        raise BadInput(
            f"The comment has {len(comment):,} characters: shorten it to at most {MAX_COMMENT_CHARS:,}."
        )
