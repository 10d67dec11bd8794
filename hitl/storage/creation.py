"""One file on its way to its name: written, synced to the disk, linked, and its folders synced to the disk."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from hitl.errors import StorageUnsuitable
from hitl.storage.folders import sync, sync_above

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV)

# Names of parts need not be secret, but those of other processes must be others. A call of the system for each
# would wait for the interpreter's lock.
_names: Final = random.Random()  # noqa: S311 - no secret
os.register_at_fork(after_in_child=_names.seed)


class Synced:
    """What is known to be on the disk of the folders right under one root, by their device and number."""

    def __init__(self) -> None:
        self._named: set[tuple[int, int]] = set()
        self._begun: dict[tuple[int, int], float] = {}

    def sync_names(self, folders: Sequence[int], first: os.stat_result, opened_at: float) -> None:
        """Bring to the disk the name of a file in the last folder, and the folders' own names.

        Args:
            folders: Open folders, each in the one before; the first is in the root.
            first: What the system says of the first one.
            opened_at: The time in seconds, as `time.monotonic` has it, at which all of them were there.

        Raises:
            OSError: when the disk fails.
        """
        known = (first.st_dev, first.st_ino)
        sync(folders[:0:-1])
        # A sync of the folder of all questions that began since serves everybody whose folder was there by then.
        if len(folders) == 1 or self._begun.get(known, 0.0) <= opened_at:
            began = time.monotonic()
            sync(folders[:1])
            self._begun[known] = max(began, self._begun.get(known, 0.0))
        # It is never deleted; the folders in it may be new each time.
        if known not in self._named:
            sync_above(folders[0])
            self._named.add(known)


class Creation:
    """One file that is being created.

    Args:
        url: The root's URL, for messages.
        folders: The open folders down to the file's own. They are closed by `close`.
        name: The file's name.
    """

    def __init__(self, url: str, folders: Sequence[int], name: str) -> None:
        self._url = url
        self._folders = folders
        self._name = name
        self._opened_at = time.monotonic()
        self._part = ""
        self._file = -1

    def write(self, data: bytes) -> None:
        """Write the content under another name.

        Raises:
            OSError: when that is not possible.
        """
        part = f"{self._name}#{_names.getrandbits(63)}"
        self._first = os.fstat(self._folders[0])
        self._file = os.open(part, _NEW, 0o666, dir_fd=self._folders[-1])
        self._part = part
        while data:
            data = data[os.write(self._file, data) :]

    def link(self) -> None:
        """Give the file its name.

        Raises:
            FileExistsError: when the name is taken.
            StorageUnsuitable: when the filesystem has no hard links.
        """
        folder = self._folders[-1]
        try:
            os.link(self._part, self._name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise StorageUnsuitable(
                f"{self._url}: its filesystem has no hard links ({error.strerror}), without which nothing is "
                "recorded only once: use a folder on a local disk with ext4, XFS, Btrfs or APFS, or object storage"
            ) from error

    def finish(self, synced: Synced) -> None:
        """Bring the content to the disk, give the file its name, and bring that to the disk: what takes long.

        It is called in a thread, and does no more than it must: each call of the system there stops the event loop
        for a moment, as the interpreter's lock goes to and fro. So `close` removes the file's other name.

        Raises:
            FileExistsError: when the name is taken; what took it is on the disk as well.
            StorageUnsuitable: when the filesystem has no hard links.
            OSError: when the disk fails.
        """
        sync([self._file])
        taken: FileExistsError | None = None
        try:
            self.link()
        except FileExistsError as error:
            taken = error
        # Before "taken" is told too: the writer that took it may not have come so far.
        synced.sync_names(self._folders, self._first, self._opened_at)
        if taken is not None:
            raise taken

    def close(self) -> None:
        """Close all, and leave no part behind.

        One that comes back after a loss of power, or cannot be removed, is a file that nobody finished.
        """
        if self._part:
            with suppress(OSError):
                os.unlink(self._part, dir_fd=self._folders[-1])
        for each in (self._file, *self._folders):
            if each >= 0:
                os.close(each)
