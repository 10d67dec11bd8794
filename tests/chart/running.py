"""The operator as the chart's Deployment would run it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.backends.plugin import Backend
from tests.chart.charts import NAMESPACE, PLAIN, Object, environment, found, pods, render
from tests.chart.installed import Installed
from tests.cluster.flyte_actions import FlyteActions
from tests.cluster.operators import OperatorProcess, Questions, Root

OPERATOR = "hitl-operator"


@dataclass(frozen=True)
class Running:
    """An operator that has the chart's rights and settings."""

    process: OperatorProcess
    questions: Questions
    root: Root


@contextmanager
def started(stamped: Installed, backend: Backend, folder: Path) -> Iterator[Running]:
    """The operator as the chart's Deployment would run it, with its service account's rights alone."""
    FlyteActions(stamped.plane, stamped.namespace).install()
    objects = render({**values_of(stamped), "identity": {"mutatingAdmissionPolicy": True}})
    [(_, template)] = [each for each in pods(objects) if each[0] == OPERATOR]
    for name, manifests in found(objects, "ConfigMap", "hitl-webapp")["data"].items():
        (folder / name).write_text(manifests)
    # What other tests asked here would keep the web app up.
    stamped.plane.kubectl("delete", "humaninputs,humaninputresponses", "--all", "-n", stamped.namespace)
    account = stamped.plane.service_account(NAMESPACE, OPERATOR)
    process = OperatorProcess(stamped.plane, backend, folder, kubeconfig=account)
    own = {"OPERATOR_NAMESPACE": NAMESPACE, "WEBAPP_TEMPLATES": str(folder), "IDLE_SECONDS": "0"}
    own["ANCHOR_SECONDS"] = "0.5"
    process.environment |= environment(template) | {f"HITL_{name}": value for name, value in own.items()}
    process.start()
    yield Running(process, Questions(stamped.plane, stamped.namespace), Root(backend))
    process.terminate()


def values_of(installed: Installed) -> Object:
    """Return the values that the release was installed with."""
    return {**PLAIN, "namespaces": [installed.namespace], "operator": {"flyte": {"taskActions": True}}}
