"""Media types, and the header fields of a form's parts, read strictly: UTF-8 alone, each parameter once."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from hitl_webapp.problems import BadInput, WrongMediaType

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 calls this a token
_TYPE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")[ \t]*)?')
_UTF_8: Final = ("utf-8", "utf8")
_CODINGS: Final = ("content-transfer-encoding", "content-encoding")
_PLAIN: Final = frozenset(("7bit", "8bit", "binary", "identity"))


class Media(NamedTuple):
    """A media type and its parameters, the names in small letters."""

    kind: str
    parameters: dict[str, str]


def read_media(content_type: str) -> Media:
    """Read a Content-Type.

    Raises:
        WrongMediaType: it is none, names a parameter twice, or asks for another encoding than UTF-8.
    """
    kind = _TYPE.match(content_type)
    if kind is None:
        raise WrongMediaType("The Content-Type says no media type, such as application/json.")
    parameters: dict[str, str] = {}
    position = kind.end()
    while position < len(content_type):
        found = _PARAMETER.match(content_type, position)
        if found is None or (found[1] or "").lower() in parameters:
            raise WrongMediaType("The parameters of the Content-Type are malformed, or one is there twice.")
        if found[1]:
            parameters[found[1].lower()] = _unquoted(found[2])
        position = found.end()
    if parameters.get("charset", "utf-8").lower() not in _UTF_8:
        raise WrongMediaType("The only charset that is read here is utf-8: encode the body in it.")
    return Media(kind[1].lower(), parameters)


def is_multipart(content_type: str) -> bool:
    """Tell whether a Content-Type, even a malformed one, says that there are several parts."""
    return content_type.strip().lower().startswith("multipart/")


def part_name(headers: Mapping[str, str], file: str | None = None) -> str:
    """Return the name of a multipart form's field. It is plain text in UTF-8, or the file, as it is.

    Args:
        headers: The part's header fields.
        file: The name of the field that is a file; None: none is.

    Raises:
        BadInput: it has no name or two, is encoded, or holds something else.
    """
    kind, _, parameters = headers.get("content-disposition", "").partition(";")
    media = headers.get("content-type", "text/plain")
    try:
        found = read_media(f"x/x;{parameters}").parameters
        name = found.get("name", "").encode("latin-1").decode()
        if name != file:
            read_media(media)
    except (WrongMediaType, UnicodeDecodeError) as error:
        raise BadInput("A field of the form is not plain text in UTF-8, or its name is malformed.") from error
    allowed = {"name", "filename"} if name == file else {"name"}
    plain = {headers.get(each, "binary").strip().lower() for each in _CODINGS} <= _PLAIN
    if kind.strip().lower() != "form-data" or not {"name"} <= set(found) <= allowed or not plain:
        raise BadInput("A field of the form has no name, is a file or is encoded: send plain text.")
    if is_multipart(media):
        raise BadInput("A field of the form holds several parts: send each as a field of its own.")
    return name


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
