"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

RequestId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The request, as `hitl list` shows it.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Comment: TypeAlias = Annotated[str, typer.Option("--comment", help="Words for the record.", show_default=False)]
