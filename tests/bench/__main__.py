"""`make bench`: every budget of docs/design.md, measured; ends with 1 when one is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.budgets import show

PARTS = ("web", "operator", "churn", "retention", "inbox", "votes", "notices")
BUILD = Path(__file__).parents[2] / "build"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print one table for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    # Not by `choices`: with them, argparse of Python 3.11 refuses that nothing is given.
    parser.add_argument("parts", nargs="*", type=_part, metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument(
        "--questions",
        type=int,
        default=1_000,
        help="how many questions the operator's costs are taken of, and a tenth of how many are pending (1,000)",
    )
    parser.add_argument(
        "--open", type=int, default=100_000, help="inbox: how many questions are open (100,000); fewer for a try"
    )
    parser.add_argument(
        "--large", action="store_true", help="operator: also what takes an hour, as 100,000 pending questions"
    )
    parser.add_argument(
        "--before",
        metavar="REVISION",
        default="",
        help="operator: also beside that of this revision, side by side",
    )
    parser.add_argument("--minutes", type=float, default=1, help="churn: for how long (1; the budget is for 10)")
    given = parser.parse_args(arguments)
    kept = True
    for part in given.parts or PARTS:
        if part == "web":
            from tests.bench import web

            kept &= show("web app", web.measure(BUILD))
        elif part == "operator":
            kept &= _operator(given.questions, given.large, given.before)
        elif part == "inbox":
            from tests.bench import inbox

            kept &= show("inbox", inbox.measure(BUILD, given.open))
        elif part == "votes":
            from tests.bench import votes

            kept &= show("votes", votes.measure(BUILD))
        elif part == "notices":
            from tests.bench import notices

            kept &= show("notices", notices.measure(BUILD))
        elif part == "churn":
            from tests.bench import churn

            kept &= show("questions that come and go", churn.measure(BUILD, given.minutes))
        else:
            from tests.bench import kept as retention

            kept &= show("retention", retention.measure(BUILD))
    return 0 if kept else 1


def _operator(questions: int, large: bool, before: str) -> bool:
    from tests.bench import answers, beside, many, pending

    kept = show("operator beside its floor", answers.measure(BUILD, questions))
    kept &= show("operator", pending.measure(BUILD, (questions, 10 * questions)))
    if before:
        kept &= show(f"operator beside {before}", beside.measure(BUILD, before, 10 * questions))
    return kept & show("operator, large", many.measure(BUILD, 10 * questions)) if large else kept


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {text!r}: choose from {', '.join(PARTS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
