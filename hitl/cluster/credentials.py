"""Where the API server is, and who we are there: a pod's own credentials, or a kubeconfig's."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from kubernetes.aio import config as loading
from kubernetes.aio.client import Configuration

from hitl.errors import ClusterError

_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# A file with a token is replaced, and the token of a kubeconfig's program ends, while this process runs.
_READ_AGAIN_SECONDS: Final = 60.0
_FAILED_SECONDS: Final = 10.0
# A program that hangs must not hold up requests for which the former token may do.
_PATIENCE_SECONDS: Final = 10.0

# The package calls it before it shows a token. By its types, it is always None.
_HOOK: Final = "refresh_api_key_hook"

_Read: TypeAlias = Callable[[Configuration], Awaitable[None]]

_log = logging.getLogger("hitl.cluster")


@dataclass(frozen=True)
class Connection:
    """How to reach the API server, for clients of other makes."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    token: str | None
    insecure: bool
    namespace: str


async def load(kubeconfig: str | None, context: str | None) -> tuple[Configuration, str]:
    """Return how the API server is reached, and the namespace where objects are when nobody says otherwise.

    Raises:
        ClusterError: when there are no credentials to be found, or none that can be read.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            await _read_pods(configuration)
            setattr(configuration, _HOOK, _Renewing(_read_pods))
            return configuration, _OWN_NAMESPACE.read_text().strip()
        _require_kubeconfig(kubeconfig)
        loader = await loading.load_kube_config(kubeconfig, context, configuration)
        setattr(configuration, _HOOK, _Renewing(loader.load_and_set))
        return configuration, loader.current_context["context"].get("namespace", "default")
    except (loading.ConfigException, OSError, ValueError, TypeError) as error:
        raise ClusterError(f"no Kubernetes cluster: {error}") from error


class _Renewing:
    """Reads credentials again now and then. Those that are known are used while they cannot be read.

    Args:
        read: Reads them into a configuration.
    """

    def __init__(self, read: _Read) -> None:
        self._read = read
        self._next = time.monotonic() + _READ_AGAIN_SECONDS

    async def __call__(self, configuration: Configuration) -> None:
        """Read them, if it is time to."""
        if time.monotonic() < self._next:
            return
        # At once, so that others do not wait for the same.
        self._next = time.monotonic() + _READ_AGAIN_SECONDS
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._read(configuration)
        except Exception as error:  # noqa: BLE001 - whatever a file or a program does must not end this process
            _log.warning(
                "the credentials of the cluster cannot be read now: %s", str(error) or type(error).__name__
            )
            self._next = time.monotonic() + _FAILED_SECONDS


async def _read_pods(configuration: Configuration) -> None:
    # What the package would do by itself ends a process whose file is missing for a moment.
    loading.load_incluster_config(configuration, try_refresh_token=False)


def _require_kubeconfig(kubeconfig: str | None) -> None:
    """Refuse to look for a cluster where there is no file that could name one.

    Raises:
        ClusterError: saying which file is missing.
    """
    named = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(Path(each).expanduser().exists() for each in named.split(os.pathsep)):
        raise ClusterError(
            f"no Kubernetes cluster: there is no kubeconfig {named}: KUBECONFIG or --kubeconfig names another one"
        )


async def token_of(configuration: Configuration) -> str:
    """Return the token to show, or an empty text. Asked each time, as it is replaced every hour."""
    auth = (await configuration.auth_settings()).get("BearerToken", {})
    # Its scheme is written "Bearer" or "bearer", by where the credentials come from, or not at all.
    return str(auth.get("value") or "").strip().rpartition(" ")[2]


async def connection_of(configuration: Configuration, namespace: str) -> Connection:
    """Return how the API server is reached, with a token that is fresh now."""
    return Connection(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=await token_of(configuration) or None,
        insecure=not configuration.verify_ssl,
        namespace=namespace,
    )
