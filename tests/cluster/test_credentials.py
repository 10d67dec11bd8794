"""Credentials end, and are replaced, while a process runs: the API server goes on to know who asks."""

import asyncio
import uuid
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from hitl.cluster import credentials
from hitl.cluster.client import HUMAN_INPUTS, Kube
from hitl.errors import ClusterUnavailable
from tests.backends.processes import PATIENCE
from tests.cluster.control_plane import ControlPlane

# So long a certificate lasts: time enough to connect by it.
_LASTS = timedelta(seconds=6)
# So long the API server remembers what it found of a token.
_REMEMBERED_SECONDS = 11


async def _until_known(kube: Kube, *, watches: bool) -> None:
    """Wait until the API server knows who asks, and be told by a watch if that is asked for."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                # Also before a watch: on a shared connection, the API server ends that before it says 401.
                await kube.get(HUMAN_INPUTS, "nobody", "default")
                if not watches:
                    return
                opened = asyncio.Event()
                events = kube.watch(HUMAN_INPUTS, "default", "0", seconds=1, silence=5, opened=opened.set)
                async with aclosing(events):
                    async for _ in events:
                        pass
                if opened.is_set():
                    return
            except ClusterUnavailable as error:
                if error.status != 401:
                    raise
            await asyncio.sleep(0.2)


async def _until_unknown(kube: Kube) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await kube.get(HUMAN_INPUTS, "nobody", "default")
            except ClusterUnavailable as error:
                if error.status != 401:
                    raise
                return
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("how", ["sent", "watched", "shared"])
async def test_a_certificate_that_was_renewed_is_shown(control_plane: ControlPlane, how: str) -> None:
    name = f"short-{uuid.uuid4().hex[:8]}"
    kubeconfig = control_plane.renew(name, "system:masters", lasts=_LASTS)
    async with await Kube.connect(kubeconfig=str(kubeconfig)) as kube:
        if how == "shared":
            kube.share_connections()
        await _until_known(kube, watches=how != "sent")
        await _until_unknown(kube)
        control_plane.renew(name, "system:masters", lasts=timedelta(days=1))
        await _until_known(kube, watches=how != "sent")


async def test_a_token_that_was_replaced_in_its_file_is_shown(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_READ_AGAIN_SECONDS", 1.0)
    control_plane.kubectl("create", "sa", "rotating", "-n", namespace)
    control_plane.kubectl(
        "create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin",
        f"--serviceaccount={namespace}:rotating",
    )  # fmt: skip
    content = yaml.safe_load(control_plane.kubeconfig.read_text())
    content["users"][0]["user"] = {"tokenFile": str(tmp_path / "token")}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))

    def write_token(bound: str) -> None:
        control_plane.kubectl("create", "secret", "generic", bound, "-n", namespace)
        bound_to = ("--bound-object-kind=Secret", f"--bound-object-name={bound}")
        made = control_plane.kubectl("create", "token", "rotating", "-n", namespace, *bound_to)
        (tmp_path / "token").write_text(made.out.strip())

    write_token("first")
    async with await Kube.connect(kubeconfig=str(kubeconfig)) as kube:
        await _until_known(kube, watches=False)
        write_token("second")
        # As at its end, which comes ten minutes after its beginning at the earliest.
        control_plane.kubectl("delete", "secret", "first", "-n", namespace)
        await asyncio.sleep(2)
        await _until_known(kube, watches=False)
        await asyncio.sleep(_REMEMBERED_SECONDS)
        await kube.get(HUMAN_INPUTS, "nobody", "default")
