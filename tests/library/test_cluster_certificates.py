"""The cluster's authority is replaced while a process runs, and its file with it."""

import ssl
from pathlib import Path

import aiohttp
import pytest
from kubernetes.aio.client import Configuration

from hitl.cluster.transport import Transport
from tests.library.certificates import serving, write_certificate


@pytest.mark.parametrize("how", ["sent", "streamed", "shared"])
async def test_a_new_authority_is_trusted_without_a_new_process(how: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    write_certificate(authority)

    async def ask() -> int:
        if how == "sent":
            status, _, _ = await transport.send("GET", "/asked", {}, None)
            return status
        async with transport.stream("/asked", {}, 5) as (status, _, _):
            return status

    async with serving(authority) as port:
        configuration = Configuration(host=f"https://127.0.0.1:{port}")
        configuration.ssl_ca_cert = str(authority)
        transport = Transport(configuration)
        if how == "shared":
            transport.share()
        else:
            assert await ask() == 200
    # What was open ended with the server, so that each connection is a new one.
    write_certificate(authority)
    async with serving(authority, port):
        with pytest.raises((aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
            await ask()
        assert await ask() == 200
    await transport.close()


async def test_an_authority_that_is_just_being_written_is_read_the_next_time(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    write_certificate(authority)
    configuration = Configuration()
    configuration.ssl_ca_cert = str(authority)
    async with serving(authority) as port:
        configuration.host = f"https://127.0.0.1:{port}"
        transport = Transport(configuration)
        await transport.send("GET", "/asked", {}, None)
    write_certificate(authority)
    whole = authority.read_bytes()
    async with serving(authority, port):
        authority.write_bytes(b"")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await transport.send("GET", "/asked", {}, None)
        with pytest.raises(ssl.SSLError):
            await transport.send("GET", "/asked", {}, None)
        authority.write_bytes(whole)
        status, _, _ = await transport.send("GET", "/asked", {}, None)
        assert status == 200
    await transport.close()
