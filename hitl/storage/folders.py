"""Folders under a root, opened one by one, so that none of them is reached by a symbolic link."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from hitl.errors import DocumentDamaged, StorageUnsuitable

# To pass through a folder, the right to enter it is enough; O_PATH asks for no more, where there is such a thing.
_ROOT: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER: Final = _ROOT | os.O_NOFOLLOW
# By this ending a file is known that nobody finished.
_PART: Final = re.compile(r"#\d+\Z", re.ASCII)
_CANNOT_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFREG: "a file",
}


class Folders:
    """The folders under a root.

    Args:
        url: The root's URL, for messages.
        root: The root's path.
    """

    def __init__(self, url: str, root: str) -> None:
        self.url = url
        self._root = root

    @contextmanager
    def open(self, parts: Sequence[str], key: str, *, make: bool = False) -> Iterator[list[int]]:
        """Open the root and one folder in the other; yield their descriptors.

        Args:
            parts: The folders' names.
            key: The object that they are opened for, for messages.
            make: Make those that are not there.

        Raises:
            FileNotFoundError: when one is not there.
            DocumentDamaged: when one is a symbolic link or no folder, or may not be entered.
            StorageUnsuitable: when that is the folder of all objects.
            PermissionError: when the root, or that folder, may not be entered.
        """
        opened: list[int] = []
        try:
            if make:
                make_root(self._root)
            opened.append(os.open(self._root, _ROOT))
            for depth, name in enumerate(parts):
                try:
                    opened.append(_opened(name, opened[-1], make))
                except PermissionError as error:
                    if make or depth < 2:
                        raise
                    why = f"this user is not permitted to look into {'/'.join(parts[:depth])}"
                    raise DocumentDamaged(key, why) from error
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    raise self._not_a_folder(parts[: depth + 1], opened[-1], key) from error
            yield opened
        finally:
            for folder in opened:
                os.close(folder)

    def remove_empty(self, parts: Sequence[str]) -> None:
        """Remove a folder if it is empty, and those above it; the one right under the root stays."""
        for depth in range(len(parts) - 1, 0, -1):
            try:
                with self.open(parts[:depth], "/".join(parts)) as opened:
                    os.rmdir(parts[depth], dir_fd=opened[-1])
            except (OSError, DocumentDamaged):
                return

    def _not_a_folder(self, parts: Sequence[str], within: int, key: str) -> DocumentDamaged | StorageUnsuitable:
        kind = "no folder"
        with suppress(OSError):
            kind = kind_of(os.stat(parts[-1], dir_fd=within, follow_symlinks=False).st_mode)
        if len(parts) == 1:
            return StorageUnsuitable(
                f"{self.url}: {parts[0]} is {kind}, and none is followed below the root: "
                "make it a folder, or name as the root the folder that it leads to"
            )
        return DocumentDamaged(key, f"{'/'.join(parts)} is {kind} and no folder")


def _opened(name: str, within: int, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=within)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=within)
    return os.open(name, _FOLDER, dir_fd=within)


def parts_of(key: str) -> list[str]:
    """Return the names that a key is made of.

    Raises:
        ValueError: for a key that leads elsewhere, or to a file that nobody finished.
    """
    parts = key.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in key or is_part(parts[-1]):
        raise ValueError(f"{key!r} is no key")
    return parts


def is_part(name: str) -> bool:
    """Tell whether a file of this name is one that nobody finished yet."""
    return _PART.search(name) is not None


def kind_of(mode: int) -> str:
    """Return what a file is by its mode, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def make_root(root: str) -> None:
    """Make a folder and all above it, durably, unless it is there."""
    missing = []
    while not os.path.isdir(root):  # noqa: PTH112 - a text, as this is called for each creation
        missing.append(root)
        above = os.path.dirname(root)  # noqa: PTH120 - as above
        if above == root:
            break
        root = above
    for folder in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(folder)  # noqa: PTH102 - as above
        within = os.open(os.path.dirname(folder), _ROOT)  # noqa: PTH120 - as above
        try:
            sync(within)
        finally:
            os.close(within)


def sync(folder: int) -> None:
    """Bring the names in an open folder to the disk.

    Raises:
        OSError: when the disk fails.
    """
    try:
        file = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        # Who may enter a folder and not read it can only ask for everything.
        os.sync()
        return
    try:
        os.fsync(file)
    except OSError as error:
        # Some network mounts know no such thing for folders.
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(file)
