"""The URL of a root: its one spelling, and the kinds that HITL serves by clients of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from hitl.errors import StorageUnsuitable

SERVED_SCHEMES: Final = ("file", "memory", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


def normalised(url: str) -> tuple[str, str]:
    """Return a root's URL in the spelling that documents use, and its scheme.

    Args:
        url: A URL or a local path.

    Returns:
        The URL, and its scheme. What is not in `SERVED_SCHEMES` is fsspec's, such as ``dir::az``.

    Raises:
        StorageUnsuitable: when it names no root; says what to write instead.
    """
    scheme, separator, path = url.partition("://")
    if not separator:
        if not url:
            raise StorageUnsuitable("the root is empty: give a URL such as s3://bucket/hitl, or a local path")
        scheme, colon, _ = url.partition(":")
        if colon and scheme.lower() in SERVED_SCHEMES:
            # Else it would be a folder of that name, wherever the process was started.
            end = "/path/of/the/folder" if scheme.lower() == "file" else "…"
            raise StorageUnsuitable(f"{url} is no URL, as it has no '//': write {scheme.lower()}://{end}")
        return Path(url).expanduser().absolute().as_uri(), "file"
    if not {"?", "#"}.isdisjoint(path):
        raise StorageUnsuitable(f"{url} holds '?' or '#': write them as %3F and %23")
    if not {".", ".."}.isdisjoint(unquote(path).split("/")):
        raise StorageUnsuitable(f"{url} holds '.' or '..' as a part of its path: write out where it leads")
    if scheme == "file" and not (path.startswith("/") and path.strip("/")):
        raise StorageUnsuitable(f"{url} names no folder of this machine: write file:///path/of/the/folder")
    return f"{scheme}://{path.rstrip('/')}", scheme


def folder_of(url: str) -> str:
    """Return the folder that a file URL names."""
    return unquote(urlsplit(url).path)
