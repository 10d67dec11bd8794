"""How errors leave the web app: as problem documents for programs, as pages for people."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from hitl.errors import DocumentDamaged, HITLError
from hitl.logs import redact, shown_error
from hitl_webapp import pages
from hitl_webapp.auth import NotAMember
from hitl_webapp.below import SITE
from hitl_webapp.logs import shown_path
from hitl_webapp.problems import Problem, TooMany, problem_of
from hitl_webapp.routes.common import service_of

_API: Final = (
    "/submit/json",
    "/status/",
    "/evidence/",
    "/answers/",
    "/health",
    "/ready",
    "/metrics",
    "/openapi.json",
    "/questions",
    "/hints/",
    "/stats",
)
# Starlette says only "Not Found" and "Method Not Allowed".
_ROUTING: Final = {
    404: ("Nothing here", "There is no page at this address. To answer a question, open its whole link again."),
    405: ("Not that way", "Requests of this method are not taken here: the JSON API's page lists those that are."),
}

_log = logging.getLogger("hitl.web")


async def explain(request: Request, error: Exception) -> Response:
    """Return the reply that says what was wrong."""
    # Not `request.url`, which is made of the Host header too: that may be anything.
    path: str = request.scope["path"]
    problem = _problem(error)
    if problem.status >= 500:
        if isinstance(error, HITLError | TooMany):
            _log.warning("%s %s: %s", request.method, shown_path(path), redact(str(error)))
        else:
            _log.error("%s %s\n%s", request.method, shown_path(path), shown_error(error))
    if isinstance(error, DocumentDamaged):
        _log.error("damaged object: %s", error.name)
    # Programs and pages send it alike, each in their own format.
    by_program = path == "/bulk" and "json" in request.headers.get("content-type", "")
    if path.startswith(_API) or by_program:
        return JSONResponse(problem.document(), problem.status, problem.headers, "application/problem+json")
    # Only there people sign in by a page; without the token, which was not enough. Nobody comes back by a POST.
    here = path if request.method in ("GET", "HEAD") else "/"
    sign_in = SITE.get().sign_in_address(here) if problem.status == 401 else ""
    sign_out = SITE.get().sign_out if isinstance(error, NotAMember) else ""
    again = problem.status == 503 and request.method == "GET"
    home = bool(SITE.get().inbox or SITE.get().key) and problem.status != 401
    # A question for others is often opened with the wrong account.
    name = await _visitor(request) if problem.status == 403 else ""
    page = pages.message_page(
        problem.title, problem.detail, sign_in=sign_in, sign_out=sign_out, name=name, again=again, home=home
    )
    return HTMLResponse(page, problem.status, problem.headers)


async def _visitor(request: Request) -> str:
    """Return the name of the visitor who signed in, or an empty text."""
    with suppress(HITLError):
        found = await service_of(request).admission.authenticate(request.headers)
        return found.name if found else ""
    return ""


async def refuse(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    """Answer a request whose body is not read on, so that its connection cannot be used again."""
    response = await explain(Request(scope), error)
    response.headers["connection"] = "close"
    await response(scope, receive, send)


def _problem(error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        faults = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        return Problem(400, "Malformed request", "; ".join(faults[:5]))
    if isinstance(error, HTTPException):
        title, detail = _ROUTING.get(error.status_code, ("Malformed request", str(error.detail)))
        return Problem(error.status_code, title, detail, dict(error.headers or {}))
    return problem_of(error)
