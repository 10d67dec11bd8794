"""Moments that documents may hold: those that calendars, clocks and databases can reckon with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

from pydantic import AwareDatetime, Field

# At the ends of the calendar a moment of one zone has none in another, and a second more is none at all.
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEYOND: Final = datetime(9999, 1, 1, tzinfo=UTC)

Moment: TypeAlias = Annotated[AwareDatetime, Field(ge=_FIRST, lt=_BEYOND)]
"""A moment from 1970 to 9998."""
