"""Links as they arrive: mail and chat programs glue a full stop or a bracket to them, or write them as HTML.

A link is repaired by its own text alone, so that nobody learns from it which questions exist.
"""

from __future__ import annotations

import html
import re
from typing import Final
from urllib.parse import parse_qs, unquote

from hitl.core import keys
from hitl_webapp.admission import Address

# Tokens of this release have 22 characters, those of older ones 43.
_WHOLE: Final = re.compile("[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{43}", re.ASCII)
# A token with the text before it, plain or quoted as mail programs do.
_TOKEN: Final = re.compile("(?:token=|[/#])(?:3D)?([A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{22})", re.ASCII)
_ID: Final = re.compile("[^A-Za-z0-9]*([a-z0-9-]{1,63})(?=[^A-Za-z0-9-]|$)", re.ASCII)
_MOST_CHARS: Final = 4096
_MOST_LAYERS: Final = 2


def form_address(request_id: str, query: str) -> Address:
    """Return which question a link to a form is for, with its token, repaired where the link was mangled.

    Args:
        request_id: The part of the path.
        query: The text behind the question mark, as it was sent.
    """
    given = parse_qs(query[:_MOST_CHARS], keep_blank_values=True).get("token", [""])[-1]
    if keys.is_request_id(request_id) and (_WHOLE.fullmatch(given) or not query):
        return Address(request_id, given)
    text = f"{request_id}?{query}"[:_MOST_CHARS]
    for _ in range(_MOST_LAYERS):
        text = html.unescape(unquote(text))
    token, name = _TOKEN.search(text), _ID.match(text)
    return Address(name[1] if name else request_id, token[1] if token else given)
