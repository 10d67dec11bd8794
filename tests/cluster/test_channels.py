"""A waiting Flyte task is answered over each channel there is."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.backends.plugin import Backend
from tests.cluster.operators import OperatorProcess, Questions, response
from tests.cluster.tasks import operator_mode
from tests.library.running import Program, answer, form_url
from tests.web.serving import WebApp

_EDITOR = """#!/bin/sh
sed -i 's/^  prompt:/  response: {value: "12"}\\n  prompt:/' "$1"
"""


@pytest.fixture
def web_app(shared_backend: Backend, operator: OperatorProcess, tmp_path: Path) -> Iterator[WebApp]:
    settings = {"HITL_MARKERS": "true", "HITL_HINT_URL": operator.url}
    app = WebApp(shared_backend.url, tmp_path / "web.log", shared_backend.options, settings)
    app.start()
    yield app
    app.stop()


def test_a_flyte_task_is_answered_over_every_channel(
    questions: Questions,
    shared_backend: Backend,
    operator: OperatorProcess,
    web_app: WebApp,
    chromium: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane, namespace = questions.plane, questions.namespace
    operator_mode(monkeypatch, shared_backend, namespace, endpoint=web_app.url, hint=operator.url)
    editor = tmp_path / "editor"
    editor.write_text(_EDITOR)
    editor.chmod(0o755)

    def patched(name: str, _: str) -> None:
        questions.patch(name, {"response": {"value": "11"}})

    def edited(name: str, _: str) -> None:
        env = {"EDITOR": str(editor), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        plane.kubectl("edit", "hi", name, "-n", namespace, env=env)

    def applied(name: str, _: str) -> None:
        shown = questions.get(name)
        assert shown is not None
        manifest = {key: shown[key] for key in ("apiVersion", "kind", "spec")}
        manifest["metadata"] = {"name": name, "namespace": namespace}
        manifest["spec"]["response"] = {"value": "13"}
        plane.kubectl(
            "apply", "--server-side", "--field-manager=argocd-controller", "-f", "-", stdin=json.dumps(manifest)
        )

    def committed(name: str, _: str) -> None:
        content = response(namespace, "committed", name, value="14")
        content["metadata"]["annotations"] = {"hitl.flyte.org/commit": "4f1d2ab"}
        plane.kubectl(
            "apply", "--server-side", "--field-manager=kustomize-controller", "-f", "-", stdin=json.dumps(content)
        )

    def filled_in(_: str, link: str) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(link)
            page.fill("[name=value]", "15")
            page.click("button.primary")
            page.wait_for_selector(".outcome")
            browser.close()

    def posted(_: str, link: str) -> None:
        assert answer(link, 16).status_code == 200

    def by_plugin(name: str, _: str) -> None:
        plugin = Path(sys.executable).with_name("kubectl-hitl")
        where = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]

        def called(*command: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run([str(plugin), *command, *where], capture_output=True, text=True, timeout=60)

        assert called("wait", name, "--timeout", "0").returncode == 6
        assert f"/form/{name}\n" in called("show", name).stdout
        assert "questions begin with" in called("answer", "kubectl-", "17").stderr
        done = called("answer", name[:-2], "17")
        assert done.returncode == 0, done.stderr
        assert f"{name}: answered 17" in done.stdout

    channels: dict[str, tuple[Callable[[str, str], None], int, str]] = {
        "kubectl-patch": (patched, 11, "kubectl"),
        "kubectl-edit": (edited, 12, "kubectl"),
        "server-side-apply": (applied, 13, "gitops"),
        "humaninputresponse": (committed, 14, "gitops"),
        "web-form": (filled_in, 15, "web"),
        "submit-json": (posted, 16, "api"),
        "kubectl-hitl": (by_plugin, 17, "cli"),
    }
    program = Program("channels", *channels)
    for channel, (give, value, via) in channels.items():
        link = form_url(program.line("asked"))
        request_id = urlsplit(link).path.rpartition("/")[2]
        questions.until(request_id, "Pending")
        give(request_id, link)
        assert f"value {channel} {value}" in program.line("value")
        status = questions.until(request_id, "Answered")["status"]
        assert (status["value"], status["answeredVia"]) == (str(value), via)
        row = plane.kubectl("get", "hi", request_id, "-n", namespace).out.splitlines()[1].split()
        assert {"int", "Answered", str(value), via} <= set(row)
    program.line("returned")
    assert program.end() == 0
    outcome = json.loads(plane.kubectl("get", "hir", "-n", namespace, "-o", "json").out)
    assert len(outcome["items"]) == 2
