"""How the functions of authors are called, for type checkers: what they return depends on the data type."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, Protocol, TypeVar, Unpack, overload

from hitl.author.options import AskOptions

V = TypeVar("V")


class Ask(Protocol):
    """How `ask` is called, and what it returns.

    Type checkers know no type for what is no class, such as ``int | None`` or a ``Literal``: then it is Any.
    """

    @overload
    def __call__(self, prompt: str, **options: Unpack[AskOptions]) -> str: ...

    @overload
    def __call__(self, prompt: str, *, multiple: Literal[True], **options: Unpack[AskOptions]) -> list[str]: ...

    @overload
    def __call__(self, prompt: str, data_type: Literal["int"], **options: Unpack[AskOptions]) -> int: ...

    @overload
    def __call__(self, prompt: str, data_type: Literal["float"], **options: Unpack[AskOptions]) -> float: ...

    @overload
    def __call__(self, prompt: str, data_type: Literal["bool"], **options: Unpack[AskOptions]) -> bool: ...

    @overload
    def __call__(self, prompt: str, data_type: Literal["str"], **options: Unpack[AskOptions]) -> str: ...

    @overload
    def __call__(self, prompt: str, data_type: Literal["json"], **options: Unpack[AskOptions]) -> Any: ...

    @overload
    def __call__(self, prompt: str, data_type: None, **options: Unpack[AskOptions]) -> None: ...

    @overload
    def __call__(self, prompt: str, data_type: type[V], **options: Unpack[AskOptions]) -> V: ...

    @overload
    def __call__(
        self, prompt: str, data_type: type[V], *, multiple: Literal[True], **options: Unpack[AskOptions]
    ) -> list[V]: ...

    @overload
    def __call__(
        self, prompt: str, data_type: Any, *, multiple: bool = ..., **options: Unpack[AskOptions]
    ) -> Any: ...

    @overload
    def aio(self, prompt: str, **options: Unpack[AskOptions]) -> Awaitable[str]: ...

    @overload
    def aio(
        self, prompt: str, *, multiple: Literal[True], **options: Unpack[AskOptions]
    ) -> Awaitable[list[str]]: ...

    @overload
    def aio(self, prompt: str, data_type: Literal["int"], **options: Unpack[AskOptions]) -> Awaitable[int]: ...

    @overload
    def aio(self, prompt: str, data_type: Literal["float"], **options: Unpack[AskOptions]) -> Awaitable[float]: ...

    @overload
    def aio(self, prompt: str, data_type: Literal["bool"], **options: Unpack[AskOptions]) -> Awaitable[bool]: ...

    @overload
    def aio(self, prompt: str, data_type: Literal["str"], **options: Unpack[AskOptions]) -> Awaitable[str]: ...

    @overload
    def aio(self, prompt: str, data_type: Literal["json"], **options: Unpack[AskOptions]) -> Awaitable[Any]: ...

    @overload
    def aio(self, prompt: str, data_type: None, **options: Unpack[AskOptions]) -> Awaitable[None]: ...

    @overload
    def aio(self, prompt: str, data_type: type[V], **options: Unpack[AskOptions]) -> Awaitable[V]: ...

    @overload
    def aio(
        self, prompt: str, data_type: type[V], *, multiple: Literal[True], **options: Unpack[AskOptions]
    ) -> Awaitable[list[V]]: ...

    @overload
    def aio(
        self, prompt: str, data_type: Any, *, multiple: bool = ..., **options: Unpack[AskOptions]
    ) -> Awaitable[Any]: ...
