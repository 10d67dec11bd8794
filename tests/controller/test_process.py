"""The end of a part of the operator is the end of its process, whatever the API server does meanwhile."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.backends.processes import PATIENCE, free_ports


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Whose API server does not answer."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gone",
        "clusters": [{"name": "gone", "cluster": {"server": f"http://127.0.0.1:{free_ports(1)[0]}"}}],
        "users": [{"name": "gone", "user": {}}],
        "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "gone"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def _operator(kubeconfig: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    settings = {
        "KUBECONFIG": str(kubeconfig),
        "HITL_STORAGE_ROOT": "memory://process",
        "HITL_HOST": "127.0.0.1",
        "HITL_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hitl_operator"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_process_ends_with_an_error_when_a_part_of_the_operator_does(kubeconfig: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _operator(kubeconfig, taken.getsockname()[1]) as process:
            said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "address already in use" in said


def test_it_ends_cleanly_while_the_api_server_does_not_answer(kubeconfig: Path) -> None:
    [port] = free_ports(1)
    transport = httpx.HTTPTransport(retries=8)
    with _operator(kubeconfig, port) as process, httpx.Client(transport=transport, trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port}/healthz").is_success
        found = client.get(f"http://127.0.0.1:{port}/readyz")
        assert found.status_code == 503
        assert "SSLContext" not in found.text, "an object of Python's says nothing to who reads it"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
