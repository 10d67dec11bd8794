"""What pydantic found wrong, as a sentence for people."""

import re
from typing import Final, NamedTuple

from pydantic import ValidationError

_OF_VALIDATORS = ("Value error, ", "Assertion failed, ")
_PLAIN: Final = {
    "Extra inputs are not permitted": "there is no such field",
    "String should have at least 1 character": "it is empty",
    "Input should be a valid integer, unable to parse string as an integer": "give a whole number",
    "Input should be a valid number, unable to parse string as a number": "give a number",
}


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
    return [Fault(".".join(map(str, each["loc"])), plain_message(each["msg"])) for each in found]


def sentence(error: ValidationError, whole: str = "") -> str:
    """Return the first fault as ``place: what is wrong``.

    Args:
        error: What pydantic raised.
        whole: The name of what was read, for a fault that concerns all of it.
    """
    first = faults(error)[0]
    return str(first._replace(place=first.place or whole))


def settings_sentences(error: ValueError) -> list[str]:
    """Return what is wrong with settings, each sentence with the name of its environment variable.

    Args:
        error: What pydantic raised, or what pydantic-settings raised for a variable that is not JSON.
    """
    if not isinstance(error, ValidationError):
        field = re.search(r'field "(\w+)"', str(error))
        return [f"HITL_{field[1].upper()} is not JSON: correct or unset it" if field else str(error)]
    given = [each["input"] for each in error.errors(include_url=False, include_context=False)]
    return [_of_setting(fault, value) for fault, value in zip(faults(error), given, strict=True)]


def _of_setting(fault: Fault, given: object) -> str:
    field, _, inside = fault.place.partition(".")
    if not field:
        return fault.why
    # A text that is part of a larger setting may be a credential.
    shown = f" is {given!r}" if isinstance(given, str) and not inside and "secret" not in field else ""
    return f"HITL_{field.upper()}{f', {inside}' if inside else ''}{shown}: {fault.why}"


def plain_message(message: str) -> str:
    """Return what pydantic says of a fault without the name of the exception behind it."""
    for prefix in _OF_VALIDATORS:
        message = message.removeprefix(prefix)
    return _PLAIN.get(message, message)
