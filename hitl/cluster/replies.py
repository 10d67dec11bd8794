"""What the API server answers, as objects and as `hitl.errors` has it."""

from __future__ import annotations

import json

from hitl.cluster.body import Object
from hitl.errors import ClusterConflict, ClusterError, ClusterForbidden, ClusterNotFound, ClusterUnavailable


def parsed(data: bytes) -> Object:
    """Return the object that was sent.

    Raises:
        ClusterUnavailable: when it is none.
    """
    try:
        found: Object = json.loads(data)
    except ValueError as error:
        raise no_api() from error
    return found


def no_api() -> ClusterUnavailable:
    """Return what to raise when it is no API server that answers: a proxy's own page, most often."""
    return ClusterUnavailable("what answers for the API server is none: it sent no JSON")


def away(error: Exception) -> ClusterUnavailable:
    """Return what to raise when nothing answers."""
    return ClusterUnavailable(f"the API server cannot be reached: {str(error) or type(error).__name__}")


def refusal(status: int, data: bytes) -> ClusterError:
    """Return what to raise for a status of 400 or more."""
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, LookupError, TypeError):
        message = f"the API server answered {status}"
    kinds = {401: ClusterForbidden, 403: ClusterForbidden, 404: ClusterNotFound, 409: ClusterConflict}
    if status == 429 or status >= 500:
        return ClusterUnavailable(message)
    return kinds.get(status, ClusterError)(message)
