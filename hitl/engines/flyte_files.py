"""Flyte's files and data frames, as places that can be read."""

from __future__ import annotations

from typing import Any

from flyte.io import File
from flyte.storage import get_underlying_filesystem


def filesystem_of(place: str) -> Any:
    """Return fsspec's filesystem for a path or a URL of Flyte's, with the credentials that Flyte has for it."""
    return get_underlying_filesystem(path=place)


async def flyte_file(path: str) -> Any:
    """Return a local file as Flyte's, which a task can return."""
    return await File.from_local(path)
