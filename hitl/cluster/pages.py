"""Lists come in pages: of as many objects as pay, and never of more bytes than the memory bears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from hitl.cluster.body import Object
from hitl.cluster.replies import parsed_list
from hitl.cluster.transport import AnswerTooLarge

# Objects in a page. The first is client-go's: of 100,000, each page takes the API server 30 ms, however small.
_SIZES: Final = (500, 100, 20, 4, 1)
# An object may take over a MiB, as nothing bounds the JSON Schema in it: CEL cannot see inside. In memory, that is
# up to 28 times as much while a page is read. So a page of more bytes is asked for again, in smaller ones.
_MOST_BYTES: Final = 4 * 2**20


async def pages(
    ask: Callable[[Mapping[str, str], int | None], Awaitable[bytes]], query: Mapping[str, str]
) -> AsyncIterator[tuple[list[Object], str]]:
    """Yield pages of objects, each with the version of the whole list.

    Args:
        ask: Asks for a page by its query; raises `AnswerTooLarge` when it has more bytes than the second argument.
        query: What is asked for in each page.

    Raises:
        ClusterError: as `ask` does.
    """
    following, at = "", 0
    while True:
        limit, last = _SIZES[at], at == len(_SIZES) - 1
        page_query = {**query, "limit": str(limit), **({"continue": following} if following else {})}
        try:
            data = await ask(page_query, None if last else _MOST_BYTES)
        except AnswerTooLarge:
            at += 1
            continue
        if at and len(data) * _SIZES[at - 1] <= _MOST_BYTES * limit:
            at -= 1
        found, metadata = parsed_list(data)
        yield found, metadata.get("resourceVersion", "")
        if not (following := metadata.get("continue", "")):
            return
