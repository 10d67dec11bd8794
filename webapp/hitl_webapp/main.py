"""The web app: what `create_app` puts together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hitl.errors import HITLError, ServeError, StorageUnavailable
from hitl.extras import how_to_install
from hitl.storage import Store, open_store
from hitl_webapp.app import HITLApp
from hitl_webapp.auth import Authenticator, ProxyIdentity, nobody
from hitl_webapp.caches import Memory
from hitl_webapp.explain import explain
from hitl_webapp.logs import redact_servers
from hitl_webapp.metrics import count_storage
from hitl_webapp.own import ByAddress, Own
from hitl_webapp.problems import BadInput, Unauthenticated
from hitl_webapp.routes import api, bulk, evidence, files, forms, health, inbox, stats
from hitl_webapp.service import Service
from hitl_webapp.settings import WebSettings

_PATIENCE_SECONDS: Final = 60.0

_log = logging.getLogger("hitl.web")


def create_app(settings: WebSettings | None = None, store: Store | None = None, own: Own | None = None) -> FastAPI:
    """Return the web app.

    Args:
        settings: Its address and its authentication; None reads the environment.
        store: The root's store; None opens the one that the settings name, and probes it at start.
        own: In local mode, whose inbox it has: on loopback, and by the key in its address alone.

    Raises:
        StorageUnsuitable: at start, when the storage cannot hold outcomes safely.
        StorageUnavailable: at start, when it could not be reached for a minute.
    """
    settings = settings or WebSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Set here and not before: Flyte clears the state of an app that it serves.
        opened = store or open_store(settings, count_storage)
        if store is None:
            await _proven(opened)
        async with _authenticator(settings, own) as authenticate:
            app.state.service = Service(opened, settings, authenticate, own.link if own else "")
            app.state.service.ending = web.ending
            app.state.forms = Memory[forms.KeptForm]()
            yield
            await app.state.service.close()

    app = web = HITLApp(
        settings,
        own,
        title="HITL",
        summary="People answer the questions that automation asks.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # FastAPI prepares each route that it passes on its way to the first page, and that is a form most often.
    pages = (forms.router, inbox.pages_router, bulk.pages_router, stats.pages_router)
    apis = (api.router, evidence.router, files.router, inbox.router, bulk.router, stats.router, health.router)
    for router in (*pages, *apis):
        app.include_router(router)
    for kind in (HITLError, BadInput, Unauthenticated, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, explain)
    return app


async def _proven(store: Store) -> None:
    # If both start at once, the storage may come later. A pod that exits is restarted ever more slowly.
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


@asynccontextmanager
async def _authenticator(settings: WebSettings, own: Own | None) -> AsyncIterator[Authenticator]:
    if settings.auth == "kubernetes":
        try:
            from hitl.cluster.client import Kube
            from hitl_webapp.kubernetes_auth import Reviews
        except ImportError as error:
            advice = f"auth=kubernetes needs more: {how_to_install('webapp', 'kubernetes')} ({error})"
            raise ServeError(advice) from error
        async with await Kube.connect() as kube:
            yield Reviews(kube)
    elif settings.auth == "proxy":
        yield ProxyIdentity(settings)
    else:
        yield nobody if own is None else ByAddress(own)


def __getattr__(name: str) -> Any:
    # `uvicorn hitl_webapp.main:app` gets an app set by the environment, made when it is asked for.
    if name == "app":
        redact_servers()
        return create_app()
    raise AttributeError(name)
