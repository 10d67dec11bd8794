"""How a command runs coroutines, opens the root, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import typer

from hitl.documents import OutcomeDocument, OutcomeKind
from hitl.settings import Settings
from hitl.storage import Store

_T = TypeVar("_T")

INTERRUPTED: Final = 130
EXIT_CODES: Final[dict[OutcomeKind, int]] = {"answered": 0, "rejected": 1, "timed_out": 3, "cancelled": 4}


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end; Ctrl-C ends the command with 130."""
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


def open_root() -> Store:
    """Open the root that the environment or `--root` names."""
    return Settings().open_store()


def exit_code(outcome: OutcomeDocument) -> int:
    """Return the exit code that says how a question ended."""
    return EXIT_CODES[outcome.outcome]
