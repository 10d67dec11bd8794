"""The connections to the API server: one pool for everything, as a kubeconfig or a pod's credentials say."""

from __future__ import annotations

import ssl
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import Configuration

_READ_AHEAD: Final = 2**16


def tls_context(configuration: Configuration) -> ssl.SSLContext:
    """Return which servers to trust, and our own certificate."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def session(configuration: Configuration) -> aiohttp.ClientSession:
    """Open the pool of connections. Watches stay in it for long, so that it has no bound of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls_context(configuration)),
        trust_env=True,
        read_bufsize=_READ_AHEAD,
    )


def request_options(configuration: Configuration) -> dict[str, Any]:
    """Return what every request is sent with, beside its own."""
    named = {
        "proxy": configuration.proxy,
        "proxy_headers": configuration.proxy_headers,
        "server_hostname": configuration.tls_server_name,
    }
    return {name: given for name, given in named.items() if given}
