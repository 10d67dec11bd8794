"""Files of this machine that say all by their names: written whether they are there or not, and never synced."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from hitl.errors import DocumentDamaged

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(name: str, folder: int, key: str, data: bytes) -> None:
    """Write a file that nobody reads while it is written; most are new, and then it costs least."""
    try:
        _write(name, folder, data)
        return
    except FileExistsError:
        part = f"{name}#{secrets.randbits(63)}"
    try:
        _write(part, folder, data)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError as error:
        raise DocumentDamaged(key, "it is a folder") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)


def replace_many(names: Sequence[str], folder: int, path: str, data: bytes) -> list[Exception]:
    """Write files that are equal; return what is wrong with some.

    They are one file with many names: each of its own would cost the disk and the thread more than twice as much.
    """
    errors: list[Exception] = []
    written = ""
    for name in names:
        try:
            if not written or not _also_named(name, written, folder):
                replace(name, folder, f"{path}/{name}", data)
                written = name
        except (OSError, DocumentDamaged) as error:
            errors.append(error)
    return errors


def _also_named(name: str, written: str, folder: int) -> bool:
    # Taken names, too many of them, and filesystems without links: then it is written by itself.
    with suppress(OSError):
        os.link(written, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _write(name: str, folder: int, data: bytes) -> None:
    file = os.open(name, _NEW, 0o666, dir_fd=folder)
    try:
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)
