"""`make bench`: every budget of docs/design.md, measured; ends with 1 when one is missed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.budgets import show

BUILD = Path(__file__).parents[2] / "build"


def main() -> int:
    """Measure what was asked for and print one table for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["web", "operator"])
    kept = True
    for part in parser.parse_args().parts or ["web", "operator"]:
        if part == "web":
            from tests.bench import web

            kept &= show("web app", web.measure(BUILD))
        else:
            from tests.bench import pending

            kept &= show("operator", pending.measure(BUILD))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
