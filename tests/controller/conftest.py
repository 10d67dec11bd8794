"""What the tests of the operator's parts share."""

from collections.abc import Iterator

import pytest

from hitl_operator.metrics import REFUSED_WRITES


@pytest.fixture(autouse=True)
def nothing_refused() -> Iterator[None]:
    """Count what is refused from none: all parts of a process count together."""
    REFUSED_WRITES.set(0)
    yield
    REFUSED_WRITES.set(0)
