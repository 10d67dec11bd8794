"""Each web app of a root is told of what is new, and one that does not answer keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from pydantic import ValidationError

from hitl_operator import webapp_hints
from hitl_operator.settings import RootSettings
from hitl_operator.webapp_hints import WebAppHints, addresses_of
from tests.backends.processes import PATIENCE, free_ports

NAME = "hitl-webapp-pods.hitl.svc"


class Pod:
    """A stand-in for a web app's pod, which notes what it is told; or hangs, or is busy for some hints."""

    def __init__(self, address: str, *, hangs: bool = False, busy: int = 0) -> None:
        self.address = address
        self.asked = 0
        self.told: list[str] = []
        self.hosts: set[str] = set()
        self._hangs = hangs
        self._busy = busy

    async def _hint(self, request: web.Request) -> web.Response:
        if self._hangs:
            await asyncio.sleep(PATIENCE)
        self.asked += 1
        if self.asked <= self._busy:
            return web.Response(status=503)
        self.told.append(request.match_info["request_id"])
        self.hosts.add(request.headers["Host"])
        return web.Response(status=202)

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/hints/{request_id}", self._hint)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.address, port).start()
        try:
            yield
        finally:
            await runner.cleanup()


async def until(pod: Pod, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(pod.told) < count:
            await asyncio.sleep(0.01)


async def test_every_pod_is_told_beside_one_that_hangs_and_one_that_is_gone() -> None:
    [port] = free_ports(1)
    pods = [Pod("127.0.0.1"), Pod("127.0.0.2"), Pod("127.0.0.3", hangs=True)]
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, given: int) -> Sequence[str]:
        """The cluster's DNS, which is a fake here."""
        asked.append((host, given))
        return ["127.0.0.4", *(pod.address for pod in pods)]

    url = f"http://{NAME}:{port}"
    roots = [RootSettings(url="s3://a/b", webapp_url=url), RootSettings(name="other", url="s3://a/c")]
    hints = WebAppHints(roots, resolve)
    async with pods[0].serving(port), pods[1].serving(port), pods[2].serving(port), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hints.run())
        for each in ("one", "two", "one"):
            hints.tell("default", each)
        hints.tell("other", "untold")
        for pod in pods[:2]:
            await until(pod, 2)
            assert sorted(pod.told) == ["one", "two"]
        # More than inboxes would take: the first ones count, and nothing piles up.
        for number in range(5_000):
            hints.tell("default", f"many-{number}")
        for pod in pods[:2]:
            await until(pod, 4)
        running.cancel()

    assert pods[0].hosts == {f"{NAME}:{port}"}
    assert set(asked) == {(NAME, port)}
    assert len(set(pods[0].told)) <= 502
    assert "untold" not in pods[0].told


async def test_what_a_web_app_did_not_take_is_sent_again_to_that_one_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webapp_hints, "_AGAIN_SECONDS", 0.01)
    [port] = free_ports(1)
    pods = [Pod("127.0.0.1"), Pod("127.0.0.2", busy=1), Pod("127.0.0.3", busy=10)]
    resolved: list[str] = []

    async def resolve(host: str, given: int) -> Sequence[str]:
        """The cluster's DNS, which is a fake here: it is slow at first."""
        resolved.append(host)
        if len(resolved) == 1:
            raise TimeoutError
        return [pod.address for pod in pods]

    hints = WebAppHints([RootSettings(url="s3://a/b", webapp_url=f"http://{NAME}:{port}")], resolve)
    async with AsyncExitStack() as stack:
        for pod in pods:
            await stack.enter_async_context(pod.serving(port))
        running = asyncio.create_task(hints.run())
        hints.tell("default", "first")
        await until(pods[1], 1)
        hints.tell("default", "second")
        await until(pods[1], 2)
        for pod in pods[:2]:
            assert pod.told == ["first", "second"]
        async with asyncio.timeout(PATIENCE):
            while pods[2].asked < 5:
                await asyncio.sleep(0.01)
        running.cancel()

    # The first one was tried once without an address.
    assert (pods[2].asked, pods[2].told) == (5, [])


async def test_a_name_without_pods_tells_nobody() -> None:
    gone = asyncio.Event()

    async def resolve(host: str, port: int) -> Sequence[str]:
        gone.set()
        return await addresses_of(host, port)

    hints = WebAppHints([RootSettings(url="s3://a/b", webapp_url="http://no-such-name.invalid:80")], resolve)
    running = asyncio.create_task(hints.run())
    hints.tell("default", "one")
    async with asyncio.timeout(PATIENCE):
        await gone.wait()
    assert not running.done()
    running.cancel()


async def test_a_fault_with_one_round_of_hints_ends_neither_the_next_nor_the_operator() -> None:
    [port] = free_ports(1)
    pod, asked = Pod("127.0.0.1"), asyncio.Event()

    async def resolve(host: str, given: int) -> Sequence[str]:
        """The cluster's DNS, which is a fake here: it fails at first, as nobody expects it to."""
        if not asked.is_set():
            asked.set()
            raise UnicodeError("label empty or too long")
        return [pod.address]

    hints = WebAppHints([RootSettings(url="s3://a/b", webapp_url=f"http://{NAME}:{port}")], resolve)
    async with pod.serving(port):
        running = asyncio.create_task(hints.run())
        hints.tell("default", "lost")
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        hints.tell("default", "told")
        await until(pod, 1)
        assert pod.told == ["told"]
        running.cancel()


@pytest.mark.parametrize(
    "url",
    [
        *("https://a", "a:80", "http://", "http://a b", "http://u@a", "http://a/?q"),
        *("http://a:8O80", "http://a:99999", "http://a:0", "http://:80", "http://a..b:80", "http://[::1:80"),
        f"http://{'a' * 64}:80",
    ],
)
def test_an_address_that_cannot_be_told_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValidationError, match="webapp_url"):
        RootSettings(url="s3://a/b", webapp_url=url)


@pytest.mark.parametrize(
    "url", ["", "http://a", "http://a.b.svc:8080", "http://a.b.svc.:8080/x", "http://[::1]:80"]
)
def test_an_address_that_can_be_told_is_taken(url: str) -> None:
    assert RootSettings(url="s3://a/b", webapp_url=url).webapp_url == url
