"""What the routes share: the service, and the check of paths that clients send back."""

from __future__ import annotations

from typing import cast

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from hitl.core.documents import RequestDocument
from hitl.errors import NotAllowed
from hitl_webapp import pages
from hitl_webapp.auth import SIGN_IN, Principal
from hitl_webapp.below import SITE
from hitl_webapp.bodies import read_pairs
from hitl_webapp.media import read_media
from hitl_webapp.problems import BadInput, Unauthenticated, problem_of
from hitl_webapp.service import Service


def service_of(request: Request) -> Service:
    """Return the service that the app's lifespan made."""
    return cast("Service", request.app.state.service)


async def require_signed_in(request: Request) -> Principal:
    """Return the visitor who signed in, for what needs no question.

    Raises:
        NotAllowed: nobody signs in at this site.
        Unauthenticated: this visitor did not.
    """
    service = service_of(request)
    principal = await service.admission.authenticate(request.headers)
    if principal is None:
        if service.settings.auth == "link":
            raise NotAllowed("Nobody signs in here, so there is no list of questions: each one has a link.")
        raise Unauthenticated(SIGN_IN[service.settings.auth])
    return principal


async def signed_out(request: Request, error: Unauthenticated, page: str) -> Response:
    """Return the page that keeps what a form sent: a session may end while somebody writes.

    Args:
        request: The form's request.
        error: Nobody is signed in.
        page: The path to come back to after signing in.

    Raises:
        Unauthenticated: nobody signs in by a page here, or what was sent is no page's form.
    """
    kind = request.headers.get("content-type", "")
    sign_in = SITE.get().sign_in_address(page)
    if not sign_in or read_media(kind).kind != "application/x-www-form-urlencoded":
        raise error
    problem, sent = problem_of(error), await read_pairs(kind, await request.body())
    page = pages.signed_out_page(problem, sign_in, request.scope["path"], sent)
    return HTMLResponse(page, problem.status, problem.headers)


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
