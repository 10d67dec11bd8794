"""Two operations of a store: at once where they go over a network, one after the other where they do not."""

import asyncio
from pathlib import Path

import pytest

from hitl.errors import StorageUnavailable
from hitl.storage import Store


@pytest.fixture(params=["s3://bucket", "memory://both", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that is never asked for anything."""
    return Store(str(tmp_path) if request.param == "folder" else request.param)


async def test_both_results_come_in_order_and_only_a_network_has_them_at_once(store: Store) -> None:
    second_began = asyncio.Event()
    seen: list[bool] = []

    async def first() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append(second_began.is_set())
        return 1

    async def second() -> str:
        second_began.set()
        return "2"

    assert await store.both(first(), second()) == (1, "2")
    assert seen == [store.side_by_side] == [store.url.startswith("s3:")]


async def test_after_an_error_nothing_goes_on(store: Store) -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise StorageUnavailable("away")

    async def goes_on() -> None:
        await asyncio.sleep(0)
        ended.append("second")

    with pytest.raises(StorageUnavailable, match="away"):
        await store.both(fails(), goes_on())
    assert ended == (["second"] if store.side_by_side else [])
    with pytest.raises(StorageUnavailable, match="away"):
        await store.both(goes_on(), fails())
