"""A pod of the web app as the chart renders it, its containers run as processes of this machine.

Arguments, environment and files are the chart's own. Only places differ: folders stand for volumes, and free ports
of loopback for the pod's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from tests.backends.processes import ServerProcess
from tests.chart.charts import Object, applied_by_operator, found, pods, render
from tests.cluster.installs import oauth2_proxy
from tests.web.serving import WebApp

Files = Mapping[str, Mapping[str, str]]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Pod:
    """A running pod.

    Args:
        app: The web app, which the side-car stands before.
        url: Where people reach the side-car.
        log: What the side-car has written.
    """

    app: WebApp
    url: str
    log: Path


@contextlib.contextmanager
def running_pod(
    values: Object, files: Files, folder: Path, front: int, back: int, other: Mapping[str, str] = NOTHING
) -> Iterator[Pod]:
    """Run the pod that the chart renders for its only root.

    Args:
        values: The chart's values.
        files: The content of Secrets and ConfigMaps that the chart does not make, by their names.
        folder: Where its volumes, its logs and the root lie.
        front: The side-car's port, which is that of the endpoint.
        back: The web app's port.
        other: What stands in for some texts of its arguments, such as a shorter time.
    """
    objects = render(values)
    [(_, template)] = pods(applied_by_operator(objects))
    webapp, proxy = template["spec"]["containers"]
    places = {"0.0.0.0:4180": f"127.0.0.1:{front}", "127.0.0.1:8080": f"127.0.0.1:{back}", **other}
    for container in (webapp, proxy):
        for mount in container["volumeMounts"]:
            if mount["name"] != "tmp":
                places[mount["mountPath"]] = str(folder / mount["name"])
    for volume in template["spec"]["volumes"]:
        _fill(volume, objects, files, folder, places)
    settings = {each["name"]: _placed(each["value"], places) for each in webapp["env"]}
    settings |= {"HITL_HOST": "127.0.0.1", "HITL_HINT_URL": ""}
    app = WebApp(str(folder / "root"), folder / "web.log", {}, settings, back)
    url, log = f"http://127.0.0.1:{front}", folder / "oauth2-proxy.log"
    command = [str(oauth2_proxy()), *(_placed(each, places) for each in proxy["args"])]
    probe = proxy["startupProbe"]["httpGet"]["path"]
    server = ServerProcess(command, log, lambda: _answers(f"{url}{probe}"))
    app.start()
    try:
        server.start()
        yield Pod(app, url, log)
    finally:
        server.kill()
        app.stop(kill=True)


def _fill(volume: Object, objects: list[Object], files: Files, folder: Path, places: Mapping[str, str]) -> None:
    kind = next((each for each in ("secret", "configMap") if each in volume), None)
    if kind is None:
        return
    source = volume[kind]
    name = source.get("secretName") or source["name"]
    content = files.get(name)
    if content is None:
        one = found(objects, kind[0].upper() + kind[1:], name)
        content = one.get("stringData") or one["data"]
    wanted = {each["key"]: each["path"] for each in source.get("items", [])} or {key: key for key in content}
    (folder / volume["name"]).mkdir()
    for key, path in wanted.items():
        (folder / volume["name"] / path).write_text(_placed(content[key], places))


def _placed(text: str, places: Mapping[str, str]) -> str:
    for there, here in places.items():
        text = text.replace(there, here)
    return text


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).is_success
    return False
