"""Files as they arrive: read piece by piece from the connection into the storage, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header
from starlette.requests import Request

from hitl.core.files import FileValue, asks_for_file
from hitl.errors import AlreadySettled, Expired, InvalidValue
from hitl.records.files import FileTooLarge, describe, require_room, upload
from hitl_webapp.admission import Admitted
from hitl_webapp.bodies import PREFIX_BYTES, declared_length, require_plain
from hitl_webapp.media import part_name, read_media
from hitl_webapp.problems import BadInput, TooLarge, WrongMediaType
from hitl_webapp.service import Service

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELDS: Final = ("request_id", "token", "comment", "name")
_FILE: Final = "file"


async def require_file_wanted(service: Service, admitted: Admitted) -> None:
    """Refuse a file before it arrives, if it could not answer.

    Raises:
        AlreadySettled: there is an outcome. It may rest on the same file.
        BadInput: the question is answered by something else.
        NotAllowed, Expired: nothing of this visitor is taken, or nothing any more.
        TooLarge: too much was sent for this question already.
    """
    question = admitted.request.document
    if not asks_for_file(question):
        raise BadInput("This question is not answered by a file: answer it in its form, or by POST /submit/json.")
    await admitted.principal.require_may_answer(question, await service.clock.rights_time(question))
    standing = await service.questions.outcome(admitted.request)
    if standing is not None:
        raise AlreadySettled(standing)
    if await service.questions.over(admitted.request):
        raise Expired(f"the deadline of request {question.request_id} has passed: nothing was recorded")
    try:
        await require_room(service.store, question.request_id, service.settings.max_file_bytes)
    except FileTooLarge as error:
        raise TooLarge(str(error)) from error


async def receive(
    service: Service,
    admitted: Admitted,
    submission_id: str,
    name: str,
    data: AsyncIterator[bytes],
    *,
    keep: bool = True,
) -> FileValue:
    """Read a file, and write it into the storage as it arrives.

    Args:
        service: The web app's service.
        admitted: The question and the visitor.
        submission_id: The submission that will name the file.
        name: What the visitor calls it.
        data: Its bytes, in pieces.
        keep: Whether it is written. Otherwise it is only described, as there is an outcome already.

    Raises:
        TooLarge: it has more bytes than the settings allow.
        InvalidValue: it is empty.
        StorageUnavailable: when the storage did not answer in time.
    """
    most = service.settings.max_file_bytes
    try:
        if not keep:
            return await describe(name, data, most)
        return await upload(service.store, admitted.request.request_id, submission_id, name, data, most)
    except FileTooLarge as error:
        raise TooLarge(str(error)) from error


def check_announced(request: Request, service: Service) -> None:
    """Refuse a body that is announced as larger than any file may be, or is not what it stands for.

    Raises:
        TooLarge, WrongMediaType, BadInput: saying why.
    """
    require_plain(request.headers)
    announced, most = declared_length(request.headers), service.settings.max_file_bytes
    if announced is not None and announced > most + PREFIX_BYTES:
        raise TooLarge(f"The file has more than {most:,} bytes: nothing was recorded.")


class FileForm:
    """A form with a file, read as it arrives: first its fields, then the file, then whatever fields follow.

    Args:
        request: The request.
    """

    def __init__(self, request: Request) -> None:
        media = read_media(request.headers.get("content-type", ""))
        boundary = media.parameters.get("boundary", "")
        if media.kind != "multipart/form-data" or not 1 <= len(boundary) <= 70 or not boundary.isascii():
            raise WrongMediaType("This takes a form with a file: send multipart/form-data.")
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self._stream = request.stream()
        self._headers: dict[str, str] = {}
        self._header, self._value, self._text = b"", b"", bytearray()
        self._size = 0
        self._part = ""
        self._file = bytearray()
        names = (
            "part_begin",
            "part_data",
            "part_end",
            "header_begin",
            "header_field",
            "header_value",
            "header_end",
        )
        callbacks = {f"on_{name}": getattr(self, f"_{name}") for name in (*names, "headers_finished")}
        self._parser = MultipartParser(boundary.encode(), cast("MultipartCallbacks", callbacks))

    async def until_file(self) -> None:
        """Read until the file begins.

        Raises:
            BadInput: the form is malformed, or has no file.
        """
        while self.file_name is None and await self._more():
            pass
        if self.file_name is None:
            raise InvalidValue("Choose a file.")

    async def file(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file, and read the fields behind it.

        Raises:
            BadInput: the form is malformed, or ends in the middle.
        """
        more = True
        while more:
            if self._file:
                piece, self._file = bytes(self._file), bytearray()
                yield piece
            more = await self._more()
        if self._file:
            yield bytes(self._file)
        if self._parser.state != MultipartState.END:
            raise BadInput("The form ends in the middle of a field: nothing was recorded, send it again.")

    async def _more(self) -> bool:
        piece = await anext(self._stream, b"")
        try:
            if piece:
                self._parser.write(piece)
        except FormParserError as error:
            raise BadInput("The multipart form is malformed: nothing was recorded.") from error
        return bool(piece)

    def _part_begin(self) -> None:
        self._headers, self._text = {}, bytearray()

    def _header_begin(self) -> None:
        self._header = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._count(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _header_end(self) -> None:
        name = self._header.decode("latin-1").strip().lower()
        if name in self._headers:
            raise BadInput("A field of the form has a header twice.")
        self._headers[name] = self._value.decode("latin-1").strip()

    def _headers_finished(self) -> None:
        self._part = part_name(self._headers, _FILE)
        if self._part == _FILE:
            if self.file_name is not None:
                raise BadInput('The form has another file than one, in the field "file": nothing was recorded.')
            if "request_id" not in self.fields:
                raise BadInput("The form's file comes first: send request_id and token before it.")
            _, found = parse_options_header(self._headers["content-disposition"])
            self.file_name = _text(found.get(b"filename", b""))
        elif self._part not in _FIELDS or self._part in self.fields:
            raise BadInput("The form has a field twice, or one that is unknown here: nothing was recorded.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == _FILE:
            self._file += data[start:end]
            return
        self._text += data[start:end]
        self._count(end - start)

    def _part_end(self) -> None:
        if self._part != _FILE:
            self.fields[self._part] = _text(bytes(self._text))

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > PREFIX_BYTES:
            raise BadInput(f"The form's fields have more than {PREFIX_BYTES:,} bytes: nothing was recorded.")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadInput("The form is not in UTF-8: nothing was recorded.") from error
