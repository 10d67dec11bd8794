"""The `hitl` command, which kubectl also finds as `kubectl hitl`.

Nothing imports it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hitl.extras import how_to_install


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        import rich  # noqa: F401 - asked for here, so that its absence is told in a sentence
        import typer  # noqa: F401
    except ImportError as error:
        sys.exit(f"hitl: the command is not installed: {how_to_install('cli')} ({error})")
    from hitl.cli.app import run

    run(as_plugin=Path(sys.argv[0]).stem == "kubectl-hitl")
