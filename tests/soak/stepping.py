"""`python -m tests.soak.stepping`: the operator with a clock that may be stepped while it runs.

`TEST_CLOCK`: a file with the seconds by which its clock is ahead. `TEST_SLOW`: how many seconds a write is tried
until it counts as refused, and how many it rests then, so that a short run sees the end of it.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from hitl_operator import app, context, human_inputs, reconcile, refusals, responses, scanner, storage_reconciler

_CLOCK = Path(os.environ.get("TEST_CLOCK", ""))


def _now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(_CLOCK.read_text()))


if __name__ == "__main__":
    from hitl_operator.__main__ import main

    vars(app).update(Context=partial(context.Context, now=_now), Scanner=partial(scanner.Scanner, now=_now))
    for module in (human_inputs, reconcile, refusals, responses, storage_reconciler):
        vars(module)["SLOW_SECONDS"] = float(os.environ["TEST_SLOW"])
    vars(refusals).update(dict.fromkeys(("REFUSED_SECONDS", "FAILED_SECONDS"), float(os.environ["TEST_SLOW"])))
    main()
