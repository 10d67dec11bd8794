"""What the routes share: the service, and the check of paths that clients send back."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from hitl.core.documents import RequestDocument
from hitl_webapp.problems import BadInput
from hitl_webapp.service import Service


def service_of(request: Request) -> Service:
    """Return the service that the app's lifespan made."""
    return cast("Service", request.app.state.service)


def check_path(given: str, recorded: str, what: str) -> None:
    """Refuse a path that is not the recorded one. It is compared and never resolved.

    Raises:
        BadInput: naming the parameter, not the path.
    """
    if given and given != recorded:
        raise BadInput(f"{what} is not this question's own: leave it out.")


def check_request_path(given: str, request: RequestDocument) -> None:
    """Refuse a `request_path` that is not the question's own."""
    check_path(given, request.request_path, "request_path")
