"""What is sent to the API server, as bytes that its JSON reader and its YAML reader take alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from pydantic_core import PydanticSerializationError, to_json

Object: TypeAlias = dict[str, Any]

# Server-side apply reads a body as YAML, which refuses these as they are, or takes them for ends of lines.
# ASCII escapes for everything are no way out: YAML knows no pairs of surrogates.
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encode(content: Object) -> bytes:
    """Return an object as UTF-8 JSON which is YAML too.

    Half of a surrogate pair, which is no character, becomes U+FFFD, as the API server would read it.
    """
    try:
        data = to_json(content)
    except PydanticSerializationError:
        # Half of a pair, or nested too deeply for it.
        text = _LONE_SURROGATE.sub("\ufffd", json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    else:
        if data.isascii() and b"\x7f" not in data:
            return data
        text = data.decode()
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


class Lines:
    """Puts the lines of a stream together again, of whatever length, from the pieces that the network makes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next piece; yield each line that is whole now, without its end."""
        first, *others = data.split(b"\n")
        self._pieces.append(first)
        for each in others:
            yield b"".join(self._pieces)
            self._pieces = [each]
