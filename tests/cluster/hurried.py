"""The operator with another clock, or in a hurry: `python -m tests.cluster.hurried`.

`TEST_OFF`: by how many seconds its clock is ahead. `TEST_STALE`: how many seconds its quarter of an hour takes.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import partial

from hitl import retention
from hitl_operator import app, mirror, parts, stored

OFF = timedelta(seconds=float(os.environ.get("TEST_OFF", "0")))


def _now() -> datetime:
    return datetime.now(UTC) + OFF


if __name__ == "__main__":
    from hitl_operator.__main__ import main

    vars(app).update(Parts=partial(parts.Parts, now=_now), Mirror=partial(mirror.Mirror, now=_now))
    if "TEST_STALE" in os.environ:
        for module in (retention, mirror, stored):
            vars(module)["STALE"] = timedelta(seconds=float(os.environ["TEST_STALE"]))
    main()
