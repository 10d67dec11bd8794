"""Credentials that are replaced while a process runs: a token's file, the token of a kubeconfig's program."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.config import incluster_config

from hitl.cluster import credentials
from hitl.cluster.credentials import load, token_of


def _kubeconfig(folder: Path, user: dict[str, Any]) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "here", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def _program(said: Path) -> dict[str, Any]:
    """Return a program that says what a file holds, as those of clouds get a token that ends."""
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "cat",
            "args": [str(said)],
            "interactiveMode": "Never",
        }
    }


def _say(said: Path, token: str) -> None:
    status = {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"}
    said.write_text(
        json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_READ_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(credentials, "_FAILED_SECONDS", 0.0)


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file with the token of a pod that this process seems to be in."""
    (tmp_path / "ca.crt").write_text("an authority")
    (tmp_path / "namespace").write_text("team")
    (tmp_path / "token").write_text("first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(credentials, "_OWN_NAMESPACE", tmp_path / "namespace")
    return tmp_path / "token"


async def test_the_file_with_the_token_of_a_kubeconfig_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    configuration, _ = await load(_kubeconfig(tmp_path, {"tokenFile": "token"}), None)
    assert await token_of(configuration) == "first"
    token.write_text("second")
    assert await token_of(configuration) == "second"


async def test_the_program_of_a_kubeconfig_is_asked_again_once_its_token_ends(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    _say(said, "first")
    configuration, _ = await load(_kubeconfig(tmp_path, _program(said)), None)
    assert await token_of(configuration) == "first"
    _say(said, "second")
    assert await token_of(configuration) == "second"


async def test_the_file_with_the_token_of_a_pod_is_read_again(pod: Path) -> None:
    configuration, namespace = await load(None, None)
    assert (await token_of(configuration), namespace) == ("first", "team")
    pod.write_text("second")
    assert await token_of(configuration) == "second"


@pytest.mark.parametrize("how", ["gone", "empty"])
async def test_the_token_that_is_known_is_used_while_the_file_of_a_pod_cannot_be_read(how: str, pod: Path) -> None:
    configuration, _ = await load(None, None)
    if how == "gone":
        pod.unlink()
    else:
        pod.write_text("")
    assert await token_of(configuration) == "first"
    pod.write_text("second")
    assert await token_of(configuration) == "second"


@pytest.mark.parametrize("user", ["tokenFile", "exec"])
async def test_the_token_that_is_known_is_used_while_that_of_a_kubeconfig_cannot_be_read(
    user: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    if user == "exec":
        _say(source, "first")
    else:
        source.write_text("first")
    given = _program(source) if user == "exec" else {"tokenFile": "source"}
    configuration, _ = await load(_kubeconfig(tmp_path, given), None)
    source.unlink()
    assert await token_of(configuration) == "first"
