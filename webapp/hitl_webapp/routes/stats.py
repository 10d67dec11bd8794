"""Statistics: the page, and the same figures as JSON. What makes them is loaded when somebody first asks."""

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response

from hitl_webapp.auth import Principal
from hitl_webapp.routes.api import REFUSALS
from hitl_webapp.routes.common import require_signed_in, service_of
from hitl_webapp.stats import api
from hitl_webapp.stats.queries import read_wanted

if TYPE_CHECKING:
    from hitl_webapp.stats.shown import Statistics

pages_router = APIRouter(include_in_schema=False)
router = APIRouter(responses=REFUSALS)


@pages_router.get("/statistics")
async def statistics(request: Request) -> Response:
    """Show the statistics of the questions that a visitor may see."""
    from hitl_webapp.stats.page import page

    principal = await require_signed_in(request)
    shown = await _statistics(request, principal, strict=False)
    return HTMLResponse(await asyncio.to_thread(page, shown, principal.name))


@router.get("/stats", openapi_extra=api.STATS)
async def stats(request: Request) -> Response:
    """Count the questions that you may see: how many wait, how the others ended, and how long people took."""
    principal = await require_signed_in(request)
    shown = await _statistics(request, principal, strict=True)
    return Response(to_json(await asyncio.to_thread(api.document, shown)), media_type="application/json")


async def _statistics(request: Request, principal: Principal, *, strict: bool) -> "Statistics":
    from hitl_webapp.stats.shown import statistics

    service = service_of(request)
    wanted = read_wanted(request.query_params, strict=strict)
    return await statistics(service.inbox, principal, wanted, await service.clock.storage_time())
