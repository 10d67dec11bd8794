"""The program of this machine that asked a question, whether it still runs, and whose it is."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from pathlib import Path
from typing import Final

_MOST_NAME: Final = 256
_UNKNOWN: Final = "-"
# In /proc/{pid}/stat behind the name, which may hold anything: the moment when the process began.
_START_FIELD: Final = 19


def this_program() -> str:
    """Return what tells this process from all others: its machine, its id, and when it began if that is known."""
    return f"{_machine()} {os.getpid()} {_began(os.getpid())}"


def this_user() -> str:
    """Return the name of the user who runs this process, which nobody has verified; empty: there is none."""
    # A container's user may have no name.
    with contextlib.suppress(OSError, KeyError):
        # Names come from the environment, whose bytes need be no UTF-8.
        return getpass.getuser().encode(errors="replace").decode()[:_MOST_NAME]
    return ""


def has_ended(program: str) -> bool:
    """Tell whether a program has certainly ended. Of another machine's, or another container's, nothing is known.

    Args:
        program: What `this_program` returned there; anything else tells nothing.
    """
    machine, _, rest = program.partition(" ")
    number, _, began = rest.partition(" ")
    if machine != _machine() or not (number.isascii() and number.isdigit()) or os.name != "posix":
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    # Ids are given again.
    return _UNKNOWN not in (began, now := _began(int(number))) and began != now


def _machine() -> str:
    # A container on its host's network has the host's name, and process ids of its own.
    try:
        processes = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{processes}"


def _began(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _UNKNOWN
    fields = stat.rpartition(")")[2].split()
    return fields[_START_FIELD] if len(fields) > _START_FIELD else _UNKNOWN
