"""Fixtures for each kind of storage, on real servers."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends import installs
from tests.backends.processes import ServerProcess, free_ports
from tests.backends.seaweed import BUCKET, Seaweed

# The last by its URL through fsspec, by a client that is not HITL's.
NAMES = ("file", "memory", "s3", "azure", "gcs", "adlfs")

_AZURITE_FLAGS = ("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck")


@dataclass(frozen=True)
class Backend:
    """A fresh root on some storage: its URL, and the options that `hitl.storage` takes."""

    name: str
    url: str
    options: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A fresh root on each kind of storage in turn."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
def file_backend(tmp_path: Path) -> Backend:
    """A fresh root in a local folder."""
    root = tmp_path / "root"
    root.mkdir()
    return Backend("file", root.as_uri())


@pytest.fixture
def memory_backend() -> Backend:
    """A fresh root in this process's memory."""
    return Backend("memory", f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def s3_backend(s3_server: Seaweed) -> Backend:
    """A fresh root on the session's S3."""
    return Backend("s3", f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_server.options)


@pytest.fixture
def azure_backend(azure_server: dict[str, Any]) -> Backend:
    """A fresh root on the module's Azure."""
    return Backend("azure", f"az://{BUCKET}/{uuid.uuid4().hex}", azure_server)


@pytest.fixture
def adlfs_backend(azure_server: dict[str, Any]) -> Backend:
    """A fresh root on the module's Azure, by adlfs."""
    fields = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": azure_server["account_name"],
        "AccountKey": azure_server["account_key"],
        "BlobEndpoint": azure_server["endpoint"],
    }
    connection = ";".join(f"{name}={value}" for name, value in fields.items())
    return Backend("adlfs", f"dir::az://{BUCKET}/{uuid.uuid4().hex}", {"az": {"connection_string": connection}})


@pytest.fixture
def gcs_backend(gcs_server: dict[str, Any]) -> Backend:
    """A fresh root on the session's GCS."""
    return Backend("gcs", f"gs://{BUCKET}/{uuid.uuid4().hex}", gcs_server)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """The session's S3. Nobody stops or pauses it: see `seaweed`."""
    server = Seaweed(tmp_path_factory.mktemp("seaweed"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def seaweed(tmp_path: Path) -> Iterator[Seaweed]:
    """An S3 of the test's own, which it may pause, resume, kill and start again with its objects and its port."""
    server = Seaweed(tmp_path / "seaweed")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def azure_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """The options of the module's Azurite, which holds everything in memory, and gets slower with it."""
    command = installs.azurite(pytestconfig)
    folder = tmp_path_factory.mktemp("azurite")
    [port] = free_ports(1)
    account, key = "hitl", secrets.token_bytes(64)
    endpoint = f"http://127.0.0.1:{port}/{account}"
    server = ServerProcess(
        [*command, f"--blobPort={port}", *_AZURITE_FLAGS],
        folder / "log",
        lambda: _made_container(endpoint, account, key),
        env={"AZURITE_ACCOUNTS": f"{account}:{base64.b64encode(key).decode()}"},
        cwd=folder,
    )
    server.start()
    yield {
        "account_name": account,
        "account_key": base64.b64encode(key).decode(),
        "endpoint": endpoint,
        "client_options": {"allow_http": True},
    }
    server.kill()


@pytest.fixture(scope="session")
def gcs_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The options of the session's fake-gcs-server."""
    command = installs.gcs(pytestconfig)
    [port] = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    server = ServerProcess(
        [*command, "-address", f"127.0.0.1:{port}", "-bucket", BUCKET],
        tmp_path_factory.mktemp("gcs") / "log",
        lambda: _answers(f"{endpoint}/storage/v1/b/{BUCKET}"),
    )
    server.start()
    account = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": ""}
    yield {
        "service_account_key": json.dumps({**account, "private_key_id": ""}),
        "client_options": {"allow_http": True},
    }
    server.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def _made_container(endpoint: str, account: str, key: bytes) -> bool:
    """Create the container by Azure's REST API, which obstore leaves to others."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    named = [f"{name}:{value}" for name, value in headers.items()]
    signed = "\n".join(["PUT", *[""] * 11, *named, f"/{account}/{account}/{BUCKET}", "restype:container"])
    signature = base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()
    headers["Authorization"] = f"SharedKey {account}:{signature}"
    try:
        return httpx.put(f"{endpoint}/{BUCKET}?restype=container", headers=headers).status_code in (201, 409)
    except httpx.TransportError:
        return False
