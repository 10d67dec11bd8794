"""A file as an answer: what is recorded of it. Its bytes lie in storage, in parts."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from hitl.core.evidence import shown_name
from hitl.core.limits import MAX_NAME_CHARS
from hitl.errors import InvalidRequest, InvalidValue

FILE_PART_BYTES: Final = 1024 * 1024
"""How many bytes a part of an uploaded file has, but for the last."""
MAX_FILE_BYTES: Final = 64 * 1024 * 1024

_MARK: Final = "x-hitl-file"
UPLOAD_IT: Final = (
    "This question is answered by a file: upload it in the form, send it by PUT /answers/REQUEST_ID?name=NAME, or "
    "give it to `hitl answer REQUEST_ID --file FILE`."
)


class FileValue(BaseModel):
    """What is recorded of a file that answers.

    Args:
        name: Its name, which is no path; 1 to 128 characters.
        media_type: What its first bytes say that it is.
        size_bytes: How many bytes it has.
        sha256: Their digest, 64 hexadecimal characters.
    """

    model_config = ConfigDict(extra="forbid", title="File", json_schema_extra={_MARK: True}, defer_build=True)

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    media_type: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    size_bytes: int = Field(ge=1)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def named(cls, name: str, media_type: str, size_bytes: int, sha256: str) -> "FileValue":
        """Return what is recorded of a file, whose sender called it something."""
        return cls(name=shown_name(name), media_type=media_type, size_bytes=size_bytes, sha256=sha256)


class _Asked(Protocol):
    @property
    def json_schema(self) -> Mapping[str, JsonValue] | None: ...
    @property
    def default(self) -> str | None: ...
    @property
    def proposed(self) -> str | None: ...


def asks_for_file(asked: _Asked) -> bool:
    """Tell whether a question is answered by a file."""
    return is_a_files(asked.json_schema)


def is_a_files(schema: Mapping[str, Any] | None) -> bool:
    """Tell whether a question's schema is that of a file."""
    return schema is not None and schema.get(_MARK) is True


def require_file_alone(asked: _Asked) -> None:
    """Refuse a question that asks for a file as a part of something, or fills one in.

    Raises:
        InvalidRequest: saying what to do instead.
    """
    if asks_for_file(asked):
        if asked.default is not None or asked.proposed is not None:
            raise InvalidRequest("a file has no default and no proposed value: nobody uploaded it")
    elif _marked(asked.json_schema):
        raise InvalidRequest(
            "hitl.File is a part of the data type, and a file can only be the whole answer: ask for it by itself, "
            "data_type=hitl.File"
        )


def require_uploaded(asked: _Asked, *, uploaded: bool) -> None:
    """Refuse an answer that only describes a file.

    Args:
        asked: The question.
        uploaded: Whether the bytes were written to storage before.

    Raises:
        InvalidValue: saying how files are sent.
    """
    if asks_for_file(asked) and not uploaded:
        raise InvalidValue(UPLOAD_IT)


def _marked(part: Any) -> bool:
    if isinstance(part, dict):
        return part.get(_MARK) is True or any(map(_marked, part.values()))
    return isinstance(part, list) and any(map(_marked, part))
