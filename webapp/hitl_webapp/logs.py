"""What the web app logs of an HTTP request, without any token that its path may hold."""

from __future__ import annotations

import logging
import re
from typing import Final

from starlette.types import Scope

from hitl.logs import REDACTED, RedactTokens

_KNOWN_PATH: Final = re.compile(
    r"/(?:form|status|answers)/[a-z0-9-]{1,63}"
    r"|/(?:submit|submit/json|submit/file|health|healthz|ready|metrics|docs|openapi\.json|favicon\.ico)?"
    r"|/evidence/[a-z0-9-]{1,63}/[0-9a-f]{64}"
    r"|/static/[0-9a-f]{1,64}/[a-z.]{1,16}",
    re.ASCII,
)
_HARMLESS: Final = re.compile(r"[A-Za-z0-9._-]{1,15}", re.ASCII)
_MAX_PATH_CHARS: Final = 256

_access = logging.getLogger("hitl.access")


def shown_path(path: str) -> str:
    """Return a path as logs may have it: a route's own whole, of any other what cannot be a token.

    Args:
        path: The path of a request, without its query string.
    """
    if _KNOWN_PATH.fullmatch(path):
        return path
    shown = "/".join(
        each if not each or _HARMLESS.fullmatch(each) else REDACTED for each in path[:_MAX_PATH_CHARS].split("/")
    )
    return shown if len(path) <= _MAX_PATH_CHARS else f"{shown}…"


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
    """Remove tokens from what uvicorn logs, whichever program runs it."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, RedactTokens) for each in logger.filters):
            logger.addFilter(RedactTokens())
