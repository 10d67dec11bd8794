"""The key of the user's own inbox: it is in the inbox's address, and in a file that only this user can read.

Loopback is shared by all users of a machine. Who knows the key is the user who runs the program, or somebody who
got it from that user.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from hitl.settings import StorageSettings

_FILE: Final = "inbox-key"
_BYTES: Final = 16
_CHARS: Final = 22
_KEY: Final = re.compile(f"[A-Za-z0-9_-]{{{_CHARS}}}", re.ASCII)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger("hitl")


def inbox_key(settings: StorageSettings) -> str:
    """Return the key of the user's inbox, made when it is first needed. All programs of the user have the same.

    Args:
        settings: The data folder, in which the key lies.

    Returns:
        The key; empty, and a line in the log, where no file can be kept from other users: then there is no inbox.
    """
    path = settings.folder() / _FILE
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read(path)
        _make(path)
        return _read(path)
    except (OSError, ValueError) as error:
        _log.warning("there is no inbox of your own: %s: %s", path, error)
        return ""


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made under another name, so that no program ever reads half of it.
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{_FILE}-")
    try:
        with os.fdopen(number, "w") as file:
            file.write(secrets.token_urlsafe(_BYTES))
        # Another program of this user may be first.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _read(path: Path) -> str:
    """Return the key in a file.

    Raises:
        ValueError: others could have read or written it, or it is no key.
    """
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), encoding="ascii") as file:  # noqa: PTH123 - pathlib opens links
        found = os.fstat(file.fileno())
        if os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & _OTHERS):
            raise ValueError("other users may read or write this file: delete it")
        key = file.read(_CHARS + 1)
    if not _KEY.fullmatch(key):
        raise ValueError("this file holds no key: delete it")
    return key
