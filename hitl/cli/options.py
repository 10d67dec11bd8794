"""Options that several commands have."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Annotated, TypeAlias

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hitl.cli.storage_backend import Stored
from hitl.errors import HITLError
from hitl.settings import Settings

in_cluster: ContextVar[bool] = ContextVar("in_cluster", default=False)
"""Whether the commands look into the cluster when no option says where, as kubectl's plugins do."""


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
        help="The request, as `hitl list` shows it.",
        show_default=False,
        autocompletion=_pending,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Comment: TypeAlias = Annotated[
    str, typer.Option("--comment", metavar="TEXT", help="Words for the record.", show_default=False)
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-n", "--namespace", metavar="NAME", help="Look in this namespace of the cluster.", show_default=False
    ),
]
Everywhere: TypeAlias = Annotated[
    bool, typer.Option("-A", "--all-namespaces", help="Look in every namespace of the cluster.")
]
Context: TypeAlias = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="The kubeconfig's context.", show_default=False)
]
Kubeconfig: TypeAlias = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig.", show_default=False)
]
