"""Files of this machine: created whole, exclusively and durably; below the root no symbolic link is followed.

A file is written under a name of its own (``response.json#123``), brought to the disk, and then linked to its
final name, which fails if the name is taken. A final name never stands for half a file, even after a power loss.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections.abc import AsyncIterator, Callable, ItemsView, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Final, ParamSpec, TypeVar

from hitl.core.keys import PREFIX
from hitl.errors import DocumentDamaged, StorageUnavailable, StorageUnsuitable
from hitl.storage.creation import Creation, Synced
from hitl.storage.disk import disk
from hitl.storage.folders import FOLDER, Folders, kind_of, parts_of, readable, sync
from hitl.storage.listing import Listing, time_of
from hitl.storage.marking import replace, replace_many
from hitl.storage.objects import Entry, Found, check_size, first_line

_TRIES: Final = 10
_PAGE: Final = 1_000
# Without O_NONBLOCK the opening of a named pipe would wait for a writer.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LocalObjects:
    """The objects under a folder.

    Args:
        url: The root's URL, for messages.
        folder: The root. It may be reached by symbolic links; what is below it may not.
        sync: Whether what is durable is brought to the disk before anybody is told of it. False leaves that to the
            system: a loss of power may take away what was confirmed, or leave an empty file for it.

    Raises:
        StorageUnsuitable: when it is no folder.
    """

    refuses_without_cause = False
    # Each is over before another could begin.
    side_by_side = False
    # The kernel lets one caller at a time into a folder anyway.
    racers = 3
    rounds = 1

    def __init__(self, url: str, folder: str, *, sync: bool = True) -> None:
        self._url = url
        self._syncs = sync
        self._folders = Folders(url, folder)
        self._listing = Listing(self._folders)
        self._synced = Synced()
        # It is made by the first creation: a mistyped root that is only read leaves no folder behind.
        try:
            kind = kind_of(os.stat(folder).st_mode)  # noqa: PTH116 - a text, as in `make_root`
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise StorageUnsuitable(f"{url} cannot be opened: {first_line(error)}") from error
        if kind != FOLDER:
            raise StorageUnsuitable(f"{url} cannot be opened: it is {kind}")

    async def create(self, key: str, data: bytes, *, durable: bool) -> None:
        """Create a file, on the disk when `durable`; FileExistsError when the name is taken.

        It has no time limit: a creation that was given up might be read as confirmed before it is on the disk.
        """
        with self._translating(f"create {key}"):
            parts = parts_of(key)
            for _ in range(_TRIES):
                # A folder may be removed as empty just when something is created in it.
                with suppress(FileNotFoundError):
                    return await self._create(parts, key, data, durable)
            raise self._vanishing(key)

    async def overwrite(self, key: str, data: bytes) -> None:
        """Write a file, whether there is one or not."""
        with self._translating(f"mark {key}"):
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):
                    return self._overwrite(key, data)
            raise self._vanishing(key)

    async def overwrite_many(self, keys: Sequence[str], data: bytes) -> None:
        """Write files, whether they are there or not, in one call of a thread."""
        await self._elsewhere(f"mark {len(keys)} files", self._overwrite_many, keys, data)

    async def read(self, key: str) -> Found:
        """Read a regular file; DocumentDamaged for anything else, at once."""
        # The reading of a small file is over before a thread could have begun it.
        with self._translating(f"read {key}"):
            return self._read(key)

    async def size(self, key: str) -> int:
        """Return how many bytes a regular file has; DocumentDamaged for anything else."""
        with self._translating(f"look for {key}"), self._opened_file(key) as (_, found):
            return found.st_size

    async def read_part(self, key: str, start: int, length: int) -> bytes:
        """Read some of a regular file's bytes; DocumentDamaged for anything else."""
        return await self._elsewhere(f"read {key}", self._read_part, key, start, length)

    async def look(self, key: str) -> None:
        """Do nothing; FileNotFoundError when nothing has that name."""
        *folders, name = parts_of(key)
        with self._translating(f"look for {key}"), self._folders.open(folders, key) as opened:
            os.stat(name, dir_fd=opened[-1], follow_symlinks=False)

    async def delete(self, key: str, *, durable: bool) -> None:
        """Delete a file, and the folders that it leaves empty."""
        if durable and self._syncs:
            await self._elsewhere(f"delete {key}", self._delete, key, True)
        else:
            with self._translating(f"delete {key}"):
                self._delete(key, False)

    async def delete_many(self, keys: Sequence[str], *, durable: bool) -> None:
        """Delete files, if they are there, and the folders that they leave empty, in one call of a thread."""
        syncs = durable and self._syncs
        await self._elsewhere(f"delete {len(keys)} files", self._delete_many, keys, syncs)

    async def list_all(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield the keys under a prefix, a thousand at a time."""
        entries = self._listing.each(prefix)
        while page := await self._elsewhere(f"list {prefix}", lambda: list(islice(entries, _PAGE))):
            yield page

    async def list_page(self, prefix: str, after: str, most: int | None) -> list[Entry]:
        """Return all keys under a prefix that come after one, in their order, or the first so many of them.

        Each page lists the folder again, and holds no more than itself.
        """

        def page() -> list[Entry]:
            found = self._listing.each(prefix, after=after)
            return sorted(found) if most is None else heapq.nsmallest(most, found)

        return await self._elsewhere(f"list {prefix}", page)

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix."""
        return await self._elsewhere(f"list {prefix}", self._listing.folders, prefix)

    async def drop_parts(self, before: datetime) -> list[str]:
        """Delete the files that nobody finished, if they were last written before a moment; return their names."""
        return await self._elsewhere("look for unfinished files", self._drop_parts, before)

    async def _create(self, parts: Sequence[str], key: str, data: bytes, durable: bool) -> None:
        *folders, name = parts
        syncs = durable and self._syncs
        creation = Creation(self._url, self._folders.opened(folders, key, make=True), name)
        try:
            # What waits for the disk is done in a thread, all of it at once: one call of the system after another
            # there would wait for the interpreter's lock each time.
            creation.write(data)
            if not syncs:
                creation.link()
        except BaseException:
            creation.close()
            raise
        if syncs:
            await disk().create(lambda: creation.finish(self._synced), creation.close)
        else:
            creation.close()

    def _overwrite(self, key: str, data: bytes) -> None:
        *folders, name = parts_of(key)
        with self._folders.open(folders, key, make=True) as opened:
            replace(name, opened[-1], key, data)

    def _overwrite_many(self, keys: Sequence[str], data: bytes) -> None:
        errors: list[Exception] = []
        for folders, names in _by_folder(keys):
            try:
                with self._folders.open(folders, "/".join(folders), make=True) as opened:
                    errors += replace_many(names, opened[-1], "/".join(folders), data)
            except (OSError, DocumentDamaged) as error:
                errors.append(error)
        for wrong in errors:
            # A folder may be removed as empty just when something is created in it.
            raise self._vanishing(keys[0]) if isinstance(wrong, FileNotFoundError) else wrong

    def _read(self, key: str) -> Found:
        with self._opened_file(key) as (file, found):
            check_size(key, found.st_size)
            return Found(_some(file, 0, found.st_size), time_of(found.st_mtime))

    def _read_part(self, key: str, start: int, length: int) -> bytes:
        with self._opened_file(key) as (file, _):
            return _some(file, start, length)

    @contextmanager
    def _opened_file(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        *folders, name = parts_of(key)
        opened = self._folders.opened(folders, key)
        try:
            file = _opened(name, opened[-1], key)
        finally:
            for each in opened:
                os.close(each)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise DocumentDamaged(key, f"it is {kind_of(found.st_mode)}")
            yield file, found
        finally:
            os.close(file)

    def _delete(self, key: str, durable: bool) -> None:
        *folders, name = parts_of(key)
        for error in self._delete_in(folders, [name], durable):
            raise error

    def _delete_many(self, keys: Sequence[str], durable: bool) -> None:
        errors: list[Exception] = []
        for folder, here in _by_folder(keys):
            try:
                errors += self._delete_in(folder, here, durable)
            except (OSError, DocumentDamaged) as error:
                errors.append(error)
        for wrong in errors:
            if not isinstance(wrong, FileNotFoundError):
                raise wrong

    def _delete_in(self, folders: Sequence[str], names: Sequence[str], durable: bool) -> list[Exception]:
        """Delete files of one folder, and the folders that they leave empty; return what is wrong with some."""
        errors: list[Exception] = []
        with self._folders.open(folders, "/".join([*folders, names[0]])) as opened:
            for name in names:
                try:
                    _unlink(name, opened[-1], "/".join([*folders, name]))
                except (OSError, DocumentDamaged) as error:
                    errors.append(error)
            if durable:
                with readable(opened[-1:]) as files:
                    sync(files)
        self._folders.remove_empty(folders)
        return errors

    def _drop_parts(self, before: datetime) -> list[str]:
        found = [key for key, written_at in self._listing.keys(PREFIX, parts=True) if written_at < before]
        for key in found:
            with suppress(FileNotFoundError, DocumentDamaged):
                *folders, name = key.split("/")
                self._delete_in(folders, [name], durable=False)
        return found

    def _vanishing(self, key: str) -> StorageUnavailable:
        return StorageUnavailable(f"{self._url}: could not create {key}: its folder was removed again and again")

    async def _elsewhere(self, what: str, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with self._translating(what):
            return await disk().run(lambda: work(*args, **kwargs))

    @contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except PermissionError as error:
            raise StorageUnsuitable(
                f"{self._url}: not permitted to {what}: check the rights of its folders and files"
            ) from error
        except (OSError, ValueError) as error:
            raise StorageUnavailable(f"{self._url}: could not {what}: {first_line(error)}") from error


def _some(file: int, start: int, length: int) -> bytes:
    data = os.pread(file, length, start)
    while len(data) < length and (more := os.pread(file, length - len(data), start + len(data))):
        data += more
    return data


def _by_folder(keys: Sequence[str]) -> ItemsView[tuple[str, ...], list[str]]:
    names: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        *folders, name = parts_of(key)
        names.setdefault(tuple(folders), []).append(name)
    return names.items()


def _unlink(name: str, folder: int, key: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except (IsADirectoryError, PermissionError) as error:
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise
        raise DocumentDamaged(key, "it is a folder") from error


def _opened(name: str, folder: int, key: str) -> int:
    try:
        return os.open(name, _READ, dir_fd=folder)
    except PermissionError as error:
        raise DocumentDamaged(key, "this user is not permitted to read it") from error
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        kind = "a symbolic link" if error.errno == errno.ELOOP else "a socket"
        raise DocumentDamaged(key, f"it is {kind}") from error
