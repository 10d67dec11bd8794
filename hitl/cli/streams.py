"""The command's streams: what the encoding of a pipe cannot hold is escaped, and input is read by its BOM.

On Windows and in bare containers a pipe is often cp1252, Latin-1 or ASCII. A character that it lacks must not
end a command whose work is done: its exit code would look like a refusal.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
from typing import Final, TextIO

from hitl.errors import InvalidRequest

BOM: Final = "\ufeff"
MAX_INPUT_BYTES: Final = 4 * 1024 * 1024
"""More than any question or answer may hold, in any encoding."""
# Written in UTF-16 without a byte order mark, European and Arabic scripts have one of these in each character, and
# are valid UTF-8. Left are blanks, and what terminals write: bell, backspace and escape.
_NO_TEXT: Final = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f]")
# UTF-32 begins as UTF-16 does.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def escape_what_does_not_fit() -> None:
    r"""Let the standard streams write characters that their encoding lacks as ``\u2026``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def fits(text: str, stream: TextIO) -> bool:
    """Tell whether a stream's encoding holds all characters of a text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def read_input() -> str:
    """Return the text on standard input, without a BOM and without the line end behind it.

    Raises:
        InvalidRequest: when there is none, or too much, or it cannot be read as text.
    """
    stream = sys.stdin
    data = stream.buffer.read(MAX_INPUT_BYTES + 1) if stream is not None else b""
    if not data:
        # A command that failed in front of the pipe must not answer with an empty text.
        raise InvalidRequest("standard input is empty, and `-` reads the text from there: pipe the text in")
    if len(data) > MAX_INPUT_BYTES:
        raise InvalidRequest(f"standard input holds more than {MAX_INPUT_BYTES:,} bytes: give less")
    text = decoded(data, stream.encoding)
    if _NO_TEXT.search(text):
        raise InvalidRequest(
            "standard input holds control characters, so it is no text in UTF-8: save or send it as UTF-8"
        )
    return text.removesuffix("\n").removesuffix("\r")


def decoded(data: bytes, encoding: str) -> str:
    """Return bytes as text: by their BOM, else as UTF-8, else in the locale's encoding.

    Args:
        data: What was read.
        encoding: The locale's, such as ``cp1252``.

    Raises:
        InvalidRequest: when they are text in none of these.
    """
    marked = next((named for mark, named in _MARKS if data.startswith(mark)), None)
    for each in (marked,) if marked else ("utf-8", encoding):
        try:
            return data.decode(each).removeprefix(BOM)
        except (UnicodeDecodeError, LookupError):
            continue
    raise InvalidRequest(f"standard input is no text in {marked or 'UTF-8'}: save or send it as UTF-8")
