"""A watch goes on whatever comes by it: errors, broken objects, the end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hitl.cluster.client import HUMAN_INPUTS, Object, Resource
from hitl.errors import ClusterForbidden, ClusterUnavailable
from hitl_operator import watcher
from hitl_operator.watcher import Watching
from tests.backends.processes import PATIENCE

Step = Object | Exception | Callable[[], Awaitable[None]]


def _object(name: str, version: int) -> Object:
    return {"metadata": {"namespace": "team", "name": name, "resourceVersion": str(version)}}


def _event(change: str, name: str, version: int) -> Object:
    return {"type": change, "object": _object(name, version)}


_GONE: Object = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
_BROKEN: Object = {"type": "ERROR", "object": {"code": 500, "message": "etcd says no"}}
_BOOKMARK = _event("BOOKMARK", "", 9)


class _Kube:
    """Plays what a test wrote: lists, and watches that end with their script."""

    def __init__(self, lists: list[list[Object] | Exception], watches: list[list[Step]]) -> None:
        self.lists, self.watches = lists, watches
        self.listed = 0
        self.since: list[str] = []
        self.done = asyncio.Event()
        self.at_the_end: Callable[[], None] | None = None

    async def pages(self, resource: Resource, namespace: str | None) -> AsyncIterator[tuple[list[Object], str]]:
        if resource is not HUMAN_INPUTS:
            await asyncio.Event().wait()
        self.listed += 1
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(found, Exception):
            raise found
        yield found, str(20 * self.listed - 15)

    async def watch(
        self, resource: Resource, namespace: str | None, since: str, *, opened: Callable[[], None], **_: Any
    ) -> AsyncGenerator[Object, None]:
        self.since.append(since)
        if not self.watches:
            self.done.set()
            try:
                await asyncio.Event().wait()
            finally:
                if self.at_the_end is not None:
                    self.at_the_end()
        opened()
        for step in self.watches.pop(0):
            if isinstance(step, Exception):
                raise step
            if callable(step):
                await step()
            else:
                yield step


class _Seen:
    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self.lists: list[set[tuple[str, str]]] = []
        self.poison = ""

    def changed(self, kind: str, change: str, content: Object) -> None:
        name = content["metadata"]["name"]
        if name == self.poison:
            raise KeyError(name)
        self.changes.append((change, name))

    def listed(self, kind: str, namespace: str | None, found: set[tuple[str, str]]) -> None:
        self.lists.append(found)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> _Seen:
    monkeypatch.setattr(watcher, "_FIRST_PAUSE_SECONDS", 0.001)
    return _Seen()


async def _play(kube: _Kube, seen: _Seen) -> Watching:
    watching = Watching(kube, (), seen.changed, seen.listed)  # type: ignore[arg-type]  # only what it calls
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    running.cancel()
    return watching


async def test_it_lists_and_then_follows_from_there_over_the_ends_of_watches(seen: _Seen) -> None:
    kube = _Kube([[_object("a", 1)]], [[_event("ADDED", "b", 6), _BOOKMARK], [_event("DELETED", "a", 11)]])
    await _play(kube, seen)
    assert seen.changes == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    assert kube.since == ["5", "9", "11"]
    assert seen.lists == [{("team", "a")}]


@pytest.mark.parametrize("error", [_BROKEN, ClusterUnavailable("cut"), ClusterForbidden("no"), OSError("?")])
async def test_a_watch_that_breaks_goes_on(seen: _Seen, error: Object | Exception) -> None:
    kube = _Kube([[]], [[_event("ADDED", "a", 6), error], [_event("ADDED", "b", 7)]])
    watching = await _play(kube, seen)
    assert [name for _, name in seen.changes] == ["a", "b"]
    assert watching.sights[0].trouble == ""


async def test_what_the_api_server_has_forgotten_is_listed_again(seen: _Seen) -> None:
    kube = _Kube([[_object("a", 1)], [_object("b", 2)]], [[_GONE], []])
    await _play(kube, seen)
    assert [name for _, name in seen.changes] == ["a", "b"]
    assert seen.lists == [{("team", "a")}, {("team", "b")}]


@pytest.mark.parametrize("step", [[_GONE], []])
async def test_watches_that_end_at_once_are_begun_ever_more_slowly(
    seen: _Seen, monkeypatch: pytest.MonkeyPatch, step: list[Step]
) -> None:
    monkeypatch.setattr(watcher, "_FIRST_PAUSE_SECONDS", 0.01)
    # As by an API server that forgets at once what it listed, or a proxy that ends what is silent.
    kube = _Kube([[_object("a", 1)]], [list(step) for _ in range(1_000)])
    watching = Watching(kube, (), seen.changed, seen.listed)  # type: ignore[arg-type]  # only what it calls
    running = asyncio.create_task(watching.run())
    await asyncio.sleep(1)
    running.cancel()
    assert len(kube.since) <= 10
    # What happened meanwhile is seen all the same.
    assert kube.listed >= 2


async def test_what_breaks_again_and_again_is_listed_again(seen: _Seen) -> None:
    kube = _Kube([[]], [[_BROKEN], [_BROKEN], [_BROKEN], []])
    await _play(kube, seen)
    assert kube.listed >= 2


async def test_lists_that_fail_are_tried_again(seen: _Seen) -> None:
    kube = _Kube([ClusterForbidden("no"), ClusterUnavailable("away"), [_object("a", 1)]], [])
    await _play(kube, seen)
    assert seen.changes == [("ADDED", "a")]


async def test_one_object_that_we_cannot_take_hides_no_other(seen: _Seen) -> None:
    seen.poison = "poison"
    listed = [_object(name, 1) for name in ("a", "poison", "b")]
    kube = _Kube([listed], [[_event("MODIFIED", name, 7) for name in ("poison", "c")]])
    await _play(kube, seen)
    assert [name for _, name in seen.changes] == ["a", "b", "c"]
    assert (kube.listed, kube.since[0]) == (1, "5")


async def test_looking_again_lists_again_while_it_follows_and_while_it_lists(seen: _Seen) -> None:
    kube = _Kube([[_object("a", 1)]], [])
    watching = Watching(kube, (), seen.changed, seen.listed)  # type: ignore[arg-type]  # only what it calls
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    kube.done.clear()
    # Somebody says so again while the watch is being cut.
    kube.at_the_end = watching.look_again
    watching.look_again()
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    assert (kube.listed, watching.sights[0].trouble) == (2, "")
    kube.at_the_end = None
    running.cancel()

    kube = _Kube([[_object("a", 1)]], [])
    again = _Seen()
    watching = Watching(
        kube,  # type: ignore[arg-type]  # only what it calls
        (),
        lambda kind, change, content: watching.look_again() if kube.listed == 1 else None,
        again.listed,
    )
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    assert kube.listed == 2, "the list that was under way began too early"
    running.cancel()


async def test_looking_again_misses_no_deletion(seen: _Seen) -> None:
    async def cut() -> None:
        watching.look_again()
        await asyncio.Event().wait()

    # Deleted between the cut and the list, which cannot tell that from one that nobody saw.
    kube = _Kube(
        [[_object("a", 1)], ClusterUnavailable("busy"), []],
        [[_event("MODIFIED", "a", 7), cut], [_event("DELETED", "a", 8)]],
    )
    watching = Watching(kube, (), seen.changed, seen.listed)  # type: ignore[arg-type]  # only what it calls
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    running.cancel()
    assert seen.lists == [{("team", "a")}, set()]
    assert kube.since == ["5", "7", "8"], "the watch goes on where it was cut, not at the list's version"


async def test_looking_again_goes_on_until_all_was_listed(seen: _Seen) -> None:
    kube = _Kube([[_object("a", 1)]], [])
    watching = Watching(kube, (), seen.changed, seen.listed)  # type: ignore[arg-type]  # only what it calls
    running = asyncio.create_task(watching.run())
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    kube.done.clear()
    # As after a change of the Lease: the first page of what was gained is refused once.
    kube.lists = [ClusterUnavailable("busy"), [_object("a", 1), _object("b", 2)]]
    watching.look_again()
    await asyncio.wait_for(kube.done.wait(), PATIENCE)
    assert seen.lists == [{("team", "a")}, {("team", "a"), ("team", "b")}]
    running.cancel()


async def test_all_is_known_once_each_namespace_was_listed_or_cannot_be(
    seen: _Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube, listed = _Kube([[_object("a", 1)]], []), asyncio.Event()
    pages = kube.pages

    async def by_namespace(resource: Resource, namespace: str | None) -> AsyncIterator[tuple[list[Object], str]]:
        if namespace == "slow":
            await listed.wait()
        elif namespace == "forbidden" and resource is HUMAN_INPUTS:
            raise ClusterForbidden("no")
        async for page in pages(resource, namespace):
            yield page

    kube.pages = by_namespace  # type: ignore[method-assign]  # part of the script
    namespaces = ("seen", "slow", "forbidden")
    watching = Watching(kube, namespaces, seen.changed, seen.listed)  # type: ignore[arg-type]  # as above
    running = asyncio.create_task(watching.run())
    [*_, forbidden] = [each for each in watching.sights if each.kind == HUMAN_INPUTS.kind]
    async with asyncio.timeout(PATIENCE):
        await kube.done.wait()
        assert not watching.complete
        kube.done.clear()
        listed.set()
        await kube.done.wait()
        while not forbidden.trouble:
            await asyncio.sleep(0.001)
    assert not watching.complete, "it may be refused for a moment"
    monkeypatch.setattr(watcher, "_FIRST_LIST_SECONDS", 0.0)
    assert watching.complete
    running.cancel()


async def test_nothing_is_known_while_nothing_was_listed(seen: _Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_FIRST_LIST_SECONDS", 0.0)
    watching = Watching(
        _Kube([ClusterForbidden("no")], []),  # type: ignore[arg-type]  # only what it calls
        (),
        seen.changed,
        seen.listed,
    )
    running = asyncio.create_task(watching.run())
    async with asyncio.timeout(PATIENCE):
        while not watching.sights[0].trouble:
            await asyncio.sleep(0.001)
    assert watching.sights[0].out
    assert not watching.complete
    running.cancel()
