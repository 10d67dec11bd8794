"""What the disk alone allows: a bare loop of the syncs that one recorded answer needs, at the same concurrency."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


def syncs_a_second(home: Path, count: int, at_once: int) -> float:
    """Create files as durably as answers are, each in a folder of its own, and return how many a second.

    Args:
        home: A folder on the disk in question; it is emptied.
        count: How many files.
        at_once: How many of them at once.
    """
    shutil.rmtree(home, ignore_errors=True)
    folders = [home / f"folder-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir(parents=True)
    # What was made so far is no part of it.
    os.sync()
    with ThreadPoolExecutor(at_once) as pool:
        began = time.perf_counter()
        list(pool.map(create, folders))
        return count / (time.perf_counter() - began)


def create(folder: Path) -> None:
    """Create a file as durably as an answer is."""
    part = folder / "part"
    with _opened(part, os.O_WRONLY | os.O_CREAT) as file:
        os.write(file, b"x" * 600)
        os.fsync(file)
    (folder / "file").hardlink_to(part)
    part.unlink()
    for each in (folder, folder.parent):
        with _opened(each, os.O_RDONLY) as file:
            os.fsync(file)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags)
    try:
        yield file
    finally:
        os.close(file)
