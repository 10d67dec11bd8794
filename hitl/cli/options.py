"""Options that several commands have."""

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from typing import Annotated, Final, TypeAlias

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hitl.cli.ids import id_of
from hitl.cli.storage_backend import Stored
from hitl.core.limits import MAX_TIMEOUT_SECONDS
from hitl.errors import HITLError
from hitl.settings import Settings

in_cluster: ContextVar[bool] = ContextVar("in_cluster", default=False)
"""Whether the commands look into the cluster when no option says where, as kubectl's plugins do."""

rooted: ContextVar[bool] = ContextVar("rooted", default=False)
"""Whether `--root` names where the commands look."""


_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)\Z", re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str) -> float:
    """Return the seconds that a span of time such as ``15m`` has."""
    matched = _SPAN.match(text.strip())
    if matched is None:
        raise typer.BadParameter(f"{text!r} is no span of time: write 90, 90s, 15m, 8h or 2d")
    return float(matched[1]) * _SECONDS[matched[2]]


def span_to_deadline(text: str) -> float:
    """Return the seconds of a span within which a question can be answered."""
    seconds = span(text)
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise typer.BadParameter(f"{text!r} must be over 0 and at most {MAX_TIMEOUT_SECONDS // 86_400}d")
    return seconds


def _pending(context: typer.Context, incomplete: str) -> list[str]:
    # The shell asks for completions before the options that stand in front take effect.
    root = context.parent.params.get("storage_root") if context.parent else None
    try:
        settings = Settings(storage_root=root) if root else Settings()
        views = asyncio.run(Stored(settings, warn=lambda _: None).list(settled=False))
    except (HITLError, SettingsError, ValidationError):
        return []
    return [view.id for view in views if view.id.startswith(incomplete)]


RequestId: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The question, as `hitl list` shows it; enough of its beginning; or its form's URL.",
        show_default=False,
        callback=id_of,
        autocompletion=_pending,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Comment: TypeAlias = Annotated[
    str, typer.Option("--comment", metavar="TEXT", help="Words for the record.", show_default=False)
]
