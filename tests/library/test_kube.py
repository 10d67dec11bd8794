"""How the API server is reached."""

import pytest
from kubernetes.aio.client import Configuration

from hitl.cluster.client import Kube


@pytest.mark.parametrize("written", ["Bearer t0ken", "bearer t0ken", "t0ken"])
async def test_a_token_is_handed_on_without_its_scheme(written: str) -> None:
    configuration = Configuration()
    # A pod's own credentials write it in small letters, a kubeconfig's in others.
    configuration.api_key["BearerToken"] = written

    async with Kube(configuration, "default") as kube:
        connection = await kube.connection()

    assert connection.token == "t0ken"


async def test_without_a_token_there_is_none() -> None:
    async with Kube(Configuration(), "default") as kube:
        assert (await kube.connection()).token is None
