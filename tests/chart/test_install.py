"""The chart's objects on a real API server: valid, restricted, upgraded and removed."""

import base64
import json
from pathlib import Path

import pytest

from tests.chart.charts import (
    EMBEDDED,
    NAMESPACE,
    OIDC,
    PLAIN,
    VARIANTS,
    Object,
    applied_by_operator,
    environment,
    pods,
    render,
)
from tests.chart.installed import ANSWER, Installed, helm_config, install
from tests.cluster.control_plane import ControlPlane

# Their definitions are not ours to install.
_FOREIGN = ("monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1")

variants = pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)


@variants
def test_the_api_server_takes_every_object(values: Object, stamped: Installed) -> None:
    for namespace in ("red", "blue"):
        stamped.plane.kubectl("create", "namespace", namespace, check=False)
    objects = render(values)
    applied = [
        {**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}} for each in applied_by_operator(objects)
    ]
    ours = [each for each in [*objects, *applied] if each["apiVersion"] not in _FOREIGN]

    done = stamped.plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict", "-f", "-",
        stdin="\n".join(map(json.dumps, ours)), check=False,
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "Warning" not in done.err
    assert len(done.out.splitlines()) == len(ours)


@variants
def test_every_pod_is_let_into_a_restricted_namespace(values: Object, stamped: Installed) -> None:
    plane = stamped.plane
    restricted = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "restricted", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    plane.apply(restricted)
    objects = render(values)
    every = [*pods(objects), *pods(applied_by_operator(objects))]
    for account in {template["spec"].get("serviceAccountName", "default") for _, template in every}:
        plane.kubectl("create", "serviceaccount", account, "-n", "restricted", check=False)

    for name, template in every:
        # Its priority class is the cluster's business.
        spec = {key: value for key, value in template["spec"].items() if key != "priorityClassName"}
        spec["volumes"] = [*spec["volumes"], *({"name": each, "emptyDir": {}} for each in _claimed(spec))]
        done = plane.request("POST", _DRY_PODS, {"metadata": {"name": name}, "spec": spec})
        assert done.code == 0, f"{name}: {done.err}"


def _claimed(spec: Object) -> set[str]:
    """Return the volumes that a StatefulSet's claims bring."""
    mounted = {each["name"] for container in spec["containers"] for each in container["volumeMounts"]}
    return mounted - {each["name"] for each in spec["volumes"]}


def test_a_pod_that_is_not_restricted_is_kept_out(stamped: Installed) -> None:
    """So that the test before this one can fail."""
    plane = stamped.plane
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": labels}})
    plane.kubectl("create", "serviceaccount", "default", "-n", "restricted", check=False)

    done = plane.request("POST", _DRY_PODS, {"metadata": {"name": "open"}, "spec": {"containers": [_OPEN]}})

    assert 'violates PodSecurity "restricted' in done.err


def test_the_notes_say_that_this_api_server_stamps(stamped: Installed) -> None:
    with helm_config(stamped.plane.kubeconfig) as cluster:
        notes = cluster.get_all(stamped.release)["info"]["notes"]

    assert "Ask the first question" in notes
    assert "does not stamp" not in notes


def test_an_upgrade_keeps_the_storage_s_keys_and_people_signed_in(stamped: Installed, chart: Path) -> None:
    plane = stamped.plane

    def keys() -> dict[str, str]:
        found: dict[str, str] = {}
        for name in ("keys-storage", "keys-session"):
            data = json.loads(plane.kubectl("get", "secret", name, "-n", NAMESPACE, "-o=json").out)["data"]
            found |= {key: base64.b64decode(value).decode() for key, value in data.items()}
        return found

    values = {**EMBEDDED, **OIDC, "crds": {"enabled": False}, "identity": {"policies": False}}
    with helm_config(plane.kubeconfig) as cluster:
        cluster.install(chart, "keys", values)
        before = keys()
        cluster.upgrade(chart, "keys", {**values, "webapp": {**OIDC["webapp"], "replicas": 2}})
        after = keys()
        cluster.uninstall("keys")

    assert before == after
    lengths = {"AWS_ACCESS_KEY_ID": 20, "AWS_SECRET_ACCESS_KEY": 40, "cookie": 32, "proxy": 40}
    assert {name: len(text) for name, text in before.items()} == lengths


def test_uninstalling_leaves_questions_and_nothing_else(own_plane: ControlPlane, chart: Path) -> None:
    kinds = (
        "deployments,services,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,clusterroles,"
        "clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,"
        "mutatingadmissionpolicies,mutatingadmissionpolicybindings"
    )

    def there() -> set[str]:
        return set(own_plane.kubectl("get", kinds, "-A", "-o=name").out.split())

    own_plane.kubectl("create", "namespace", NAMESPACE)
    before = there()
    with helm_config(own_plane.kubeconfig) as cluster:
        cluster.install(chart, "hitl", PLAIN)
        installed = there()
        own_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=100s")
        question = Installed(own_plane, "hitl", "default").question("kept")
        # The policies hear of the new kind some seconds after it was made.
        own_plane.until("the question", lambda: own_plane.request("POST", _PATH, question).code == 0)
        cluster.uninstall("hitl")
        left = there()
        cluster.install(chart, "hitl", PLAIN)
        again = there()

    assert len(installed - before) > 20
    assert left == before
    assert again >= installed - {each for each in installed if each.startswith("secret/")}
    assert own_plane.get("default", "HumanInput", "kept") is not None


_DRY_PODS = "/api/v1/namespaces/restricted/pods?dryRun=All"
_OPEN = {"name": "open", "image": "open"}
_PATH = "/apis/hitl.flyte.org/v1alpha1/namespaces/default/humaninputs"


def test_an_api_server_that_cannot_stamp(unaware_plane: ControlPlane, chart: Path) -> None:
    installed = install(unaware_plane, chart, "hitl", "red", {})
    with helm_config(unaware_plane.kubeconfig) as cluster:
        notes = cluster.get_all("hitl")["info"]["notes"]
    [deployment] = json.loads(unaware_plane.kubectl("get", "deployments", "-A", "-o=json").out)["items"]
    installed.asked("spoofed")

    done = installed.patch(
        "spoofed", {"spec": {"response": {**ANSWER, "respondent": {"username": "boss"}}}}, "ed", check=False
    )

    assert "This cluster does not stamp who answers" in notes
    assert environment(deployment["spec"]["template"])["HITL_IDENTITY_VERIFIED"] == "false"
    assert "a respondent can only be yourself" in done.err
