"""How the root that the settings name is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl.settings import StorageSettings
from hitl.storage.operations import Watcher
from hitl.storage.store import Store


def open_store(settings: StorageSettings, watcher: Watcher | None = None) -> Store:
    """Open the store under the root that the settings name.

    Args:
        settings: The settings.
        watcher: Told of each request, see `Store`.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served.
    """
    return open_root(
        settings, settings.root(), settings.storage_options if settings.storage_root else None, watcher
    )


def open_root(
    settings: StorageSettings, url: str, options: Mapping[str, Any] | None, watcher: Watcher | None = None
) -> Store:
    """Open the store under another root than the settings name, by what else they say of storage.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served.
    """
    return Store(
        url,
        options,
        watcher=watcher,
        unproven=settings.storage_unproven == "allow",
        sync=settings.storage_sync == "on",
    )
