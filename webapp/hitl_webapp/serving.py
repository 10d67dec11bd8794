"""How the web app is run by uvicorn, wherever that happens."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

import uvicorn
from fastapi import FastAPI

from hitl_webapp.settings import WebSettings

_TOKEN: Final = re.compile(r"((?:token=|token%3D|#|%23))[A-Za-z0-9_-]{16,}", re.IGNORECASE)


class RedactTokens(logging.Filter):
    """Takes link tokens out of whatever is about to be logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text and arguments; always lets it through."""
        record.msg = redact(record.msg) if isinstance(record.msg, str) else record.msg
        if isinstance(record.args, tuple):
            record.args = tuple(redact(each) if isinstance(each, str) else each for each in record.args)
        return True


def redact(text: str) -> str:
    """Return the text without link tokens."""
    return _TOKEN.sub(r"\1[redacted]", text)


def server_for(app: FastAPI, settings: WebSettings, *, quiet: bool = False) -> uvicorn.Server:
    """Return a uvicorn server for the app.

    Args:
        app: The web app.
        settings: Where to listen.
        quiet: No access log, as befits a server inside somebody else's program.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning" if quiet else "info",
        access_log=not quiet,
        # Identity comes from headers that hitl_webapp.auth checks itself; uvicorn's own trust is not wanted.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=32 * 1024,
    )
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, RedactTokens) for each in logger.filters):
            logger.addFilter(RedactTokens())
    if not quiet:
        _show("hitl")
    return uvicorn.Server(config)


def _show(name: str) -> None:
    # One line for each submission, refused ones too, goes where the process's output is kept: "hitl.audit".
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        handler.addFilter(RedactTokens())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
