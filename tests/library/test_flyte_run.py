"""The example for a Flyte cluster, by Flyte's own command and entry point, on a stand-in for its control plane.

Its containers are processes of this machine. tests/e2e runs the same in pods, with the example's image.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flyteidl2.common import phase_pb2  # type: ignore[import-untyped]  # has no types

from hitl.records.requests import read_outcome, read_request
from hitl.storage import Store
from tests.backends.plugin import Backend as Root
from tests.backends.processes import PATIENCE, free_ports
from tests.library.flyte_backend import ENDED, Backend, Container
from tests.library.flyte_example import SCRIPTS, Author
from tests.library.flyte_services import serving
from tests.library.samples import answer, settle

IMAGE = "registry.example.org/hitl-flyte:1"


class Processes:
    """Runs each container as a process, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.images: list[str] = []

    def log(self, name: str) -> str:
        """Return what a container printed."""
        return (self._folder / name / "log").read_text()

    def start(self, container: Container) -> None:
        place = self._folder / container.name
        place.mkdir(parents=True)
        self.images.append(container.image)
        environment = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(place), **container.environment}
        with (place / "log").open("wb") as log:
            self._running[container.name] = subprocess.Popen(
                container.arguments, cwd=place, env=environment, stdout=log, stderr=log
            )

    def has_ended(self, name: str) -> bool:
        return self._running[name].poll() is not None

    def stop(self, name: str) -> None:
        self._running[name].terminate()

    def until_ended(self, name: str) -> None:
        """Wait for the end of one."""
        self._running[name].wait(PATIENCE)

    def kill(self) -> None:
        """End them all."""
        for each in self._running.values():
            each.kill()
            each.wait()


class Platform:
    """A Flyte platform, with what its admin has set, and an author."""

    def __init__(self, folder: Path, root: Root) -> None:
        bucket, _, _ = root.url.removeprefix("s3://").partition("/")
        self.root = Store(f"{root.url}/hitl", root.options)
        defaults = {
            "HITL_SERVE": "operator",
            "HITL_STORAGE_ROOT": self.root.url,
            "HITL_ENDPOINT": "http://forms.test",
            "HITL_NAMESPACE": "flyte",
        }
        self._folder = folder
        self.processes = Processes(folder / "containers")
        self.backend = Backend(bucket, root.options, self.processes, defaults)

    async def author(self, *command: str) -> None:
        """Run one of Flyte's commands as an author."""
        place = self._folder / f"example-{len(list(self._folder.iterdir()))}"
        author = Author(place, self.backend.url, IMAGE, "shop", "development")
        await asyncio.to_thread(author.run, *command)

    async def question(self) -> str:
        """Wait for the question; return its id."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await self.root.list_request_ids()):
                await asyncio.sleep(0.1)
        return found[0]

    async def ended(self, run: str) -> Any:
        """Wait for the end of a run; return its first action."""
        action = self.backend.actions[run, "a0"]
        async with asyncio.timeout(PATIENCE):
            while action.phase not in ENDED:
                await asyncio.sleep(0.1)
        return action


@pytest.fixture
def platform(s3_backend: Root, tmp_path: Path) -> Iterator[Platform]:
    found = Platform(tmp_path, s3_backend)
    with serving(found.backend, "127.0.0.1", free_ports(1)[0]):
        yield found
        found.processes.kill()


@pytest.mark.parametrize(
    "commands",
    [
        ["flyte run ask.py ask_for_number"],
        ["flyte deploy ask.py task_env", "flyte run deployed-task hitl-example.ask_for_number"],
    ],
    ids=["run", "deployed"],
)
async def test_the_example_is_run_and_returns_its_answer(platform: Platform, commands: list[str]) -> None:
    for command in commands:
        await platform.author(*command.split())
    request_id = await platform.question()
    [run] = {run for run, _ in platform.backend.actions}
    request = await read_request(platform.root, request_id)
    origin = request.document.origin
    assert (origin.project, origin.domain, origin.namespace) == ("shop", "development", "flyte")
    assert (origin.run, origin.action, origin.local) == (run, "a0", False)
    await settle(platform.root, request, answer("42"), now=datetime.now(UTC), markers=True)

    action = await platform.ended(run)

    assert action.phase == phase_pb2.ACTION_PHASE_SUCCEEDED, platform.processes.log(action.container)
    assert await platform.backend.returned(action) == 42
    # The image as it is, in the task that shows the link too: nothing was built.
    assert {*platform.processes.images} == {IMAGE}


async def test_an_aborted_run_ends_its_containers_and_not_its_question(platform: Platform) -> None:
    await platform.author("flyte", "run", "--name", "over", "ask.py", "ask_for_number")
    request_id = await platform.question()

    await platform.author("flyte", "abort", "run", "over")

    action = await platform.ended("over")
    assert action.phase == phase_pb2.ACTION_PHASE_ABORTED
    await asyncio.to_thread(platform.processes.until_ended, action.container)
    # The operator ends it, as it sees Flyte's own objects: tests/cluster/test_ended_runs.py.
    assert await read_outcome(platform.root, request_id) is None
