"""Where a question is asked: which root, which web app, for what. The interface between the ways of serving."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

from pydantic import ValidationError
from pydantic_settings import SettingsError

from hitl.author.telling import Telling, telling_of
from hitl.core.documents import Origin
from hitl.core.faults import settings_sentences
from hitl.engines.base import Action
from hitl.errors import ServeError
from hitl.records.audit import Alone
from hitl.records.records import Records
from hitl.settings import ServeMode, Settings
from hitl.storage import Store, open_root, open_store


@dataclass(frozen=True)
class Context:
    """Where a question is asked, and how it is served.

    Args:
        records: The records under the root.
        endpoint: The web app's base URL.
        mode: Who serves the web app.
        action: The Flyte action that asks, or None outside Flyte.
        hint_url: The operator's address, or empty.
        origin: Where it comes from.
        telling: Who is told about it.
    """

    records: Records
    endpoint: str
    mode: ServeMode
    action: Action | None = None
    hint_url: str = ""
    origin: Origin = field(default_factory=Origin)
    telling: Telling = field(default_factory=Telling)


async def find_context(settings: Settings | None = None) -> Context:
    """Return where a question asked just now belongs, and bring up what serves it.

    Raises:
        ServeError: when the web app cannot be brought up, or a setting is invalid; says what to do.
        StorageError: when the root cannot be used.
    """
    settings = settings or _settings()
    return replace(await _find_context(settings), telling=telling_of(settings))


def _settings() -> Settings:
    try:
        return Settings()
    except (SettingsError, ValidationError) as error:
        raise ServeError("; ".join(settings_sentences(error))) from error


async def _find_context(settings: Settings) -> Context:
    action = current_action()
    mode = choose_mode(settings, action)
    origin = action.origin if action else Origin()
    if settings.namespace:
        origin = origin.model_copy(update={"namespace": settings.namespace})
    if mode == "operator":
        if not (settings.storage_root and settings.endpoint):
            raise ServeError("operator mode needs HITL_STORAGE_ROOT and HITL_ENDPOINT: set both")
        records = _records(open_store(settings), announce=True)
        return Context(records, settings.endpoint.rstrip("/"), mode, action, settings.hint_url, origin)
    if mode == "flyte":
        if action is None:
            raise ServeError("flyte mode works inside a Flyte action only: unset HITL_SERVE here")
        endpoint, root = await action.serve(settings)
        store = open_root(settings, root, settings.storage_options)
        return Context(_records(store), endpoint, mode, action, origin=origin)
    if settings.endpoint:
        raise ServeError(
            f"HITL_ENDPOINT is {settings.endpoint}, and this program would serve the form itself, at another "
            "address: unset HITL_ENDPOINT; or, for the web app at that address, set HITL_STORAGE_ROOT to its root "
            "and unset HITL_SERVE"
        )
    endpoint = await _served_here(settings)
    return Context(_records(open_store(settings)), endpoint, mode, action, origin=origin)


async def _served_here(settings: Settings) -> str:
    try:
        # Loads the web framework, which a task in operator mode does without.
        from hitl.serving.local import serve_locally

        return await serve_locally(settings)
    except RuntimeError as error:
        # Python starts no more work in threads once the main thread has ended.
        if "shutdown" not in str(error):
            raise
        raise ServeError(
            "the main thread of this program has ended, so nothing can serve the form: let it wait for the thread "
            "that asks, by join()"
        ) from error


def _records(store: Store, *, announce: bool = False) -> Records:
    return Records(store, announce, audited=Alone(store, "program").note)


def choose_mode(settings: Settings, action: Action | None) -> ServeMode:
    """Return how to serve: what is set, else what fits what is there."""
    if settings.serve is not None:
        return settings.serve
    if settings.storage_root and (settings.endpoint or (action is not None and action.remote)):
        return "operator"
    return "flyte" if action is not None and action.remote else "local"


def current_action() -> Action | None:
    """Return the Flyte action that is running, or None outside any."""
    # A program that has not imported Flyte is in none of its actions, and need not have it installed.
    if "flyte" not in sys.modules:
        return None
    from hitl.engines import flyte

    return flyte.current_action()
