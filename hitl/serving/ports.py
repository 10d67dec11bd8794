"""The port of a root's links: the same for all programs of a user that serve it, one after another or at once.

A link outlives the program that made it. So the programs of a root share its port (`SO_REUSEPORT`): while one of
them runs, all of their links work. The operating system lets only processes of one user share a port. `hitl serve`
listens on it too, for when no program is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from pathlib import Path
from typing import Final

from hitl.errors import ServeError
from hitl.settings import StorageSettings

LOOPBACK: Final = "127.0.0.1"

_BACKLOG: Final = 128
_FIRST_PORT: Final = 1024
_LAST_PORT: Final = 65_535
_DIGEST_CHARS: Final = 16


def listen(settings: StorageSettings) -> socket.socket:
    """Listen on the port of the root's links, or on a new one if there is none yet, or others have it.

    Args:
        settings: The root, and the data folder, in which the port is remembered.

    Raises:
        ServeError: when no port is free.
    """
    listening = listen_again(settings) or _listen(_free_port())
    if listening is None:
        raise ServeError("no port of this machine's loopback is free: end something that listens there")
    with contextlib.suppress(OSError):
        path = _path(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(listening.getsockname()[1]))
    return listening


def listen_again(settings: StorageSettings) -> socket.socket | None:
    """Listen on the port of the root's links; None when there are no links yet, or others have their port."""
    try:
        port = int(_path(settings).read_text())
    except (OSError, ValueError):
        return None
    return _listen(port) if _FIRST_PORT <= port <= _LAST_PORT else None


def _path(settings: StorageSettings) -> Path:
    # Another root has another port: what serves it knows nothing of this root's questions.
    root = settings.root()
    if root == str(settings.folder()):
        return settings.folder() / "port"
    return settings.folder() / "ports" / hashlib.sha256(root.encode()).hexdigest()[:_DIGEST_CHARS]


def _free_port() -> int:
    # Chosen without sharing: the port of another root's programs is not free.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as chosen:
        try:
            chosen.bind((LOOPBACK, 0))
        except OSError as error:
            raise ServeError(
                "no port of this machine's loopback is free: end something that listens there"
            ) from error
        return int(chosen.getsockname()[1])


def _listen(port: int) -> socket.socket | None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port whose last owner has just ended may be taken at once; one that is in use by others may not.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        return None
    return listening
