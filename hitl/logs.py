"""Logs of what runs as a service: one JSON object a line, and a link's token in none of them.

The web app and the operator write theirs by this one formatter.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from hitl.core.keys import looks_like_token
from hitl.core.text import ascii_controls

REDACTED: Final = "[redacted]"

_NAMED: Final = re.compile(r"((?:token=|token%(?:25)*3D|#|%(?:25)*23))[A-Za-z0-9_.%-]{16,}", re.IGNORECASE)
# A link's token has 22 characters, of older ones 43, with large and small letters among them, and a digit in the
# short ones. It may be anywhere, since links break in many ways on their way through mail programs and chats. Ids
# and hashes have no large letters.
_LIKE_ONE: Final = re.compile(r"(?<![A-Za-z0-9_%-])[A-Za-z0-9_%-]{22,}")
_LONG_CHARS: Final = 40
# Neither pattern finds anything in less.
_SHORTEST_CHARS: Final = 17

_audit = logging.getLogger("hitl.audit")


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
        return redact(ascii_controls(_json(content)))


def _json(content: dict[str, Any]) -> str:
    try:
        return to_json(content, serialize_unknown=True, inf_nan_mode="strings").decode()
    except PydanticSerializationError:
        # Bytes that are not UTF-8, or half of a surrogate pair: such a line may be the one that matters.
        return json.dumps(content, default=repr, skipkeys=True)


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
    if len(text) < _SHORTEST_CHARS:
        return text
    # One of these is in front of every token that is named, and in few lines else.
    if "=" in text or "#" in text or "%" in text:
        text = _NAMED.sub(rf"\1{REDACTED}", text)
    return _LIKE_ONE.sub(_without_token, text)


def _without_token(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) < _LONG_CHARS:
        return REDACTED if looks_like_token(text) else text
    return text if text.islower() or text.isupper() or not text.strip("0123456789_%-") else REDACTED


def shown_error(error: BaseException) -> str:
    """Return an error with its traceback, without tokens."""
    return redact("".join(traceback.format_exception(error)))


def show_logs(name: str | None = "hitl") -> None:
    """Write what a logger gets to standard output as JSON, unless it has a handler already.

    Args:
        name: The logger, with all below it; None for every one in the process. From level INFO on.
    """
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def keep_records_short() -> None:
    """Find out of each record only what `JsonLines` shows: the rest is a tenth of what a submission costs.

    That holds for the whole process.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # As the logging HOWTO has it: without this, each record looks for the line of code that it comes from.
    logging._srcfile = None


def log_submission(
    request_id: str,
    *,
    submission_id: str | None,
    attempt: str | None,
    name: str,
    verified: bool,
    via: str | None,
    result: str,
    commit: str = "",
) -> None:
    """Write the audit's line of one submission, a refused one too, to `hitl.audit`. It holds no value.

    Args:
        request_id: The question.
        submission_id: The submission; None where it could not be read.
        attempt: What it would become: ``answered``, ``rejected`` or ``cancelled``.
        name: Who submitted, or empty.
        verified: Whether somebody trustworthy has verified the name.
        via: Over which channel.
        result: ``Recorded``, or in a word why it was refused.
        commit: The commit that it came by, as the GitOps tool names it; in the line only where there is one.
    """
    if not _audit.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {
        "request_id": request_id,
        "submission_id": submission_id,
        "attempt": attempt,
        "name": name,
        "verified": verified,
        "via": via,
        "result": result,
    }
    _audit.info(line | ({"commit": commit} if commit else {}))
