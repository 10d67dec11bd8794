"""Values, arrays and Series of numpy, pandas and polars, taken for what they hold. None of these is imported."""

from __future__ import annotations

from typing import Any, Final

from hitl.core.strictjson import MAX_JSON_DEPTH
from hitl.errors import InvalidRequest

# Of numpy, pandas and others; and of polars.
_LISTS: Final = ("tolist", "to_list")
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def plain(given: Any, argument: str, inside: frozenset[int] = frozenset()) -> Any:
    """Return what a value of numpy, pandas or polars holds, inside lists and dicts too; anything else as it is.

    Args:
        given: What the author gave.
        argument: Its name, for the error.
        inside: The lists and dicts around it. What is in itself, or too deep, is refused later.

    Raises:
        InvalidRequest: such a value cannot say what it holds.
    """
    kind = type(given)
    if kind in _PLAIN or isinstance(given, type) or id(given) in inside or len(inside) > MAX_JSON_DEPTH:
        return given
    within = inside | {id(given)}
    if kind in (list, tuple):
        return kind(plain(each, argument, within) for each in given)
    if kind is dict:
        return {name: plain(each, argument, within) for name, each in given.items()}
    for name in _LISTS:
        if callable(method := getattr(given, name, None)):
            try:
                return method()
            except Exception as error:  # whatever that library raises
                raise InvalidRequest(f"{argument}: {kind.__name__} cannot be read: {error}") from error
    return given
