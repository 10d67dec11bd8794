"""What an answer changed of the value that was proposed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from pydantic import JsonValue

from hitl.core.asked import Asked
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.forms.names import below
from hitl.core.forms.parts import MISSING, Maybe
from hitl.core.strictjson import shortened
from hitl.core.values import format_value, parse_text

MAX_CHANGES: Final = 256
_SHOWN_CHARS: Final = 200


class Change(NamedTuple):
    """One part of a proposed value that the answer has otherwise.

    Args:
        place: The part, as a JSON Pointer; empty for the whole value.
        before: What was proposed there; `MISSING` for a part that was added.
        after: What was answered; `MISSING` for a part that was left out.
    """

    place: str
    before: Maybe
    after: Maybe

    def texts(self) -> tuple[str | None, str | None]:
        """Return what was proposed and what was answered as people read it: JSON, cut where it is long.

        None stands for a part that was added, or left out.
        """
        return _shown(self.before), _shown(self.after)


def edits(asked: Asked, value: JsonValue) -> tuple[Change, ...]:
    """Return what an answer changed of the proposed value, at most 256 parts; none where nothing was proposed.

    Args:
        asked: The question, as stored.
        value: The answer, as it is recorded.
    """
    if asked.proposed is None:
        return ()
    found: list[Change] = []
    for change in _changes("", parse_text(asked.data_type, asked.proposed), value):
        found.append(change)
        if len(found) == MAX_CHANGES:
            break
    return tuple(found)


def edits_of(request: RequestDocument, outcome: OutcomeDocument | None) -> tuple[Change, ...] | None:
    """Return what an outcome changed of the proposed value; None if nothing was proposed, or nobody answered."""
    if request.proposed is None or outcome is None or outcome.outcome != "answered" or outcome.default_used:
        return None
    return edits(request, outcome.value)


def _changes(place: str, before: Maybe, after: Maybe) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(each for each in after if each not in before)]:
            yield from _changes(below(place, name), before.get(name, MISSING), after.get(name, MISSING))
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            yield from _changes(below(place, number), _at(before, number), _at(after, number))
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Change(place, before, after)


def _at(values: list[JsonValue], number: int) -> Maybe:
    return values[number] if number < len(values) else MISSING


def _shown(value: Maybe) -> str | None:
    if value is MISSING:
        return None
    return shortened(format_value("json", value), _SHOWN_CHARS)
