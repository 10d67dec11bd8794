"""How the root that the settings name is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl.settings import StorageSettings
from hitl.storage.store import Store


def open_store(settings: StorageSettings) -> Store:
    """Open the store under the root that the settings name.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served.
    """
    return open_root(settings, settings.root(), settings.storage_options if settings.storage_root else None)


def open_root(settings: StorageSettings, url: str, options: Mapping[str, Any] | None) -> Store:
    """Open the store under another root than the settings name, by what else they say of storage.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served.
    """
    return Store(url, options, unproven=settings.storage_unproven == "allow")
