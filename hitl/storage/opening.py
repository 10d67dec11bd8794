"""How the root that the settings name is opened."""

from __future__ import annotations

from hitl.settings import StorageSettings
from hitl.storage.store import Store


def open_store(settings: StorageSettings) -> Store:
    """Open the store under the root that the settings name.

    Raises:
        StorageUnsuitable: for a kind of storage that cannot be served.
    """
    return Store(settings.root(), settings.storage_options if settings.storage_root else None)
