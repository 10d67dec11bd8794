"""What the API server answers, as objects and as `hitl.errors` has it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Final

from pydantic_core import from_json

from hitl.cluster.body import Object
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterNotFound, ClusterUnavailable

# Only the JSON Schema of a HumanInput is nested as deeply, and what the API server records of its fields: up to
# 10,000 levels. Readers of JSON end far earlier, and one object must not hide all others.
_MOST_LEVELS: Final = 240
_BRACKETS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)

# aiohttp names an object of Python's beside the host that it cannot connect to.
_TLS_SETTINGS: Final = re.compile(r" ssl:(?:<[^>]*>|\w+)")

# What the API server, and many a proxy, says where it serves nothing of a kind or a version.
_SERVES_NOTHING: Final = b"404 page not found"


class KindNotServed(ClusterError):
    """It is not the object that is missing: the kind is not served, or something else answers."""


def parsed(data: bytes) -> Object:
    """Return the object that was sent. What is nested more deeply than 240 levels is null in it.

    Raises:
        ClusterUnavailable: when it is none.
    """
    try:
        found: Object = from_json(data)
    except ValueError:
        try:
            found = json.loads(_cut(data))
        except ValueError as error:
            raise no_api() from error
    # Every object and list says its kind, and what a watch tells its type. A proxy may send JSON as well.
    if not isinstance(found, dict) or found.keys().isdisjoint(("kind", "type")):
        raise no_api()
    return found


def parsed_object(data: bytes) -> Object:
    """Return an object that the API server holds.

    Raises:
        ClusterUnavailable: when it is none.
    """
    found = parsed(data)
    if "kind" not in found or not isinstance(found.get("metadata"), dict):
        raise no_api()
    return found


def parsed_list(data: bytes) -> tuple[list[Object], Object]:
    """Return the objects of a list, and its metadata.

    Raises:
        ClusterUnavailable: when it is none.
    """
    found = parsed_object(data)
    if "items" not in found:
        raise no_api()
    # A list of metadata alone says null when it is empty.
    return found["items"] or [], found["metadata"]


def require_object(data: bytes) -> None:
    """Make sure that an object was sent, of which nothing is to be known.

    Raises:
        ClusterUnavailable: when it is none.
    """
    if not data.startswith(b"{"):
        raise no_api()


def _cut(data: bytes) -> bytes:
    kept, start, level = list[bytes](), 0, 0
    for found in _BRACKETS.finditer(data):
        bracket = found[0]
        if bracket in b"[{":
            level += 1
            if level == _MOST_LEVELS + 1:
                kept += [data[start : found.start()], b"null"]
        elif bracket in b"]}":
            if level == _MOST_LEVELS + 1:
                start = found.end()
            level -= 1
    return b"".join(kept) + data[start:] if kept else data


def no_api() -> ClusterUnavailable:
    """Return what to raise when it is no API server that answers: a proxy's own page, most often."""
    return ClusterUnavailable("what answers for the API server is none: it sent no object of Kubernetes")


def away(error: Exception) -> ClusterUnavailable:
    """Return what to raise when nothing answers."""
    said = _TLS_SETTINGS.sub("", str(error)) or type(error).__name__
    return ClusterUnavailable(f"the API server cannot be reached: {said}")


def refusal(status: int, data: bytes) -> ClusterError:
    """Return what to raise for a status of 400 or more."""
    said, message = False, f"the API server answered {status}"
    with suppress(ValueError, LookupError, TypeError):
        found = json.loads(data)
        message = str(found["message"])
        said = found["kind"] == "Status"
    if status == 404 and not said:
        # That an object is missing, the API server says by a Status.
        serves_nothing = data.strip() == _SERVES_NOTHING
        return KindNotServed("the API server does not serve this kind", status=404) if serves_nothing else no_api()
    # 401 passes as well: it says so while a token is renewed, or what checks tokens is unavailable.
    if status in (401, 429) or status >= 500:
        return ClusterUnavailable(message, status=status)
    kinds = {403: ClusterForbidden, 404: ClusterNotFound, 409: ClusterConflict}
    return kinds.get(status, ClusterError)(message, status=status)
