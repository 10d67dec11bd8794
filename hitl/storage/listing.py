"""What lies under a folder. An entry that cannot be looked into is named once in the log, and hides no other."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from hitl.core.keys import OPEN, SETTLED
from hitl.errors import DocumentDamaged, printable
from hitl.storage.folders import Folders, is_part
from hitl.storage.objects import Entry

_MOST_NAMED: Final = 1_000
_INDEX: Final = (OPEN, SETTLED)
_log = logging.getLogger("hitl.storage")


class Listing:
    """Lists what lies under a root.

    Args:
        folders: The root's folders.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._named: set[str] = set()

    def keys(self, prefix: str, *, parts: bool = False) -> list[Entry]:
        """Return what `each` yields."""
        return list(self.each(prefix, parts=parts))

    def each(self, prefix: str, *, parts: bool = False, after: str = "") -> Iterator[Entry]:
        """Yield all that is no folder below a folder, with the time of its last change, in any order.

        What has the folder's name and is none, such as a symbolic link, is returned itself: it can be deleted.

        Args:
            prefix: The folder's path under the root.
            parts: Yield the files that nobody finished, and no others.
            after: Leave out those up to this one; their times are not looked up.

        Raises:
            StorageUnsuitable: when the folder of all objects is none.
            PermissionError: when it may not be read.
        """
        first = [part for part in prefix.split("/") if part]
        if not parts and (instead := self._instead(first)) is not None:
            if instead[0] > after:
                yield instead
            return
        left = [first]
        while left:
            folder = left.pop()
            start = "".join(f"{part}/" for part in folder)
            for entry in self._entries(folder, asked_for=folder is first):
                # What was deleted meanwhile is left out.
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append([*folder, entry.name])
                    elif is_part(entry.name) is parts and start + entry.name > after:
                        changed = entry.stat(follow_symlinks=False).st_mtime
                        yield start + entry.name, time_of(changed)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a folder; as `keys` otherwise.

        Symbolic links are among them: a reader of an object in one learns that it is damaged.
        """
        entries = self._entries([part for part in prefix.split("/") if part])
        return [each.name for each in entries if each.is_symlink() or each.is_dir(follow_symlinks=False)]

    def _instead(self, folder: Sequence[str]) -> Entry | None:
        """Return what has a folder's name and is none."""
        if len(folder) < 2:
            return None
        name = "/".join(folder)
        try:
            with self._folders.open(folder[:-1], name) as opened:
                found = os.stat(folder[-1], dir_fd=opened[-1], follow_symlinks=False)
        except (FileNotFoundError, PermissionError, DocumentDamaged):
            # The listing itself tells.
            return None
        return None if stat.S_ISDIR(found.st_mode) else (name, time_of(found.st_mtime))

    def _entries(self, folder: Sequence[str], *, asked_for: bool = True) -> Iterator[os.DirEntry[str]]:
        name = "/".join(folder)
        try:
            with self._folders.open(folder, name) as opened:
                here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=opened[-1])
                try:
                    with os.scandir(here) as entries:
                        yield from entries
                finally:
                    os.close(here)
        except FileNotFoundError:
            return
        except DocumentDamaged as error:
            self._name(name, error.why)
        except OSError as error:
            # The caller is told of a root that may not be read as a whole, and of an index, which hides questions.
            if len(folder) < 2 or (isinstance(error, PermissionError) and asked_for and name in _INDEX):
                raise
            self._name(name, error.strerror or str(error))

    def _name(self, name: str, why: str) -> None:
        if name not in self._named and len(self._named) < _MOST_NAMED:
            self._named.add(name)
            _log.warning("left out of listings: %s/%s: %s", self._folders.url, printable(name), why)


def time_of(seconds: float) -> datetime:
    """Return a file's time; one that no calendar has becomes the nearest that it has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC)
