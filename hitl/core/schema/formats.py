"""What `format` means in a schema: dates, times, addresses and identifiers, by pydantic's own types.

The formats are those of RFC 3339, RFC 3986 and RFC 4122, as JSON Schema names them. Pydantic's types take more
than that from a text (a number of seconds as a date, a name before an address), so the form is looked at first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

# Longer texts are none of these. The types behind them are not made for texts of any length.
_MAX_CHARS: Final = 320
_MAX_URI_CHARS: Final = 65_536

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d:\d\d(\.\d+)?"
_ZONE = r"([Zz]|[+-]\d\d:\d\d)"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# RFC 3339, appendix A, and what pydantic writes: a sign, and fractions of a second.
_DURATION = r"-?P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)"
_URI = r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_IP4 = r"[0-9.]+"
_IP6 = r"[0-9A-Fa-f:.]+"


@dataclass(frozen=True)
class _Format:
    wanted: str
    form: str
    """The regular expression that the whole text must match before its type is asked."""
    type: Callable[[], Any]
    max_chars: int = _MAX_CHARS


def _of_datetime(name: str) -> Callable[[], Any]:
    def find() -> Any:
        import datetime

        return getattr(datetime, name)

    return find


def _of_pydantic(name: str) -> Callable[[], Any]:
    def find() -> Any:
        import pydantic

        return getattr(pydantic, name)

    return find


def _of_ipaddress(name: str) -> Callable[[], Any]:
    def find() -> Any:
        import ipaddress

        return getattr(ipaddress, name)

    return find


def _uuid() -> Any:
    import uuid

    return uuid.UUID


_FORMATS: Final[dict[str, _Format]] = {
    "date": _Format("a date such as 2026-02-28", _DATE, _of_datetime("date")),
    "date-time": _Format(
        "a date and a time with its zone, such as 2026-02-28T09:30:00+01:00",
        f"{_DATE}[Tt]{_TIME}{_ZONE}",
        _of_datetime("datetime"),
    ),
    # By OpenAPI's registry of formats.
    "date-time-local": _Format(
        "a date and a time without a zone, such as 2026-02-28T09:30:00",
        rf"{_DATE}[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?",
        _of_pydantic("NaiveDatetime"),
    ),
    "time": _Format("a time such as 09:30:00 or 09:30:00+01:00", f"{_TIME}{_ZONE}?", _of_datetime("time")),
    "duration": _Format(
        "a duration: 3 days, 4 hours and 30 minutes are written P3DT4H30M", _DURATION, _of_datetime("timedelta")
    ),
    "uuid": _Format("a UUID such as 123e4567-e89b-42d3-a456-426614174000", _UUID, _uuid),
    "email": _Format("an email address such as ann@example.com", r"[^\s<>]+", _of_pydantic("EmailStr")),
    "uri": _Format("a URI such as https://example.com/page", _URI, _of_pydantic("AnyUrl"), _MAX_URI_CHARS),
    "ipv4": _Format("an IPv4 address such as 192.0.2.1", _IP4, _of_ipaddress("IPv4Address")),
    "ipv6": _Format("an IPv6 address such as 2001:db8::1", _IP6, _of_ipaddress("IPv6Address")),
    # These are pydantic's own names, in the schemas of its models.
    "uuid1": _Format("a UUID of version 1", _UUID, _of_pydantic("UUID1")),
    "uuid3": _Format("a UUID of version 3", _UUID, _of_pydantic("UUID3")),
    "uuid4": _Format(
        "a UUID of version 4 such as 123e4567-e89b-42d3-a456-426614174000", _UUID, _of_pydantic("UUID4")
    ),
    "uuid5": _Format("a UUID of version 5", _UUID, _of_pydantic("UUID5")),
    "ipv4network": _Format(
        "an IPv4 network such as 192.0.2.0/24", f"{_IP4}(/{_IP4})?", _of_ipaddress("IPv4Network")
    ),
    "ipv6network": _Format(
        "an IPv6 network such as 2001:db8::/32", f"{_IP6}(/\\d+)?", _of_ipaddress("IPv6Network")
    ),
    "ipvanyaddress": _Format(
        "an IP address such as 192.0.2.1 or 2001:db8::1", _IP6, _of_pydantic("IPvAnyAddress")
    ),
}
CHECKED: Final = frozenset(_FORMATS)
"""The formats that are checked. Every other one is a note for people."""


def wanted(name: str) -> str:
    """Return what a text of a format is, such as ``a date such as 2026-02-28``.

    Args:
        name: One of `CHECKED`.
    """
    return _FORMATS[name].wanted


def cost(name: str, text: str) -> int:
    """Return what telling whether a text is of a format costs at most, in units of `hitl.core.schema.work.Work`.

    Args:
        name: One of `CHECKED`.
        text: What was given, of any length.
    """
    units = 30 + len(text) // 16
    if name == "email" and len(text) <= _MAX_CHARS:
        # Each label of the domain is looked at. Whatever is not plain ASCII is decoded and looked up by character.
        is_plain = text.isascii() and '"' not in text and "xn--" not in text.lower()
        units += 15 * text.count(".") if is_plain else 20 * len(text)
    return units


def wanted_instead(name: str, text: str) -> str | None:
    """Return what a text should be, such as ``a date such as 2026-02-28``, or None where it is of the format.

    Args:
        name: One of `CHECKED`.
        text: What was given, of any length. Nothing is looked up in the network.
    """
    kind = _FORMATS[name]
    if len(text) > kind.max_chars or not _form(name).fullmatch(text):
        return kind.wanted
    from pydantic import ValidationError

    try:
        _adapter(name).validate_python(text)
    except ValidationError:
        return kind.wanted
    return None


@cache
def _form(name: str) -> re.Pattern[str]:
    return re.compile(_FORMATS[name].form, re.ASCII)


@cache
def _adapter(name: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_FORMATS[name].type())
