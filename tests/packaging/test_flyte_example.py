"""The example for a Flyte cluster: its values fit HITL's settings and chart, its task asks, its image is safe."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hitl.author.context import choose_mode
from hitl.settings import Settings
from tests.chart.charts import environment, found, pods, render
from tests.library.running import Program, answer, form_url
from tests.packaging.conftest import ROOT

EXAMPLE = ROOT / "examples" / "flyte"
FLYTE = yaml.safe_load((EXAMPLE / "flyte-values.yaml").read_text())
HITL = yaml.safe_load((EXAMPLE / "hitl-values.yaml").read_text())

_SHOW_IMAGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import ask, hitl
layers = [type(each).__name__ for each in ask.image._layers]
apps, base = len(hitl.env.depends_on), ask.image.base_image
shown = {"same": hitl.env.image is ask.image, "apps": apps, "layers": layers, "base": base}
print(json.dumps(shown, default=str))
"""


def pod_environment() -> dict[str, str]:
    """Return what Flyte puts into the environment of each task's pod."""
    pairs = FLYTE["configuration"]["inline"]["plugins"]["k8s"]["default-env-vars"]
    assert all(len(pair) == 1 for pair in pairs)
    return {name: value for pair in pairs for name, value in pair.items()}


def test_a_pod_with_these_values_asks_where_the_operator_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: value for name, value in pod_environment().items() if name.startswith("HITL_")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert choose_mode(settings, None) == "operator"
    assert {name: str(getattr(settings, name.removeprefix("HITL_").lower())) for name in given} == given


def test_flyte_and_hitl_are_told_the_same() -> None:
    given = pod_environment()
    objects = render(HITL)
    [root] = json.loads(found(objects, "Secret", "hitl-operator")["stringData"]["HITL_ROOTS"])
    [(_, operator)] = [each for each in pods(objects) if each[0] == "hitl-operator"]
    [service] = [each for each in objects if each["kind"] == "Service"]
    address, port = service["metadata"], service["spec"]["ports"][0]["port"]

    assert (root["url"], root["endpoint"]) == (given["HITL_STORAGE_ROOT"], given["HITL_ENDPOINT"])
    assert environment(operator)["HITL_NAMESPACES"] == given["HITL_NAMESPACE"]
    assert given["HITL_HINT_URL"] == f"http://{address['name']}.{address['namespace']}.svc:{port}"
    assert given["HITL_NAMESPACE"] in json.dumps(HITL["networkPolicy"]["hintsFrom"])


def shown_image() -> dict[str, Any]:
    """Return what the example's image is made of, as it is deployed for an operator."""
    done = subprocess.run(
        [sys.executable, "-c", _SHOW_IMAGE, str(EXAMPLE)],
        env={**os.environ, "HITL_SERVE": "operator"},
        capture_output=True,
        text=True,
        check=True,
    )
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_the_task_takes_a_prebuilt_image_as_it_is() -> None:
    image = shown_image()

    assert image["same"]
    assert image["apps"] == 0
    assert image["base"] == "registry.example.org/hitl-flyte:1"
    assert image["layers"] == [], "with a layer, Flyte would build another image"


def test_the_image_takes_the_packages_from_wheels_alone() -> None:
    lines = (EXAMPLE / "Dockerfile").read_text().splitlines()
    [install] = [line for line in lines if "pip install" in line and not line.startswith("#")]

    # By their paths, of which pip makes wheels: it asks no index for these two.
    assert install.endswith("/bin/pip install --quiet '.[flyte]' ./dropin")
    assert not [line for line in lines if "index" in line and not line.startswith("#")]


def test_the_user_of_the_image_may_write_where_flyte_unpacks_the_code() -> None:
    words = [line.split() for line in (EXAMPLE / "Dockerfile").read_text().splitlines()]
    last = {line[0]: line[1] for line in words if line and line[0] in ("USER", "WORKDIR")}
    user, _, group = last["USER"].partition(":")

    assert ["RUN", "install", "-d", "-o", user, "-g", group, last["WORKDIR"]] in words


def test_the_task_asks_on_a_laptop_as_it_stands() -> None:
    flyte = Path(sys.executable).parent / "flyte"
    task = Program("flyte", "run", "--local", str(EXAMPLE / "ask.py"), "ask_for_number", path=flyte)

    assert answer(form_url(task.line("Access the form at")), 42).status_code == 200

    assert task.end() == 0
    assert "o0=42" in "".join(task.printed)
