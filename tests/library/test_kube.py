"""How the API server is reached."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from hitl.cluster.client import HUMAN_INPUTS, LEASES, Kube
from hitl.cluster.replies import KindNotServed
from hitl.errors import ClusterNotFound, ClusterUnavailable
from tests.backends.processes import PATIENCE


@pytest.mark.parametrize("written", ["Bearer t0ken", "bearer t0ken", "t0ken"])
async def test_a_token_is_handed_on_without_its_scheme(written: str) -> None:
    configuration = Configuration()
    # A pod's own credentials write it in small letters, a kubeconfig's in others.
    configuration.api_key["BearerToken"] = written

    async with Kube(configuration, "default") as kube:
        connection = await kube.connection()

    assert connection.token == "t0ken"


async def test_without_a_token_there_is_none() -> None:
    async with Kube(Configuration(), "default") as kube:
        assert (await kube.connection()).token is None


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """An address where every request is answered with an object, and those that came."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"kind": "HumanInput", "metadata": {}})

    runner = web.AppRunner(app := web.Application())
    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", seen
    await runner.cleanup()


async def asked(host: str) -> None:
    configuration = Configuration(host=host)
    configuration.api_key["BearerToken"] = "t0ken"
    async with Kube(configuration, "default") as kube:
        assert await kube.get(HUMAN_INPUTS, "ship-it", "team") == {"kind": "HumanInput", "metadata": {}}


async def test_a_token_is_sent_whatever_netrc_says(
    server: tuple[str, list[web.Request]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, seen = server
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    await asked(url)

    [request] = seen
    assert request.headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(("bypassed", "through"), [("", True), ("api.test", False)])
async def test_the_proxy_of_the_environment_is_used_but_for_what_it_leaves_out(
    server: tuple[str, list[web.Request]], monkeypatch: pytest.MonkeyPatch, bypassed: str, through: bool
) -> None:
    url, seen = server
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.setenv("no_proxy", bypassed)

    if through:
        await asked("http://api.test")
        assert [str(each.url) for each in seen] == [
            "http://api.test/apis/hitl.flyte.org/v1alpha1/namespaces/team/humaninputs/ship-it"
        ]
    else:
        with pytest.raises(ClusterUnavailable):
            await asked("http://api.test")
        assert seen == []


async def test_a_lease_waits_behind_nothing_that_hangs() -> None:
    hang, hanging = asyncio.Event(), asyncio.Semaphore(0)

    async def answer(request: web.Request) -> web.Response:
        if "humaninputs" in request.path:
            hanging.release()
            await hang.wait()
        return web.json_response({"kind": "Lease", "metadata": {}})

    runner = web.AppRunner(app := web.Application())
    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    content = {"metadata": {"name": "ship-it", "namespace": "team"}}
    async with Kube(Configuration(host=f"http://{host}:{port}"), "default") as kube, asyncio.TaskGroup() as tasks:
        for _ in range(100):
            tasks.create_task(kube.apply(HUMAN_INPUTS, content, manager="test"))
        # As many as may be on their way.
        for _ in range(48):
            await asyncio.wait_for(hanging.acquire(), PATIENCE)
        async with asyncio.timeout(5):
            assert await kube.get(LEASES, "operator", "system") == {"kind": "Lease", "metadata": {}}
        hang.set()
    await runner.cleanup()


@pytest.mark.parametrize("said", [{"type": "about:blank", "title": "back soon"}, {"kind": "Notice"}])
async def test_json_of_a_proxy_is_no_object(said: dict[str, str]) -> None:
    # What a Lease says would be read from it, which ended the operator.
    runner = web.AppRunner(app := web.Application())

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(said)

    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with Kube(Configuration(host=f"http://{host}:{port}"), "default") as kube:
        with pytest.raises(ClusterUnavailable, match="sent no object"):
            await kube.get(LEASES, "operator", "system")
    await runner.cleanup()


async def test_where_a_kind_is_not_served_no_object_is_missing() -> None:
    runner = web.AppRunner(app := web.Application())

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=404, text="404 page not found\n")

    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with Kube(Configuration(host=f"http://{host}:{port}"), "default") as kube:
        for asking in (kube.get, kube.delete):
            with pytest.raises(KindNotServed) as raised:
                await asking(HUMAN_INPUTS, "ship-it", "team")
            assert not isinstance(raised.value, ClusterNotFound)
        assert await kube.served(HUMAN_INPUTS.group, HUMAN_INPUTS.version) == []
        assert not await kube.keeps(HUMAN_INPUTS)
    await runner.cleanup()
