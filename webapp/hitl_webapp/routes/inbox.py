"""The inbox: its page and its JSON, the next question, and hints that something changed."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from hitl_webapp import pages
from hitl_webapp.admission import Address
from hitl_webapp.auth import bearer
from hitl_webapp.below import SITE
from hitl_webapp.inbox import api
from hitl_webapp.inbox.queries import read_query
from hitl_webapp.problems import public_outcome, public_standing
from hitl_webapp.routes.api import REFUSALS
from hitl_webapp.routes.common import require_signed_in, service_of

pages_router = APIRouter(include_in_schema=False)
router = APIRouter(responses=REFUSALS)


@pages_router.get("/")
async def index(request: Request) -> Response:
    """Show the inbox, or a page that explains links to who has nothing but those."""
    service = service_of(request)
    if service.settings.auth == "link" and await service.admission.authenticate(request.headers) is None:
        return HTMLResponse(pages.render("links.html", local=service.settings.loopback_only or SITE.get().own))
    principal = await require_signed_in(request)
    query = read_query(request.query_params)
    found = await service.inbox.listing(principal, query, await service.clock.storage_time())
    # Some prompts are rendered, so others have their turn meanwhile.
    page = await asyncio.to_thread(pages.render, "inbox.html", found=found, name=principal.name)
    return HTMLResponse(page)


@pages_router.get("/next")
async def next_question(request: Request, after: str = "") -> Response:
    """Go to the open question whose deadline is next after that of another one, or to the inbox."""
    service = service_of(request)
    principal = await require_signed_in(request)
    request_id = await service.inbox.next(principal, after, await service.clock.storage_time())
    return RedirectResponse(pages.address(f"/form/{request_id}" if request_id else "/"), status_code=303)


@router.get("/questions", openapi_extra=api.LIST)
async def questions(request: Request) -> Response:
    """List the questions that you may see, 50 at a time."""
    service = service_of(request)
    principal = await require_signed_in(request)
    query = read_query(request.query_params, strict=True)
    found = await service.inbox.listing(principal, query, await service.clock.storage_time())
    content = await asyncio.to_thread(api.document, found)
    return Response(to_json(content), media_type="application/json")


@router.get("/questions/events", openapi_extra=api.EVENTS)
async def events(request: Request) -> Response:
    """Tell, as server-sent events, when the list of these parameters has changed."""
    service = service_of(request)
    principal = await require_signed_in(request)
    given = dict(request.query_params)
    version = request.headers.get("last-event-id") or given.pop("version", "")
    given.pop("version", None)
    query, look = read_query(given, strict=True), partial(service.admission.authenticate, request.headers)
    stream = service.streams.opened(principal.name, look, query, service.clock.storage_time, version)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/questions/{request_id}", openapi_extra=api.ONE)
async def question(request: Request, request_id: str) -> Response:
    """Show a question and its outcome, to a caller who may see it."""
    service = service_of(request)
    admitted = await service.admission.to_see(Address(request_id, bearer(request.headers)), request.headers)
    document, outcome = admitted.request.document, await service.questions.outcome(admitted.request)
    now = await service.clock.storage_time()
    standing = None if outcome is not None else await service.questions.standing(admitted.request)
    content = {
        "request_id": request_id,
        "state": outcome.outcome if outcome else "open" if now < document.expires_at else "overdue",
        # Where it lies in storage is nobody's business here.
        "question": document.model_dump(mode="json", by_alias=True, exclude={"request_path", "response_path"}),
        "outcome": None if outcome is None else public_outcome(outcome),
        "approval": None if standing is None else public_standing(standing),
    }
    return Response(to_json(content), media_type="application/json")


@router.post("/hints/{request_id}", status_code=202)
async def hint(request: Request, request_id: str) -> Response:
    """Take note that a question is new, or has an outcome. It is read before that is believed."""
    service_of(request).hinted(request_id)
    return Response(status_code=202)
