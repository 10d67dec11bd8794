"""`make demo-cluster`: HITL on the cluster of the current context; a Job asks, you answer, the Job goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import helm_python as helm
import typer
from rich.console import Console
from rich.prompt import Confirm

from tests.e2e.cluster import CHART, IMAGE, RELEASE, apply, get, kubectl, ready, until
from tests.e2e.jobs import allow_storage, job, line, settings

JOB = "how-many-replicas"
PROMPT = "How many **replicas**?"

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_PORT = re.compile(r"127\.0\.0\.1:(\d+)")

say = Console(stderr=True, highlight=False).print


def demo(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Install without asking first.")] = False,
    remove: Annotated[bool, typer.Option(help="Take everything away again, and end.")] = False,
    namespace: Annotated[str, typer.Option(help="Where HITL is installed.")] = "hitl-demo",
    questions: Annotated[str, typer.Option(help="Where the Job asks.")] = "hitl-demo-questions",
    image: Annotated[str, typer.Option(help="The image, where the cluster finds it.")] = IMAGE,
    storage_image: Annotated[str, typer.Option(help="SeaweedFS. Empty: the chart's.")] = "",
    storage_class: Annotated[
        str | None, typer.Option(help="Of the storage's volume, instead of the default. Empty: a volume is there.")
    ] = None,
) -> None:
    """Install HITL with its try-out storage, ask a question from a Job, and see it go on with your answer."""
    try:
        _demo(yes, remove, namespace, questions, _values(image, storage_image, storage_class))
    except (AssertionError, helm.HelmError) as error:
        say(f"{error}\nWhat there is now:", markup=False, soft_wrap=True)
        say(kubectl("get", "pods,events", "-n", namespace, check=False).stdout, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _demo(yes: bool, remove: bool, namespace: str, questions: str, values: dict[str, Any]) -> None:
    context = kubectl("config", "current-context", check=False).stdout.strip() or "this pod's cluster"
    if remove:
        _remove(namespace, questions)
        say(f"Removed from {context}. The custom resource definitions stay; without them no question does.")
        return
    if get("deployment", f"{RELEASE}-operator", namespace) is None:
        if not yes and not (sys.stdin.isatty() and Confirm.ask(f"Install HITL into {context}?")):
            say("Nothing was installed. To do it without being asked: make demo-cluster ARGS=--yes")
            raise typer.Exit(1)
        _require_volumes(values)
        say(f"Installing HITL into namespace {namespace} of {context} …")
        _install(namespace, values)
    until("the storage is ready", lambda: ready("statefulset", f"{RELEASE}-storage", namespace), 300)
    until("the operator is ready", lambda: ready("deployment", f"{RELEASE}-operator", namespace), 300)
    _ask(namespace, questions, "{repository}:{tag}".format(**values["image"]))
    address = until("the Job has asked", lambda: line(JOB, "/form/", questions), 180)
    form = address[address.index("/form/") :].split()[0]
    name = form.removeprefix("/form/").partition("?")[0]
    until("the web app is up", lambda: ready("deployment", f"{RELEASE}-webapp", namespace), 180)
    until("the question is shown", lambda: get("humaninput", name, questions))
    with _forwarded(namespace) as base:
        _show(f"{base}{form}", name, questions)
        kubectl("wait", "--for=condition=Settled", f"hi/{name}", "-n", questions, "--timeout=1h", seconds=3700)
    print(kubectl("get", "hi", name, "-n", questions).stdout, flush=True)
    kubectl("wait", "--for=condition=Complete", f"job/{JOB}", "-n", questions, "--timeout=60s")
    say("The Job went on, and printed")
    print(kubectl("logs", f"job/{JOB}", "-n", questions).stdout.splitlines()[-1])
    say("To take everything away again: make demo-cluster ARGS=--remove")


def _values(image: str, storage_image: str, storage_class: str | None) -> dict[str, Any]:
    repository, _, tag = image.rpartition(":")
    embedded: dict[str, Any] = {"enabled": True}
    if storage_image:
        name, _, version = storage_image.rpartition(":")
        embedded["image"] = {"repository": name, "tag": version}
    if storage_class is not None:
        embedded["storageClassName"] = storage_class
    return {"image": {"repository": repository, "tag": tag}, "storage": {"embedded": embedded}}


def _require_volumes(values: dict[str, Any]) -> None:
    if "storageClassName" in values["storage"]["embedded"]:
        return
    classes = json.loads(kubectl("get", "storageclass", "-o", "json").stdout)["items"]
    marks = [each["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) for each in classes]
    names = ", ".join(each["metadata"]["name"] for each in classes) or "none"
    assert "true" in marks, f"this cluster has no default StorageClass, but {names}: name one by --storage-class"


def _install(namespace: str, values: dict[str, Any]) -> None:
    with helm.Config(kubeconfig_path=os.environ.get("KUBECONFIG"), namespace=namespace) as cluster:
        cluster.install(CHART, RELEASE, values, create_namespace=True)


def _ask(namespace: str, questions: str, image: str) -> None:
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": questions}})
    allow_storage(namespace, questions)
    endpoint = f"http://{RELEASE}-webapp.{namespace}.svc"
    kubectl("delete", "job", JOB, "-n", questions, "--ignore-not-found", "--wait=true")
    command = ("hitl", "ask", PROMPT, "--type", "int", "--name", JOB)
    apply(job(JOB, *command, namespace=questions, image=image, **settings(namespace, questions, endpoint)))


@contextmanager
def _forwarded(namespace: str) -> Iterator[str]:
    """Make the web app reachable on this machine."""
    command = ["kubectl", "port-forward", "-n", namespace, f"svc/{RELEASE}-webapp", ":80"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = _PORT.search(process.stdout.readline())
        assert found, "kubectl port-forward said no port"
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(20)


def _show(link: str, name: str, namespace: str) -> None:
    patch = '{"spec":{"response":{"value":"3"}}}'
    say(f"\nA Job asks: {PROMPT}\nAnswer it with the form,\n\n  {link}\n", soft_wrap=True)
    say(f"or with one of\n\n  kubectl patch hi/{name} -n {namespace} --type merge -p '{patch}'", soft_wrap=True)
    say(f"  kubectl hitl answer {name} 3 -n {namespace}    (with .venv/bin on the PATH)\n", soft_wrap=True)


def _remove(namespace: str, questions: str) -> None:
    with helm.Config(kubeconfig_path=os.environ.get("KUBECONFIG"), namespace=namespace) as cluster:
        cluster.uninstall(RELEASE, ignore_not_found=True)
    kubectl("delete", "namespace", questions, namespace, "--ignore-not-found")


if __name__ == "__main__":
    typer.run(demo)
