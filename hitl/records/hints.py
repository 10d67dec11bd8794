"""Hints: the operator is told of a request at once, instead of when it next lists the markers."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hitl.core.urls import hint_url
from hitl.tls import tls_context_for

HINT_SECONDS: Final = 2.0

_log = logging.getLogger("hitl")


async def send_hint(operator: str, request_id: str) -> None:
    """Tell the operator to look at a request. A hint that is lost costs time only, so nothing is raised.

    Args:
        operator: The operator's address, such as ``http://hitl-operator.hitl:8080``; empty: there is none.
        request_id: The request that is new, or has an outcome.
    """
    if not operator:
        return
    # Most programs and web apps never send a hint. Without this import they start faster and use less memory.
    import httpx

    try:
        # Only the head of the reply is read: a wrong server may send a body without end.
        async with (
            asyncio.timeout(HINT_SECONDS),
            httpx.AsyncClient(timeout=HINT_SECONDS, verify=tls_context_for(operator)) as client,
            client.stream("POST", hint_url(operator, request_id)),
        ):
            pass
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        # Without the hint, the operator finds the marker later.
        _log.debug("no hint to the operator: %s", error)
