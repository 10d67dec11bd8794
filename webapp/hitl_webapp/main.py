"""The FastAPI application: what `create_app` puts together, and how errors leave it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hitl.errors import DocumentDamaged, HITLError, ServeError, StorageUnavailable
from hitl.logs import redact, shown_error
from hitl.storage import Store, open_store
from hitl_webapp import pages
from hitl_webapp.auth import Authenticator, ProxyIdentity, nobody
from hitl_webapp.inbox import Surveys
from hitl_webapp.limits import Guard
from hitl_webapp.logs import redact_servers, shown_path
from hitl_webapp.problems import BadInput, Problem, TooMany, Unauthenticated, problem_of
from hitl_webapp.routes import api, forms, health
from hitl_webapp.service import Kept, Service
from hitl_webapp.settings import WebSettings

_PATIENCE_SECONDS: Final = 60.0

_log = logging.getLogger("hitl.web")
_API = ("/submit/json", "/status/", "/health", "/ready", "/metrics", "/openapi.json")


def create_app(settings: WebSettings | None = None, store: Store | None = None) -> FastAPI:
    """Return the web app.

    Args:
        settings: Where it is reached and whom it believes; None reads the environment.
        store: The root's store; None opens the one that the settings name, and probes it at start.

    Raises:
        StorageUnsuitable: at start, when the storage cannot hold outcomes safely.
        StorageUnavailable: at start, when it could not be reached for a minute.
    """
    settings = settings or WebSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Set here and not before: Flyte clears the state of an app that it serves.
        opened = store or open_store(settings)
        if store is None:
            await _proven(opened)
        async with _authenticator(settings) as authenticate:
            app.state.service = Service(opened, settings, authenticate)
            app.state.forms = Kept[tuple[str, str, bytes]]()
            app.state.surveys = Surveys(opened, tends=not settings.markers)
            yield
            await app.state.service.close()

    app = FastAPI(
        title="HITL",
        summary="People answer the questions that automation asks.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (forms.router, api.router, health.router):
        app.include_router(router)
    for kind in (HITLError, BadInput, Unauthenticated, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _explain)
    app.add_middleware(Direct)
    app.add_middleware(
        Guard, settings=settings, kept=lambda scope: forms.kept_page(scope["app"], scope), explain=_explain
    )
    return app


async def _proven(store: Store) -> None:
    # Where both start at once, the storage may come later; whoever ends is started again later and later.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            await store.probe()
        except StorageUnavailable as error:
            if time.monotonic() > deadline:
                raise
            _log.warning("not serving yet: %s", error)
            await asyncio.sleep(1)
        else:
            return


class Direct:
    """Hands submissions to their route at once: looking for it takes FastAPI as long as recording an answer.

    FastAPI has the route too, and describes it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/submit/json":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await api.submit_json(request)
        except Exception as error:  # noqa: BLE001 - whatever it was leaves as a problem, as from every route
            response = await _explain(request, error)
        await response(scope, receive, send)


@asynccontextmanager
async def _authenticator(settings: WebSettings) -> AsyncIterator[Authenticator]:
    if settings.auth == "kubernetes":
        try:
            from hitl.cluster.client import Kube
            from hitl_webapp.kubernetes_auth import Reviews
        except ImportError as error:
            advice = f"auth=kubernetes needs more: pip install 'flyte-hitl[webapp,kubernetes]' ({error})"
            raise ServeError(advice) from error
        async with await Kube.connect() as kube:
            yield Reviews(kube)
    elif settings.auth == "proxy":
        yield ProxyIdentity(settings)
    else:
        yield nobody


async def _explain(request: Request, error: Exception) -> Response:
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
    if path.startswith(_API):
        return JSONResponse(problem.document(), problem.status, problem.headers, "application/problem+json")
    page = pages.message_page(problem.title, problem.detail)
    return HTMLResponse(page, problem.status, problem.headers)


def _problem(error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        faults = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        return Problem(400, "Malformed request", "; ".join(faults[:5]))
    if isinstance(error, HTTPException):
        titles = {404: "Nothing here", 405: "Not that way"}
        title = titles.get(error.status_code, "Malformed request")
        return Problem(error.status_code, title, str(error.detail), dict(error.headers or {}))
    return problem_of(error)


def __getattr__(name: str) -> Any:
    # `uvicorn hitl_webapp.main:app` gets an app set by the environment, made when it is asked for.
    if name == "app":
        redact_servers()
        return create_app()
    raise AttributeError(name)
