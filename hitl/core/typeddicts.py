"""`typing.TypedDict`, which pydantic takes from Python 3.12 on.

Before, it misses what the bases of such a class were, which it needs for validators only. So each is built again,
as the TypedDict of typing_extensions that says the same. A value of either is a plain dict.
"""

from __future__ import annotations

import sys
import types
import typing
from typing import Annotated, Any, Final

import typing_extensions

_COPIED: Final = ("__doc__", "__module__", "__parameters__", "__pydantic_config__", "__qualname__")


def readable(data_type: Any) -> Any:
    """Return a type with each `typing.TypedDict` inside it, as a type that pydantic takes.

    What models, dataclasses and named tuples hold stays as it is: pydantic reads their parts itself.

    Raises:
        NameError: when a part is the name of nothing.
    """
    return data_type if sys.version_info >= (3, 12) else _rebuilt(data_type, {})


def _rebuilt(part: Any, built: dict[Any, Any]) -> Any:
    if isinstance(part, type) and not typing.get_args(part):
        return _typed_dict(part, built) if typing.is_typeddict(part) else part
    origin, arguments = typing.get_origin(part), typing.get_args(part)
    if origin is None or origin is typing.Literal or not arguments:
        return part
    if origin is Annotated:
        arguments = (part.__origin__,)
    inside = tuple(_rebuilt(each, built) for each in arguments)
    if typing.is_typeddict(origin) and (made := _typed_dict(origin, built)) is not origin:
        return types.GenericAlias(made, inside)
    if all(new is old for new, old in zip(inside, arguments, strict=True)):
        return part
    if origin is Annotated:
        return Annotated[(inside[0], *part.__metadata__)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[inside]  # noqa: UP007 - they are known only now
    return part.copy_with(inside) if hasattr(part, "copy_with") else types.GenericAlias(origin, inside)


def _typed_dict(kind: Any, built: dict[Any, Any]) -> Any:
    if type(kind).__module__ != "typing":
        return kind
    if kind not in built:
        # Known before its parts are: it may hold itself.
        made = built[kind] = typing_extensions.TypedDict(kind.__name__, {})  # type: ignore[operator]  # its name is known only now
        for name in _COPIED:
            if hasattr(kind, name):
                setattr(made, name, getattr(kind, name))
        hints = typing.get_type_hints(kind, include_extras=True)
        made.__annotations__ = {name: _rebuilt(hint, built) for name, hint in hints.items()}
        # Pydantic looks at Required and NotRequired in the hints, too.
        made.__required_keys__ = kind.__required_keys__
    return built[kind]
