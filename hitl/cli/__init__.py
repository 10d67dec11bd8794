"""The `hitl` command."""

from __future__ import annotations


def main() -> None:
    """Run the command; ends the process with its exit code."""
    from hitl.cli.app import run

    run()
