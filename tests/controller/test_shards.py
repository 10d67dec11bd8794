"""Shares of the work even out, and every part has somebody after a while."""

from collections import Counter

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration

from hitl.cluster.client import Kube, Object
from hitl.errors import ClusterConflict
from hitl_operator.leader import LEASE_SECONDS, RENEW_SECONDS
from hitl_operator.shards import Shards, lease_names, shard_of


class _Leases:
    """Keeps Leases as the API server does: a change needs the version that it was made from."""

    def __init__(self) -> None:
        self.stored: dict[str, Object] = {}
        self._version = 0

    async def get(self, _: object, name: str, namespace: str) -> Object | None:
        found = self.stored.get(name)
        return None if found is None else {"metadata": dict(found["metadata"]), "spec": dict(found["spec"])}

    async def create(self, _: object, content: Object) -> None:
        if content["metadata"]["name"] in self.stored:
            raise ClusterConflict("there is one")
        self._put(content)

    async def replace(self, _: object, content: Object) -> None:
        there = self.stored[content["metadata"]["name"]]
        if there["metadata"]["version"] != content["metadata"]["version"]:
            raise ClusterConflict("it was changed")
        self._put(content)

    def _put(self, content: Object) -> None:
        self._version += 1
        metadata = {**content["metadata"], "version": self._version}
        self.stored[metadata["name"]] = {"metadata": metadata, "spec": dict(content["spec"])}


class _Cluster:
    """Operators that share Leases, on one clock."""

    def __init__(self, count: int) -> None:
        self.now = 1000.0
        self._count = count
        self._leases = _Leases()
        self._made = 0
        self.operators: dict[str, Shards] = {}
        self.held: dict[str, set[int]] = {}

    def start(self) -> str:
        self._made += 1
        name = f"operator-{self._made}"
        held = self.held[name] = set()

        def changed(gained: set[int], lost: set[int]) -> None:
            held.difference_update(lost)
            held.update(gained)

        self.operators[name] = Shards(
            self._leases,  # type: ignore[arg-type]  # only what it calls
            "lease",
            self._count,
            "here",
            "",
            name,
            changed,
            lambda: self.now,
        )
        return name

    def kill(self, name: str) -> None:
        del self.operators[name], self.held[name]

    async def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            for each in list(self.operators.values()):
                await each._round()
            self.assert_nobody_shares()
            self.now += RENEW_SECONDS

    def assert_nobody_shares(self) -> None:
        counts = Counter(part for held in self.held.values() for part in held)
        assert all(count == 1 for count in counts.values()), self.held


@given(
    count=st.integers(1, 8),
    steps=st.lists(st.one_of(st.just("start"), st.integers(0, 7), st.floats(0, 60)), max_size=12),
)
async def test_every_part_has_one_operator_and_shares_even_out(count: int, steps: list[str | int | float]) -> None:
    cluster = _Cluster(count)
    cluster.start()
    for step in steps:
        if step == "start":
            cluster.start()
        elif isinstance(step, int):
            if len(cluster.operators) > 1:
                cluster.kill(sorted(cluster.operators)[step % len(cluster.operators)])
        else:
            await cluster.pass_by(float(step))
    await cluster.pass_by(LEASE_SECONDS * 4 + RENEW_SECONDS * 8 * count)
    shares = sorted(len(held) for held in cluster.held.values())
    assert sum(shares) == count
    assert shares[-1] - shares[0] <= 1


async def test_what_is_given_up_at_the_end_is_taken_at_once() -> None:
    cluster = _Cluster(4)
    first = cluster.start()
    second = cluster.start()
    await cluster.pass_by(60)
    await cluster.operators[first].release()
    cluster.kill(first)
    await cluster.pass_by(2 * RENEW_SECONDS)
    assert cluster.held[second] == {0, 1, 2, 3}


def test_without_a_lease_one_does_all() -> None:
    told: list[tuple[set[int], set[int]]] = []
    alone = Shards(
        _Leases(),  # type: ignore[arg-type]  # only what it calls
        "",
        3,
        "here",
        "",
        "me",
        lambda gained, lost: told.append((gained, lost)),
    )
    assert all(alone.leads(f"team-{number}") for number in range(50))
    assert told == [({0, 1, 2}, set())]


@pytest.mark.parametrize(("name", "part"), [("team-a", 0), ("team-b", 2), ("default", 1)])
def test_a_name_belongs_to_the_same_part_in_every_release(name: str, part: int) -> None:
    assert shard_of(name, 4) == part


def test_leases_of_another_number_of_parts_are_others() -> None:
    assert lease_names("hitl", 1) == ["hitl"]
    assert lease_names("hitl", 2) == ["hitl-0-of-2", "hitl-1-of-2"]
    assert not set(lease_names("hitl", 2)) & set(lease_names("hitl", 3))


@pytest.mark.parametrize("text", ["{}", "null", '{"status": "ok"}', "<html></html>"])
async def test_what_a_proxy_says_in_the_place_of_a_lease_ends_no_operator(text: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    runner = web.AppRunner(app := web.Application())
    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Kube(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"), "default") as kube:
        shards = Shards(kube, "lease", 1, "default", "", "one", lambda _gained, _lost: None)
        await shards._round()
        assert not shards.leading
    await runner.cleanup()
