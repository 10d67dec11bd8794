"""The web app's log: one JSON object a line, and a link's token in none of them."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import to_json
from starlette.types import Scope

from hitl.text import ascii_controls

_TOKEN: Final = re.compile(r"((?:token=|token%3D|#|%23))[A-Za-z0-9_.-]{16,}", re.IGNORECASE)
# One of these is in front of every token, and in few lines else.
_SIGNS: Final = frozenset("=#%")

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
        return True


def redact(text: str) -> str:
    """Return the text without tokens: links' own, and any that are given in their place."""
    return text if _SIGNS.isdisjoint(text) else _TOKEN.sub(r"\1[redacted]", text)


def log_access(scope: Scope, status: int) -> None:
    """Write the line of one HTTP request, without its query string.

    Args:
        scope: The request, as ASGI has it.
        status: The answer's.
    """
    if _access.isEnabledFor(logging.INFO):
        client = scope["client"]
        line = {"client": client and client[0], "method": scope["method"], "path": scope["path"], "status": status}
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
