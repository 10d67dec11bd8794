"""Probes, metrics and the API's own page."""

import asyncio
from contextlib import suppress

from fastapi import APIRouter, Request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, HTMLResponse, Response

from hitl.core import keys
from hitl.errors import ClockApart, StorageUnavailable
from hitl_webapp import pages
from hitl_webapp.metrics import AUDIT_WAITING, REGISTRY
from hitl_webapp.problems import BadInput
from hitl_webapp.routes.common import service_of

router = APIRouter(include_in_schema=False)

_TYPES = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "inbox.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    """Say that the process lives, and what is known of its clock. Asks nobody, so that it always answers."""
    return {"status": "healthy", "clock": service_of(request).clock.state}


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """Say whether the storage can be read, 503 while it cannot, and compare the clocks.

    Clocks that disagree are no reason to take pages away from people: their questions can be read.
    """
    service = service_of(request)
    try:
        async with asyncio.timeout(service.settings.ready_seconds):
            await service.store.exists(keys.request_key("none"))
            with suppress(ClockApart):
                await service.clock.require(service.clock.now())
    except TimeoutError as error:
        raise StorageUnavailable(
            f"the storage did not answer within {service.settings.ready_seconds:g} s"
        ) from error
    return {"status": "ready", "clock": service.clock.state}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Show the metrics as Prometheus reads them."""
    AUDIT_WAITING.set(service_of(request).audit.waiting)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the API's routes, from its own OpenAPI description: nothing comes from anywhere else."""
    return HTMLResponse(pages.render("docs.html", api=request.app.openapi()))


@router.get("/static/{digest}/{name}")
async def static(digest: str, name: str) -> Response:
    """Serve a static file, cached without end: its URL names its content."""
    if name not in _TYPES or pages.asset(name) != f"/static/{digest}/{name}":
        raise BadInput("There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(pages.STATIC / name, media_type=_TYPES[name], headers=headers)
