"""Hints: the operator is told of a request at once, instead of when it next lists the markers."""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import cache
from typing import Final

from hitl.core.urls import hint_url

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
    # Loaded here: most programs and web apps never need it, and start sooner and smaller without.
    import httpx

    try:
        # Of the reply its head is enough: what is no operator may send more and more of it.
        async with (
            asyncio.timeout(HINT_SECONDS),
            httpx.AsyncClient(timeout=HINT_SECONDS, verify=_trusted(operator.startswith("https:"))) as client,
            client.stream("POST", hint_url(operator, request_id)),
        ):
            pass
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        # The operator finds the marker without it.
        _log.debug("no hint to the operator: %s", error)


@cache
def _trusted(tls: bool) -> ssl.SSLContext:
    """Return which servers to trust. It is read once: for each hint, it would stop the event loop for 35 ms."""
    import httpx

    # Without TLS nobody shows a certificate, so that none need be read.
    return httpx.create_ssl_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
