"""An operator as a process of its own, and what tests ask of it."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.values import Value
from hitl.records.requests import read_outcome, read_request
from hitl.records.submissions import Submission
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.processes import PATIENCE, ServerProcess, free_ports
from tests.cluster.control_plane import ControlPlane
from tests.library.samples import settle

T = TypeVar("T")
Object = dict[str, Any]


class OperatorProcess:
    """`hitl-operator`, against a control plane and a root.

    Args:
        plane: The control plane.
        backend: The root.
        folder: Where its log lies.
        kubeconfig: Whose rights it has; an admin's when not given.
        module: What is run instead of the operator's own entry point.
        settings: `HITL_*` without the prefix, besides the root.
    """

    def __init__(
        self,
        plane: ControlPlane,
        backend: Backend,
        folder: Path,
        *,
        kubeconfig: Path | None = None,
        module: tuple[str, ...] = ("hitl_operator",),
        **settings: str,
    ) -> None:
        [self.port] = free_ports(1)
        self.log = folder / f"operator-{self.port}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            "HITL_STORAGE_ROOT": backend.url,
            "HITL_STORAGE_OPTIONS": json.dumps(backend.options),
            "HITL_ENDPOINT": "http://forms.test",
            "HITL_SWEEP_SECONDS": "0.3",
            "HITL_HOST": "127.0.0.1",
            "HITL_PORT": str(self.port),
            **{f"HITL_{name.upper()}": text for name, text in settings.items()},
        }
        self.environment = environment
        self.kubeconfig = kubeconfig or plane.kubeconfig
        self._command = [sys.executable, "-m", *module]
        self._process: ServerProcess | None = None

    def start(self) -> None:
        """Start it, and wait until it watches."""
        self._process = ServerProcess(
            self._command,
            self.log,
            lambda: _answers(f"{self.url}/readyz"),
            env={**self.environment, "KUBECONFIG": str(self.kubeconfig)},
        )
        self._process.start()

    def launch(self, **more: str) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, "KUBECONFIG": str(self.kubeconfig), **more},
            )

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._process is not None
        self._process.resume()

    def terminate(self) -> int:
        """End it as Kubernetes does; return its exit code."""
        assert self._process is not None
        code = self._process.terminate()
        self._process = None
        return code

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Return what it logged."""
        return self.log.read_text()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's values with these labels."""
        total = 0.0
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith((f"{name} ", f"{name}{{")) and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total


class Root:
    """A root, as tests look into it and write to it, outside any operator."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def store(self) -> Store:
        """The store."""
        return Store(self.backend.url, self.backend.options)

    def outcome(self, request_id: str) -> OutcomeDocument | None:
        """Return the outcome of a request."""
        return run(read_outcome(self.store, request_id))

    def answer(self, request_id: str, value: Value, name: str = "ada") -> OutcomeDocument:
        """Answer as the web app does."""

        async def answer() -> OutcomeDocument:
            store = self.store
            request = await read_request(store, request_id)
            submission = Submission("answered", Respondent(name=name, via="web"), value=value, text=False)
            return await settle(store, request, submission, now=datetime.now(UTC), markers=True)

        return run(answer())

    def markers(self) -> list[str]:
        """Return the ids of all requests that a marker announces."""

        async def listed() -> list[str]:
            store = self.store
            found = [*await store.list_markers(keys.NEW), *await store.list_markers(keys.ANSWERED)]
            return [marker.request_id for marker in found]

        return run(listed())

    def listed(self) -> list[str]:
        """Return every key."""

        async def listed() -> list[str]:
            return [key async for key, _ in self.store.list_keys(keys.PREFIX)]

        return run(listed())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def question(namespace: str, name: str | None = None, **spec: Any) -> Object:
    """Return a HumanInput."""
    return {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "HumanInput",
        "metadata": {"name": name or f"question-{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "spec": {"prompt": "How many?", "dataType": "int", **spec},
    }


def response(namespace: str, name: str, to: str, **spec: Any) -> Object:
    """Return a HumanInputResponse."""
    return {
        "apiVersion": "hitl.flyte.org/v1alpha1",
        "kind": "HumanInputResponse",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"requestRef": {"name": to}, **spec},
    }


def conditions(content: Object | None) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition."""
    found = (content or {}).get("status", {}).get("conditions", [])
    return {each["type"]: (each["status"], each["reason"]) for each in found}


class Questions:
    """HumanInputs in one namespace, by kubectl."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def ask(self, name: str, **spec: Any) -> str:
        """Create a HumanInput, wait until it is pending, and return the request's id."""
        self.plane.apply(question(self.namespace, name, **spec))
        return str(self.until(name, "Pending")["status"]["requestID"])

    def get(self, name: str) -> Object | None:
        """Return a HumanInput."""
        return self.plane.get(self.namespace, "HumanInput", name)

    def until(self, name: str, phase: str, seconds: float = PATIENCE) -> Object:
        """Wait for a phase."""

        def reached() -> Object | None:
            found = self.get(name)
            status = (found or {}).get("status", {})
            return found if status.get("phase") == phase and "requestID" in status else None

        found: Object = self.plane.until(f"{name} is {phase}", reached, seconds)
        return found

    def until_condition(self, name: str, kind: str, reason: str, what: str = "HumanInput") -> Object:
        """Wait for a condition with a reason."""

        def reached() -> Object | None:
            found = self.plane.get(self.namespace, what, name)
            return found if conditions(found).get(kind, ("", ""))[1] == reason else None

        found: Object = self.plane.until(f"{name} is {kind}, {reason}", reached)
        return found

    def patch(self, name: str, spec: Mapping[str, Any], **options: Any) -> Any:
        """Merge into the spec, as people do."""
        patch = json.dumps({"spec": spec})
        return self.plane.kubectl(
            "patch", "hi", name, "-n", self.namespace, "--type=merge", "-p", patch, **options
        )

    def events(self, name: str) -> list[str]:
        """Return the reasons of the Kubernetes Events about a HumanInput."""
        path = f"/api/v1/namespaces/{self.namespace}/events?fieldSelector=involvedObject.name={name}"
        return sorted(each["reason"] for each in json.loads(self.plane.request("GET", path).out)["items"])

    def until_events(self, name: str, *reasons: str) -> None:
        """Wait until the Events about a HumanInput have these reasons, as they are posted beside the work."""
        self.plane.until(f"the Events of {name}", lambda: self.events(name) == sorted(reasons))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False
