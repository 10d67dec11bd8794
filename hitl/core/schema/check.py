"""Whether something is a JSON Schema, and whether a value fits it, within bounds.

A schema comes from one person, an answer from another, and both are checked in processes that serve many more.
So nothing is ever fetched, and everything that a check does is paid from one budget, when asked and when answered:
walking the schema, making engines of its patterns, matching, comparing. When it is spent, the check is given up
with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from pydantic import JsonValue

from hitl.core.limits import MAX_SCHEMA_CHARS
from hitl.core.schema.keywords import Fault, Part, faults
from hitl.core.schema.metaschema import DIALECT, METASCHEMA
from hitl.core.schema.parts import compiled
from hitl.core.schema.work import TooMuchWork, Work, path_of, place_text, shown
from hitl.errors import InvalidRequest, InvalidValue

BUDGET: Final = 1_000_000
"""About a second of one core. An answer of the largest size against an ordinary schema takes a tenth of it."""

_MAX_FAULTS = 20
# What is kept of schemas that were read, together. Compiled, a schema takes up to 100 times its text.
_MAX_KEPT_BYTES = 24 * 2**20
_BYTES_PER_CHAR = 100

# No LRUCache of cachetools: it changes when it is read, so it would need a lock, and threads check side by side.
_kept: dict[str, Part | str] = {}


class TakesTooLong(InvalidValue):
    """Checking an answer would cost more than it may."""


def budget(*, formats: bool = True) -> Work:
    """Return what several checks together may cost: as much as one of them.

    Args:
        formats: Whether they enforce `format`.
    """
    return Work(BUDGET, formats)


def check_schema(schema: Mapping[str, JsonValue], work: Work | None = None) -> None:
    """Refuse what is no JSON Schema, or one that cannot be checked within bounds.

    Refused besides what the metaschema refuses: references to anything outside the schema, other drafts,
    `patternProperties` (use `propertyNames` with a `pattern`), and patterns with look-around or back-references.
    `hitl.core.schema.formats` has the formats that are checked; any other `format` is a note for people.

    Args:
        schema: The schema.
        work: What is left of a budget that several checks share; None: this check has one of its own.

    Raises:
        InvalidRequest: saying where the schema is wrong, or too large to be checked in about a second.
        TakesTooLong: checking takes more than is left of the budget.
    """
    try:
        _schema(_as_text(schema), work)
    except TooMuchWork as error:
        raise TakesTooLong(f"Reading the schema takes too long (given up at {place_text(error.at)}).") from error


def check_value(
    schema: Mapping[str, JsonValue], value: JsonValue, *, formats: bool = True, work: Work | None = None
) -> None:
    """Refuse a value that the schema does not allow.

    Args:
        schema: As `check_schema` accepts it.
        value: A JSON value.
        formats: Whether `format` is enforced.
        work: What is left of a budget that several checks share; None: this check has one of its own.

    Raises:
        InvalidValue: its `details` hold one sentence for each fault, at most 20.
        TakesTooLong: checking takes more than about a second, or than what is left of the budget.
        InvalidRequest: when the schema itself is refused, see `check_schema`.
    """
    try:
        part = _schema(_as_text(schema), work)
        found = list(islice(faults(part, value, None, work or Work(BUDGET, formats)), _MAX_FAULTS))
    except RecursionError as error:
        raise InvalidValue("The value is nested too deeply for the schema: flatten it.") from error
    except TooMuchWork as error:
        raise TakesTooLong(
            f"Checking the value against the schema takes too long (given up at {place_text(error.at)}): "
            "give a shorter value, or ask with a simpler schema."
        ) from error
    except OverflowError as error:
        raise InvalidValue("The value holds a number that is too large for the schema's arithmetic.") from error
    if found:
        found.sort(key=lambda fault: [str(part) for part in path_of(fault.at)])
        sentences = tuple(_sentence(fault) for fault in found)
        # The whole value needs no name in the sentence: it is what the sentence begins with.
        first = found[0].say() if found[0].at is None else sentences[0]
        places = tuple(tuple(path_of(fault.at)) for fault in found)
        raise InvalidValue(f"The value does not fit: {first}.", sentences, places)


def _as_text(schema: Mapping[str, JsonValue]) -> str:
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"the schema cannot be written as JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("the schema is nested too deeply") from error
    if len(text) > MAX_SCHEMA_CHARS:
        raise InvalidRequest(f"the schema has {len(text):,} characters: at most {MAX_SCHEMA_CHARS:,} are allowed")
    return text


def _schema(text: str, paid: Work | None) -> Part:
    # Refusals are kept too: finding one may take the whole budget, and who asked may ask again.
    found = _kept.get(text)
    if found is None:
        units = BUDGET if paid is None else max(0, min(BUDGET, paid.left))
        work = Work(units)
        try:
            found = _read(text, work)
        except InvalidRequest as error:
            found = str(error)
        except TooMuchWork as error:
            if paid is not None and units < BUDGET:
                # Who has more to spend may find that it can be read.
                paid.left = -1
                raise
            found = (
                f"checking the schema takes too long (given up at {place_text(error.at)}): "
                "use fewer parts, fewer references, and smaller repetitions in patterns"
            )
        if paid is not None:
            paid.left -= units - work.left
        if sum(map(_kept_bytes, list(_kept.items()))) + _kept_bytes((text, found)) > _MAX_KEPT_BYTES:
            _kept.clear()
        _kept[text] = found
    if isinstance(found, str):
        raise InvalidRequest(found)
    return found


def _kept_bytes(entry: tuple[str, Part | str]) -> int:
    text, found = entry
    return 4_096 + len(text) * (1 if isinstance(found, str) else _BYTES_PER_CHAR)


def _read(text: str, work: Work) -> Part:
    schema = json.loads(text)
    if not isinstance(schema, dict):
        raise InvalidRequest("the schema is no object")
    dialect = schema.pop("$schema", DIALECT)
    if str(dialect).rstrip("#") != DIALECT:
        raise InvalidRequest(f"the schema is written for {shown(dialect)}: write it for {DIALECT}")
    # Every reference begins with "#", so nothing needs the schema's own name.
    schema.pop("$id", None)
    try:
        return compiled(schema, work, check=lambda part, at: _check_meta(part, at, work))
    except RecursionError as error:
        raise InvalidRequest("the schema is nested too deeply") from error


def _check_meta(schema: Any, at: Any, work: Work) -> None:
    fault = next(faults(_metaschema(), schema, at, work), None)
    if fault is not None:
        raise InvalidRequest(f"the schema is no JSON Schema: at {_sentence(fault)}")


@lru_cache(maxsize=1)
def _metaschema() -> Part:
    return compiled(METASCHEMA, Work(BUDGET), check=lambda _part, _at: None)


def _sentence(fault: Fault) -> str:
    return f"{place_text(fault.at)}: {fault.say()}"
