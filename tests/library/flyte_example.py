"""The author of the example for Flyte: a copy of its folder, and the commands that its page shows."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from tests.backends.processes import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "flyte"
SCRIPTS = Path(sysconfig.get_path("scripts"))


class Author:
    """Runs commands in a copy of the example.

    Args:
        place: The folder that becomes the copy.
        backend: The control plane's URL.
        image: The image that the author was told of.
        project: Flyte's project.
        domain: Flyte's domain.
    """

    def __init__(self, place: Path, backend: str, image: str, project: str, domain: str) -> None:
        shutil.copytree(EXAMPLE, place)
        self._place = place
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self._environment = {**kept, "HITL_SERVE": "operator", "HITL_IMAGE": image, "HOME": str(place)}
        (place / ".flyte").mkdir()
        (place / ".flyte/config.yaml").write_text(
            f"admin: {{endpoint: 'dns:///{backend.removeprefix('http://')}', insecure: true}}\n"
            f"task: {{org: local, project: {project}, domain: {domain}}}\n"
        )

    def run(self, *command: str) -> str:
        """Run one of Flyte's commands; return what it printed."""
        done = subprocess.run(
            [SCRIPTS / command[0], *command[1:]],
            cwd=self._place,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
