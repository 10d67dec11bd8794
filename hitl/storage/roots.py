"""The URL of a root: its one spelling, and the kinds that HITL serves by clients of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from hitl.errors import StorageUnsuitable

SERVED_SCHEMES: Final = ("file", "memory", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss")

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


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
        return _url_of(url), "file"
    if _UNSEEN.search(url):
        raise StorageUnsuitable(
            f"{url!r} holds a character that cannot be seen: leave it out, or write it with a %, such as %0A"
        )
    if not {"?", "#"}.isdisjoint(path):
        raise StorageUnsuitable(f"{url} holds '?' or '#': write them as %3F and %23")
    if not {".", ".."}.isdisjoint(unquote(path).split("/")):
        raise StorageUnsuitable(f"{url} holds '.' or '..' as a part of its path: write out where it leads")
    if scheme == "file" and not (path.startswith("/") and path.strip("/")):
        raise StorageUnsuitable(f"{url} names no folder of this machine: write file:///path/of/the/folder")
    return f"{scheme}://{path.rstrip('/')}", scheme


def folder_of(url: str) -> str:
    """Return the folder that a file URL names. Its name may be no UTF-8."""
    return os.fsdecode(unquote_to_bytes(os.fsencode(url.partition("://")[2])))


def _url_of(path: str) -> str:
    try:
        parts = Path(path).expanduser().absolute().parts
    except RuntimeError as error:
        raise StorageUnsuitable(f"{path}: there is no such home folder: write out the whole path") from error
    if ".." in parts:
        # Only the filesystem knows what is above a symbolic link.
        after = len(parts) - parts[::-1].index("..")
        parts = (os.path.realpath(Path(*parts[:after])), *parts[after:])
    found = Path(*parts)
    if found == found.parent:
        raise StorageUnsuitable(f"{path} is the folder of the whole machine: name a folder in it")
    return found.as_uri()
