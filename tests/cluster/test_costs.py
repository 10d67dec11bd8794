"""What one question costs at the storage, and which rights that takes: tables and policies of docs/operate.md."""

import asyncio
import json
import math
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import hitl
from hitl.core import keys
from hitl.errors import StorageError
from hitl.storage import Store
from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, question
from tests.contract.wires import Fate, lossy_wire
from tests.web.serving import running

PAGE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
ROOT = f"s3://{BUCKET}/hitl"
COMPONENTS = ("asker", "webapp", "operator")

Cost: TypeAlias = tuple[int, int, int]
"""Writes and lists, reads, deletes."""


def costs() -> dict[str, Cost]:
    """Return what the page says that each step costs."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    return {step: (int(writes), int(reads), int(deletes)) for step, writes, reads, deletes in rows}


def policy(component: str) -> str:
    """Return the policy that the page gives a component, for the tests' bucket."""
    found = re.search(rf"^```json title={component}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, component
    return found[1].replace("BUCKET", BUCKET)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """An S3 that lets each component do what its policy says."""
    folder = tmp_path_factory.mktemp("guarded")

    def identity(name: str, **rights: list[str]) -> dict[str, Any]:
        return {"name": name, "credentials": [{"accessKey": name, "secretKey": name}], **rights}

    everything = ["Admin", "Read", "Write", "List"]
    identities = [identity("admin", actions=everything), {"name": "anonymous", "actions": everything}]
    config = {
        "identities": identities + [identity(each, policyNames=[each]) for each in COMPONENTS],
        "policies": [{"name": each, "content": policy(each)} for each in COMPONENTS],
    }
    (folder / "s3.json").write_text(json.dumps(config))
    server = Seaweed(folder, f"-s3.config={folder / 's3.json'}")
    server.start()
    yield server
    server.kill()


def as_component(server: Seaweed, name: str, **more: Any) -> dict[str, Any]:
    return {**server.options, "access_key_id": name, "secret_access_key": name, **more}


class Meter:
    """Counts what one component asks of the storage."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> Fate:
        self.lines.append(line)
        return "pass"

    def taken(self, request_id: str) -> Cost:
        """Return what was asked about a question since the last call. Whatever is deleted counts as its own."""
        lines, self.lines = self.lines, []
        kinds = [self._kind(line, request_id) for line in lines]
        return kinds.count("write"), kinds.count("read"), kinds.count("delete")

    @staticmethod
    def _kind(line: str, request_id: str) -> str:
        method, target, _ = line.split()
        url = urlsplit(target)
        if method == "POST":
            return "delete"
        if "list-type" in url.query:
            return "write" if request_id in parse_qs(url.query)["prefix"][0] else ""
        return "" if request_id not in url.path else "write" if method == "PUT" else "read"


async def test_each_step_costs_what_the_runbook_says_with_the_rights_that_it_gives(
    guarded: Seaweed, own_control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = {each: Meter() for each in COMPONENTS}
    async with (
        lossy_wire(guarded.endpoint, meters["asker"].note) as asker,
        lossy_wire(guarded.endpoint, meters["webapp"].note) as webapp,
        lossy_wire(guarded.endpoint, meters["operator"].note) as operator,
    ):
        wires = {"asker": asker, "webapp": webapp, "operator": operator}
        options = {each: as_component(guarded, each, endpoint=wire) for each, wire in wires.items()}
        life = Life(own_control_plane, guarded, options, meters, tmp_path, monkeypatch)
        counted = await asyncio.to_thread(life.live)

    assert counted == costs()


class Life:
    """One question's life, and that of two more for what happens to it otherwise; what each step took."""

    def __init__(
        self,
        plane: ControlPlane,
        server: Seaweed,
        options: dict[str, dict[str, Any]],
        meters: dict[str, Meter],
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        plane.kubectl("create", "namespace", "team")
        self.plane, self.folder, self.options, self.meters = plane, folder, options, meters
        self.monkeypatch = monkeypatch
        self.root = Root(Backend("s3", ROOT, as_component(server, "admin")))
        self.questions = Questions(plane, "team")
        self.counted: dict[str, Cost] = {}

    def live(self) -> dict[str, Cost]:
        # Hints alone make it look, so that nothing is looked at by chance.
        operator = self._operator()
        web = {"HITL_MARKERS": "true", "HITL_HINT_URL": operator.url}
        with running(ROOT, self.folder, self.options["webapp"], **web) as app:
            self._asked_by_a_program(operator.url, app.url)
        self._asked_by_a_manifest()
        operator.terminate()
        return self.counted

    def _operator(self) -> OperatorProcess:
        operator = OperatorProcess(
            self.plane,
            Backend("s3", ROOT, self.options["operator"]),
            self.folder,
            sweep_seconds="3600",
            audit_seconds="3600",
            open_seconds="3600",
        )
        operator.start()
        swept = "hitl_last_sweep_timestamp_seconds"
        self.plane.until("the first sweep", lambda: operator.metric(swept) > 0)
        return operator

    def _asked_by_a_program(self, operator_url: str, web_url: str) -> None:
        settings = {
            "HITL_SERVE": "operator",
            "HITL_STORAGE_ROOT": ROOT,
            "HITL_STORAGE_OPTIONS": json.dumps(self.options["asker"]),
            "HITL_ENDPOINT": web_url,
            "HITL_HINT_URL": operator_url,
            "HITL_NAMESPACE": "team",
        }
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)
        # Operator and web app proved the root when they started.
        for meter in self.meters.values():
            meter.lines.clear()
        event = hitl.new_event("replicas", int, poll_interval_seconds=0.05)
        lines = self.meters["asker"].lines
        self.counted["first creation of a process, besides"] = self.meters["asker"].taken("_probe")
        self.meters["asker"].lines = [line for line in lines if not line.startswith("POST ")]
        self._count("asked by a program", "asker", event.request_id)
        self._until(event.request_id, event.request_id, "Pending")
        self._count("shown as a HumanInput", "operator", event.request_id)
        assert httpx.get(event.form_url).is_success
        self._count("form opened", "webapp", event.request_id)

        waited: list[int] = []
        waiting = threading.Thread(target=lambda: waited.append(event.wait()))
        waiting.start()
        self.plane.until("some looks", lambda: len(self.meters["asker"].lines) > 45)
        form = {"request_id": event.request_id, "token": event._response_path.rpartition("#")[2], "value": "3"}
        assert httpx.post(f"{web_url}/submit", data=form).is_success
        # Rows of the index follow a moment later.
        self.plane.until("its row", lambda: "_settled" in self._rows(event.request_id))
        self.plane.until("the other is gone", lambda: "POST" in "".join(self.meters["webapp"].lines))
        self._count("answered in the form", "webapp", event.request_id)
        waiting.join()
        assert waited == [3]
        looks = [line for line in self.meters["asker"].lines if "response.json" in line]
        assert self.meters["asker"].taken(event.request_id) == (0, len(looks) + math.ceil(len(looks) / 20), 0)
        self._until(event.request_id, event.request_id, "Answered")
        self._count("outcome shown in the status", "operator", event.request_id)

    def _asked_by_a_manifest(self) -> None:
        request_id = self.questions.ask("ship-it")
        self._count("asked by a manifest, instead", "operator", request_id)
        self.questions.patch("ship-it", {"response": {"value": "1"}})
        self._until("ship-it", request_id, "Answered")
        self.plane.until("its rows", lambda: self._rows(request_id) == ["_settled"])
        self._count("answered by `kubectl`, instead", "operator", request_id)

    def _rows(self, request_id: str) -> list[str]:
        rows = [key.split("/")[1:] for key in self.root.listed() if key.endswith(request_id)]
        return sorted(folder for folder, *_ in rows if folder in ("_open", "_settled"))

    def _until(self, name: str, request_id: str, phase: str) -> None:
        self.questions.until(name, phase)
        self.plane.until("the marker is gone", lambda: request_id not in self.root.markers())

    def _count(self, step: str, component: str, request_id: str) -> None:
        self.counted[step] = self.meters[component].taken(request_id)


def _has_event(questions: Questions, name: str, reason: str) -> bool:
    return reason in questions.events(name)


def test_a_question_and_an_answer_take_few_calls_of_the_api_server(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, number = own_control_plane, 10
    plane.kubectl("create", "namespace", "team")
    questions = Questions(plane, "team")
    operator = OperatorProcess(plane, s3_backend, tmp_path, lease="")
    operator.start()

    def calls() -> dict[str, float]:
        verbs = ("GET", "PATCH", "POST", "PUT", "DELETE")
        return {verb: operator.metric("hitl_api_requests_total", verb=verb) for verb in verbs}

    def since(before: dict[str, float], events: int, made_at_least: int) -> dict[str, float]:
        # A call is counted after the API server has shown what it did.
        plane.until("all are counted", lambda: sum(calls().values()) >= sum(before.values()) + made_at_least)
        made = {verb: count - before[verb] for verb, count in calls().items()}
        made["POST"] -= events
        return {verb: count for verb, count in made.items() if count}

    names = [f"asked-{each}" for each in range(number)]
    before = calls()
    for name in names:
        questions.ask(name)
        plane.until("its Event", partial(_has_event, questions, name, "Requested"))
    # The Secret with the link, and the status.
    assert since(before, number, 3 * number) == {"POST": number, "PATCH": number}

    before = calls()
    for name in names:
        questions.patch(name, {"response": {"value": "1"}})
        questions.until(name, "Answered")
        plane.until("its Event", partial(_has_event, questions, name, "Answered"))
    assert since(before, number, 2 * number) == {"PATCH": number}
    operator.terminate()


def test_large_schemas_do_not_exhaust_the_memory(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane, number = own_control_plane, 200
    plane.kubectl("create", "namespace", "team")
    path = "/apis/hitl.flyte.org/v1alpha1/namespaces/team/humaninputs"
    for each in range(number):
        large = question("team", f"large-{each}", dataType="json", schema={"description": "x" * 2**20})
        assert plane.request("POST", path, large).code == 0
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()
    questions = Questions(plane, "team")
    plane.until(
        "all were looked at",
        lambda: operator.metric("hitl_pending") == number and operator.metric("hitl_queue_depth") == 0,
        120,
    )
    questions.until_condition(f"large-{number - 1}", "Stalled", "InvalidRequest")
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{operator.pid}/status").read_text())
    assert peak is not None
    # The chart's limit is 512 MiB.
    assert int(peak[1]) / 1024 < 450
    operator.terminate()


@pytest.mark.parametrize(
    ("component", "key"),
    [
        ("asker", keys.request_key("kept")),
        ("asker", keys.response_key("kept")),
        ("asker", keys.new_marker("kept")),
        ("webapp", keys.request_key("kept")),
        ("webapp", keys.response_key("kept")),
    ],
)
async def test_who_asks_and_who_serves_cannot_delete(component: str, key: str, guarded: Seaweed) -> None:
    store = Store(ROOT, as_component(guarded, component))
    await store.mark(key)

    with pytest.raises(StorageError):
        await store.delete(key)

    assert await store.exists(key)


@pytest.mark.parametrize("component", COMPONENTS)
async def test_no_component_reaches_another_root_of_the_bucket(component: str, guarded: Seaweed) -> None:
    other = Store(f"s3://{BUCKET}/other", as_component(guarded, component))

    for attempt in (other.mark(keys.new_marker("a")), other.read(keys.request_key("a"))):
        with pytest.raises(StorageError, match="not permitted"):
            await attempt


@pytest.mark.parametrize("component", COMPONENTS)
async def test_each_component_proves_the_storage_and_leaves_no_probe(component: str, guarded: Seaweed) -> None:
    await Store(ROOT, as_component(guarded, component)).probe()

    admin = Store(ROOT, as_component(guarded, "admin"))
    assert [key async for key, _ in admin.list_keys(keys.PROBES)] == []
