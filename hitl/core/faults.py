"""What pydantic found wrong, as a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

_OF_VALIDATORS = ("Value error, ", "Assertion failed, ")


class Fault(NamedTuple):
    """One fault.

    Args:
        place: Where it is, such as ``choices.2``; empty: it concerns the whole.
        why: What is wrong there.
    """

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}" if self.place else self.why


def faults(error: ValidationError) -> list[Fault]:
    """Return all that pydantic found wrong, at least one. What was given is not repeated: it may be secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [Fault(".".join(map(str, each["loc"])), _plain(each["msg"])) for each in found]


def sentence(error: ValidationError, whole: str = "") -> str:
    """Return the first fault as ``place: what is wrong``.

    Args:
        error: What pydantic raised.
        whole: The name of what was read, for a fault that concerns all of it.
    """
    first = faults(error)[0]
    return str(first._replace(place=first.place or whole))


def _plain(message: str) -> str:
    for prefix in _OF_VALIDATORS:
        message = message.removeprefix(prefix)
    return message
