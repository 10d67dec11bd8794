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
_SYNCABLE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# By this ending a file is known that nobody finished.
_PART: Final = re.compile(r"#\d+\Z", re.ASCII)
_CANNOT_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
FOLDER: Final = "a folder"
_KINDS: Final = {
    stat.S_IFDIR: FOLDER,
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
        self._below_root = os.path.join(root, "")  # noqa: PTH118 - a text, as in `make_root`

    @contextmanager
    def open(self, parts: Sequence[str], key: str, *, make: bool = False) -> Iterator[list[int]]:
        """Open folders as `opened` does; they are closed when the block ends."""
        folders = self.opened(parts, key, make=make)
        try:
            yield folders
        finally:
            _close(folders)

    def opened(self, parts: Sequence[str], key: str, *, make: bool = False) -> list[int]:
        """Open one folder in the other; return their descriptors, which the caller closes.

        Args:
            parts: The folders' names, the first one that of a folder in the root. For none, the root is opened.
            key: The object that they are opened for, for messages.
            make: Make those that are not there, and open them so that they can be synced where that is permitted.

        Raises:
            FileNotFoundError: when one is not there.
            DocumentDamaged: when one is a symbolic link or no folder, or may not be entered.
            StorageUnsuitable: when that is the folder of all objects.
            PermissionError: when the root, or that folder, may not be entered.
        """
        if not parts:
            return [self._opened_root(make)]
        folders = [self._opened_first(parts, key, make)]
        try:
            for depth in range(2, len(parts) + 1):
                folders.append(self._opened_in(parts[:depth], folders[-1], key, make))
        except BaseException:
            _close(folders)
            raise
        return folders

    def _opened_first(self, parts: Sequence[str], key: str, make: bool) -> int:
        # A root is found by any path, and the folder in it by its own name only: one call opens both.
        path = self._below_root + parts[0]
        with suppress(OSError):
            return _syncable(path, os.O_NOFOLLOW, None) if make else os.open(path, _FOLDER)
        # One after the other tells which of them is missing or wrong.
        root = self._opened_root(make)
        try:
            return self._opened_in(parts[:1], root, key, make)
        finally:
            os.close(root)

    def _opened_in(self, parts: Sequence[str], within: int, key: str, make: bool) -> int:
        try:
            return _opened(parts[-1], within, make)
        except PermissionError as error:
            if make or len(parts) <= 2:
                raise
            why = f"this user is not permitted to look into {'/'.join(parts[:-1])}"
            raise DocumentDamaged(key, why) from error
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise self._not_a_folder(parts, within, key) from error

    def _opened_root(self, make: bool) -> int:
        if not make:
            return os.open(self._root, _ROOT)
        try:
            return _syncable(self._root, 0, None)
        except FileNotFoundError:
            try:
                make_root(self._root)
            except OSError as error:
                raise StorageUnsuitable(f"{self.url} cannot be made: {error.strerror or error}") from error
            return _syncable(self._root, 0, None)

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
    if not make:
        return os.open(name, _FOLDER, dir_fd=within)
    try:
        return _syncable(name, os.O_NOFOLLOW, within)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=within)
        return _syncable(name, os.O_NOFOLLOW, within)


def _syncable(path: str, flags: int, within: int | None) -> int:
    try:
        return os.open(path, _SYNCABLE | flags, dir_fd=within)
    except PermissionError:
        # It may be entered only; `sync` knows such folders.
        return os.open(path, _ROOT | flags, dir_fd=within)


def sync_above(folder: int) -> None:
    """Bring to the disk the name of an open folder.

    Raises:
        OSError: when the disk fails.
    """
    above = _syncable("..", 0, folder)
    try:
        sync([above])
    finally:
        os.close(above)


def _close(folders: Sequence[int]) -> None:
    for folder in folders:
        os.close(folder)


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
    """Make a folder and all above it, durably, unless it is there.

    Raises:
        OSError: when that is not possible.
    """
    missing = []
    while not os.path.isdir(root):  # noqa: PTH112 - a text, as this is called for each creation
        missing.append(root)
        above = os.path.dirname(root)  # noqa: PTH120 - as above
        if above == root:
            break
        root = above
    for folder in reversed(missing):
        try:
            os.mkdir(folder)  # noqa: PTH102 - as above
        except FileExistsError:
            if os.path.islink(folder) and not os.path.isdir(folder):  # noqa: PTH112, PTH114 - as above
                raise OSError(errno.ENOENT, f"{folder} leads to a folder that is not there") from None
        within = os.open(os.path.dirname(folder), _ROOT)  # noqa: PTH120 - as above
        try:
            with readable([within]) as files:
                sync(files)
        finally:
            os.close(within)


@contextmanager
def readable(folders: Sequence[int]) -> Iterator[list[int]]:
    """Open folders once more so that they can be synced; one that may only be entered is -1."""
    opened: list[int] = []
    try:
        for folder in folders:
            try:
                opened.append(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder))
            except PermissionError:
                opened.append(-1)
        yield opened
    finally:
        for file in opened:
            if file >= 0:
                os.close(file)


def sync(files: Sequence[int]) -> None:
    """Bring open files and folders to the disk, one after another.

    Args:
        files: Their descriptors. For -1 everything is brought to the disk, as nothing less can be asked for.

    Raises:
        OSError: when the disk fails.
    """
    for file in files:
        if file < 0:
            os.sync()
            continue
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno == errno.EBADF:
                # Opened by O_PATH, as it may be entered only: nothing less than everything can be asked for.
                os.sync()
                continue
            # Some network mounts know no such thing for folders.
            if error.errno not in _CANNOT_SYNC or not stat.S_ISDIR(os.fstat(file).st_mode):
                raise
