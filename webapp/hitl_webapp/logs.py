"""The web app's log: one JSON object a line, and a link's token in none of them."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import to_json
from starlette.types import Scope

from hitl.core.text import ascii_controls

_NAMED: Final = re.compile(r"((?:token=|token%(?:25)*3D|#|%(?:25)*23))[A-Za-z0-9_.%-]{16,}", re.IGNORECASE)
# One of these is in front of every token that is named, and in few lines else.
_SIGNS: Final = frozenset("=#%")
# A link's token has 43 characters, large and small letters among them. It may be anywhere, since links break in
# many ways on their way through mail programs and chats. Ids and hashes have no large letters.
_LIKE_ONE: Final = re.compile(r"(?<![A-Za-z0-9_%-])[A-Za-z0-9_%-]{40,}")
_GONE: Final = "[redacted]"
_KNOWN_PATH: Final = re.compile(
    r"/(?:form|status)/[a-z0-9-]{1,63}"
    r"|/(?:submit|submit/json|health|healthz|ready|metrics|docs|openapi\.json|favicon\.ico)?"
    r"|/static/[0-9a-f]{1,64}/[a-z.]{1,16}",
    re.ASCII,
)
_HARMLESS: Final = re.compile(r"[A-Za-z0-9._-]{1,15}", re.ASCII)
_MAX_PATH_CHARS: Final = 256

_access = logging.getLogger("hitl.access")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; what is logged as a dict becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "logger": record.name,
            "level": record.levelname,
        }
        content |= record.msg if isinstance(record.msg, dict) else {"message": record.getMessage()}
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return redact(ascii_controls(to_json(content, serialize_unknown=True).decode()))


class RedactTokens(logging.Filter):
    """Takes tokens out of what another program's logger is about to write."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text and arguments; always lets it through."""
        record.msg = redact(record.msg) if isinstance(record.msg, str) else record.msg
        if isinstance(record.args, tuple):
            record.args = tuple(redact(each) if isinstance(each, str) else each for each in record.args)
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            # A formatter takes this text instead of making its own.
            record.exc_text = shown_error(record.exc_info[1])
        return True


def redact(text: str) -> str:
    """Return the text without tokens: links' own, and any that are given in their place."""
    if not _SIGNS.isdisjoint(text):
        text = _NAMED.sub(rf"\1{_GONE}", text)
    return _LIKE_ONE.sub(_without_token, text)


def _without_token(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.islower() or text.isupper() or not text.strip("0123456789_%-") else _GONE


def shown_path(path: str) -> str:
    """Return a path as logs may have it: a route's own whole, of any other what cannot be a token.

    Args:
        path: The path of a request, without its query string.
    """
    if _KNOWN_PATH.fullmatch(path):
        return path
    shown = "/".join(
        each if not each or _HARMLESS.fullmatch(each) else _GONE for each in path[:_MAX_PATH_CHARS].split("/")
    )
    return shown if len(path) <= _MAX_PATH_CHARS else f"{shown}…"


def shown_error(error: BaseException) -> str:
    """Return an error with its traceback, without tokens."""
    return redact("".join(traceback.format_exception(error)))


def log_access(scope: Scope, status: int) -> None:
    """Write the line of one HTTP request, without its query string.

    Args:
        scope: The request, as ASGI has it.
        status: The answer's.
    """
    if _access.isEnabledFor(logging.INFO):
        client = scope["client"]
        line = {
            "client": client and client[0],
            "method": scope["method"],
            "path": shown_path(scope["path"]),
            "status": status,
        }
        _access.info(line)


def redact_servers() -> None:
    """Take tokens out of what uvicorn logs, whoever runs it."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, RedactTokens) for each in logger.filters):
            logger.addFilter(RedactTokens())


def show_logs() -> None:
    """Write everything of HITL's to standard output, which is kept where processes' output is kept."""
    logger = logging.getLogger("hitl")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
