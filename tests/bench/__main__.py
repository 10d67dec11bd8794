"""`make bench`: every budget of docs/design.md, measured; ends with 1 when one is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.budgets import show

PARTS = ("web", "operator", "retention")
BUILD = Path(__file__).parents[2] / "build"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print one table for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    # Not by `choices`: with them, argparse of Python 3.11 refuses that nothing is given.
    parser.add_argument("parts", nargs="*", type=_part, metavar="part", help=f"{', '.join(PARTS)}; all by default")
    kept = True
    for part in parser.parse_args(arguments).parts or PARTS:
        if part == "web":
            from tests.bench import web

            kept &= show("web app", web.measure(BUILD))
        elif part == "operator":
            from tests.bench import pending

            kept &= show("operator", pending.measure(BUILD))
        else:
            from tests.bench import kept as retention

            kept &= show("retention", retention.measure(BUILD))
    return 0 if kept else 1


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {text!r}: choose from {', '.join(PARTS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
