"""The operator with another clock, or in a hurry: `python -m tests.cluster.hurried`.

`TEST_OFF`: by how many seconds its clock is ahead. `TEST_STALE`: how many seconds its quarter of an hour takes.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import partial

from hitl.records import retention
from hitl_operator import app, context, scanner, storage_reconciler

OFF = timedelta(seconds=float(os.environ.get("TEST_OFF", "0")))


def _now() -> datetime:
    return datetime.now(UTC) + OFF


if __name__ == "__main__":
    from hitl_operator.__main__ import main

    vars(app).update(Context=partial(context.Context, now=_now), Scanner=partial(scanner.Scanner, now=_now))
    if "TEST_STALE" in os.environ:
        for module in (retention, scanner, storage_reconciler):
            vars(module)["STALE"] = timedelta(seconds=float(os.environ["TEST_STALE"]))
    main()
