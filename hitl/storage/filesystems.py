"""The door to fsspec: which filesystem holds a root, and whether it can create exclusively at all.

fsspec's default for `pipe_file(mode="create")` looks whether there is such a file, and then writes it: two callers
may both succeed. A filesystem that has nothing better is refused by name, before it is opened. What passes is
proven by the probe all the same (`Store.probe`).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any, Final

from fsspec import AbstractFileSystem, get_filesystem_class
from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs

from hitl.errors import StorageUnsuitable
from hitl.storage.objects import first_line
from hitl.storage.roots import SERVED_SCHEMES

# The kinds of storage that HITL's contract tests run on: URL schemes, and the classes of fsspec's filesystems.
TESTED_KINDS: Final = frozenset({*SERVED_SCHEMES, "adlfs.spec.AzureBlobFileSystem"})

# These have a `pipe_file` of their own, and look first all the same, or take no notice of the mode.
_LOOK_FIRST: Final = frozenset(
    {
        "fsspec.generic.GenericFileSystem",
        "fsspec.implementations.http.HTTPFileSystem",
        "fsspec.implementations.memory.MemoryFileSystem",
        "fsspec.implementations.reference.LazyReferenceMapper",
        "fsspec.implementations.reference.ReferenceFileSystem",
        "obstore.fsspec.FsspecStore",
    }
)
_DEFAULTS: Final = (AbstractFileSystem.pipe_file, AsyncFileSystem._pipe_file)
# fsspec's filesystem that is one folder of another one.
_FOLDER: Final = "dir"
_NO_CACHES: Final = {"skip_instance_cache": True, "use_listings_cache": False}

_log = logging.getLogger("hitl.storage")
_named: set[str] = set()


def admit(url: str, *, unproven: bool) -> None:
    """Make sure that the filesystem of a URL may hold a root. Nothing is opened, and no request is sent.

    Args:
        url: A URL that fsspec knows, such as ``dir::az://container/path``.
        unproven: Admit kinds that HITL's contract tests do not run on; says so once in the log.

    Raises:
        StorageUnsuitable: when fsspec does not know it, a package is missing, it cannot create exclusively, or
            its kind is not tested and `unproven` is false.
    """
    *wrappers, protocol = _protocols(url)
    for wrapper in wrappers:
        if wrapper != _FOLDER or len(wrappers) > 1:
            raise _refused(wrapper, f"before another URL only one {_FOLDER}:: may stand, which keeps no copies")
    found = _class_of(url, protocol)
    kind = kind_of(found)
    if _looks_first(found):
        why = f"fsspec's {found.__name__} looks whether a file is there and then writes it"
        raise _refused(protocol, f"{why}, so two answers could both be recorded")
    if kind in TESTED_KINDS:
        return
    if not unproven:
        raise StorageUnsuitable(
            f"{url}: HITL's contract tests do not run on {kind}: use one of {', '.join(SERVED_SCHEMES)}, or set "
            "HITL_STORAGE_UNPROVEN=allow to rely on the proof that is made when the root is opened"
        )
    if url not in _named:
        _named.add(url)
        _log.warning(
            "%s: HITL's contract tests do not run on %s; it is used because HITL_STORAGE_UNPROVEN=allow", url, kind
        )


def open_filesystem(url: str, options: Mapping[str, Any]) -> tuple[AbstractFileSystem, str]:
    """Open the filesystem of a URL that `admit` let pass, with its caches off.

    Args:
        url: A URL that fsspec knows.
        options: What the filesystem takes; for one inside ``dir::`` under its protocol: ``{"az": {…}}``.

    Returns:
        The filesystem, and the root's path in it, without a slash at its end.

    Raises:
        Exception: whatever the filesystem raises. Some connect when they are opened.
    """
    _, *inner = _protocols(url)
    merged: dict[str, Any] = {**_NO_CACHES, **options}
    for protocol in inner:
        merged[protocol] = {**_NO_CACHES, **options.get(protocol, {})}
    filesystem, path = url_to_fs(url, **merged)
    if inner and not url.partition("::")[0].partition("://")[2]:
        # The folder is the whole filesystem. fsspec names it once more, as a path inside of itself.
        path = ""
    return filesystem, str(path).rstrip("/")


def kind_of(found: type[AbstractFileSystem]) -> str:
    """Return a filesystem's kind: its class, with the module that it is written in."""
    return f"{found.__module__}.{found.__qualname__}"


def _protocols(url: str) -> list[str]:
    return [part.partition("://")[0] for part in url.split("::")]


def _class_of(url: str, protocol: str) -> type[AbstractFileSystem]:
    try:
        found: type[AbstractFileSystem] = get_filesystem_class(protocol or "?")
    except ValueError as error:
        raise _refused(protocol, "fsspec knows no filesystem of that name") from error
    except ImportError as error:
        # fsspec's sentence names the package.
        raise StorageUnsuitable(f"{url} cannot be opened: {first_line(error)}") from error
    return found


def _refused(protocol: str, why: str) -> StorageUnsuitable:
    served = ", ".join(SERVED_SCHEMES)
    return StorageUnsuitable(
        f"storage of kind {protocol!r} is not served: use one of {served}, or a local path ({why})"
    )


def _looks_first(found: type[AbstractFileSystem]) -> bool:
    """Tell whether a filesystem is known to look first, or not to honour the mode ``create``."""
    if any(kind_of(each) in _LOOK_FIRST and _own(each) is _own(found) for each in found.__mro__):
        return True
    own = _own(found)
    if own in _DEFAULTS:
        return True
    try:
        return "mode" not in inspect.getsource(own)
    except (OSError, TypeError):
        # It cannot be read: the probe tells.
        return False


def _own(found: type[Any]) -> Any:
    name = "_pipe_file" if getattr(found, "async_impl", False) else "pipe_file"
    return inspect.getattr_static(found, name, None)
