"""What `hitl ask` calls the parameters of a question, in what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hitl.errors import InvalidRequest

_TYPED: Final = {
    "approval": "--approval",
    "business_hours": "--business-hours",
    "escalate": "--escalate",
    "name": "--name",
    "prompt": "PROMPT",
    "reminders": "--remind",
    "requester": "--requester",
}
_FIRST: Final = re.compile(r"\A[a-z_]+\b")


@contextmanager
def as_typed(**also: str) -> Iterator[None]:
    """Name what was refused as it was typed: a shell has no parameters of Python.

    Args:
        also: Further parameters, each with its option.

    Raises:
        InvalidRequest: with the name of the option in front, where the library names its parameter.
    """
    try:
        yield
    except InvalidRequest as error:
        names = _TYPED | also
        raise InvalidRequest(
            _FIRST.sub(lambda found: names.get(found[0], found[0]), str(error), count=1)
        ) from error
