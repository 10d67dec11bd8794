"""A stand-in for Flyte 2's control plane, written from the published protos. It is not Flyte's backend.

It keeps everything in memory, and has an `Executor` run each action, with the arguments and the environment that
Flyte's executor gives. It knows no resources, no retries of Flyte's own and no users. `flyte_services` serves it.
"""

# mypy: disable-error-code="import-untyped, attr-defined"
# flyteidl2's messages are made at run time, and have no types.

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import obstore
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common import phase_pb2
from flyteidl2.task import common_pb2
from obstore.store import S3Store

ENDED: Final = {
    phase_pb2.ACTION_PHASE_SUCCEEDED,
    phase_pb2.ACTION_PHASE_FAILED,
    phase_pb2.ACTION_PHASE_ABORTED,
}
_TEMPLATE: Final = re.compile(r"{{\s*\.(\w+)\s*}}")


@dataclass(frozen=True)
class Container:
    """What an executor runs for one action."""

    name: str
    image: str
    arguments: list[str]
    environment: dict[str, str]


class Executor(Protocol):
    """Runs actions."""

    def start(self, container: Container) -> None:
        """Start one."""

    def has_ended(self, name: str) -> bool:
        """Tell whether one has ended, well or badly."""

    def stop(self, name: str) -> None:
        """End one that was aborted."""


@dataclass
class Action:
    """One action of a run: a task, or a trace inside it."""

    identifier: Any
    parent: str
    spec: Any
    inputs: str
    base: str
    phase: Any = phase_pb2.ACTION_PHASE_QUEUED
    outputs: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def run(self) -> str:
        return str(self.identifier.run.name)

    @property
    def name(self) -> str:
        return str(self.identifier.name)

    @property
    def container(self) -> str:
        return f"{self.run}-{self.name}-0".lower()

    @property
    def folder(self) -> str:
        return f"{self.base}/{self.name}/1"


class Backend:
    """The stand-in's state, and what it does with it.

    Args:
        bucket: Where inputs, code and outputs are.
        options: How to reach the bucket: what `hitl.storage.Store` takes.
        executor: Runs the actions.
        defaults: What the platform's admin has in the environment of each action.
    """

    def __init__(self, bucket: str, options: dict[str, Any], executor: Executor, defaults: dict[str, str]) -> None:
        self.url = ""
        self.bucket = bucket
        self.store = S3Store(
            bucket,
            endpoint=options["endpoint"],
            region="us-east-1",
            access_key_id=options["access_key_id"],
            secret_access_key=options["secret_access_key"],
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        self.actions: dict[tuple[str, str], Action] = {}
        self.tasks: dict[str, Any] = {}
        self._options, self._executor, self._defaults = options, executor, defaults
        self._changed = asyncio.Condition()
        self._following: set[asyncio.Task[None]] = set()

    def find(self, identifier: Any) -> Action:
        """Return an action.

        Raises:
            ConnectError: there is none.
        """
        found = self.actions.get((identifier.run.name, identifier.name))
        if found is None:
            raise ConnectError(Code.NOT_FOUND, f"there is no action {identifier.run.name}/{identifier.name}")
        return found

    async def start(self, action: Action) -> None:
        """Run a task, or note a trace."""
        if (action.run, action.name) in self.actions:
            raise ConnectError(Code.ALREADY_EXISTS, "there is such an action")
        self.actions[action.run, action.name] = action
        if action.phase in ENDED:
            await self._tell()
            return
        await asyncio.to_thread(self._executor.start, self._container(action))
        await self.move(action, phase_pb2.ACTION_PHASE_RUNNING)
        following = asyncio.create_task(self._follow(action))
        self._following.add(following)
        following.add_done_callback(self._following.discard)

    async def move(self, action: Action, phase: Any) -> None:
        """Move an action into a phase, unless it has ended."""
        if action.phase not in ENDED:
            action.phase = phase
            await self._tell()

    async def abort(self, action: Action) -> None:
        """End an action, and those that it has started."""
        for each in list(self.actions.values()):
            if (each.run, each.parent) == (action.run, action.name):
                await self.abort(each)
        running = action.phase not in ENDED
        await self.move(action, phase_pb2.ACTION_PHASE_ABORTED)
        if running:
            await asyncio.to_thread(self._executor.stop, action.container)

    async def changes(self) -> AsyncIterator[None]:
        """Yield at once, and then whenever something may have changed."""
        while True:
            yield
            async with self._changed:
                try:
                    async with asyncio.timeout(1):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def put(self, url: str, data: bytes) -> None:
        """Write an object."""
        await obstore.put_async(self.store, self._key(url), data)

    async def get(self, url: str) -> bytes:
        """Return an object; empty: there is none."""
        try:
            return bytes(await (await obstore.get_async(self.store, self._key(url))).bytes_async())
        except FileNotFoundError:
            return b""

    async def returned(self, action: Action) -> object:
        """Return what a task has returned: a number, or text."""
        outputs = common_pb2.Outputs.FromString(await self.get(f"{action.outputs}/outputs.pb"))
        primitive = outputs.literals[0].value.scalar.primitive
        found: object = getattr(primitive, primitive.WhichOneof("value"))
        return found

    def signed(self, method: Any, url: str) -> str:
        """Return an address with which anyone may read or write an object for an hour."""
        return obstore.sign(self.store, method, self._key(url), timedelta(hours=1))

    def _key(self, url: str) -> str:
        return url.removeprefix(f"s3://{self.bucket}/")

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _follow(self, action: Action) -> None:
        while not await asyncio.to_thread(self._executor.has_ended, action.container):
            await asyncio.sleep(0.3)
        if await self.get(f"{action.folder}/outputs.pb"):
            action.outputs = action.folder
            await self.move(action, phase_pb2.ACTION_PHASE_SUCCEEDED)
        else:
            await self.move(action, phase_pb2.ACTION_PHASE_FAILED)

    def _container(self, action: Action) -> Container:
        container, run = action.spec.task_template.container, action.identifier.run
        values = {
            "input": action.inputs,
            "outputprefix": action.folder,
            "rawoutputdataprefix": f"{action.base}/raw/{action.name}/1",
            "checkpointoutputprefix": f"{action.folder}/_flytecheckpoints",
            "prevcheckpointprefix": '""',
            "runname": action.run,
            "actionname": action.name,
            "runstarttime": f"{action.began:%Y-%m-%dT%H:%M:%SZ}",
        }
        words = [*container.command, *container.args]
        own = {each.key: each.value for each in container.env}
        given = {
            "FLYTE_INTERNAL_EXECUTION_PROJECT": run.project,
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": run.domain,
            "FLYTE_INTERNAL_EXECUTION_ID": run.name,
            "FLYTE_ATTEMPT_NUMBER": "0",
            "ACTION_NAME": action.name,
            "RUN_NAME": run.name,
            "_U_ORG_NAME": run.org,
            "_U_RUN_BASE": action.base,
            "_U_EP_OVERRIDE": self.url.removeprefix("http://"),
            "_U_INSECURE": "true",
            "_U_USE_ACTIONS": "1",
            "FLYTE_AWS_ENDPOINT": self._options["endpoint"],
            "FLYTE_AWS_ACCESS_KEY_ID": self._options["access_key_id"],
            "FLYTE_AWS_SECRET_ACCESS_KEY": self._options["secret_access_key"],
        }
        arguments = [_TEMPLATE.sub(lambda found: values.get(found[1].lower(), found[0]), word) for word in words]
        return Container(action.container, container.image, arguments, {**self._defaults, **own, **given})
