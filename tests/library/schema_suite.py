"""The published tests of JSON Schema, draft 2020-12, from the source package of jsonschema, which carries them.

``python -m tests.library.schema_suite`` gets them once per machine, into ``~/.cache/hitl/``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.installs import CACHE

_SECONDS = 180


class Case(NamedTuple):
    """One schema, with what fits it and what does not.

    Args:
        file: The keyword's file.
        description: What is tested.
        schema: The schema.
        tests: Each with `data` and `valid`.
    """

    file: str
    description: str
    schema: Any
    tests: list[dict[str, Any]]


def home() -> Path:
    """Return where the tests lie, or would."""
    return CACHE / f"json-schema-tests-{version('jsonschema')}"


def required_cases() -> Iterator[Case]:
    """Return the tests that each implementation must pass."""
    for path in sorted(home().glob("*.json")):
        for case in json.loads(path.read_text()):
            yield Case(path.name, case["description"], case["schema"], case["tests"])


def get() -> None:
    """Get the tests, unless they are there."""
    if home().exists():
        return
    wanted = f"jsonschema=={version('jsonschema')}"
    with tempfile.TemporaryDirectory(dir=_made(CACHE)) as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "jsonschema", wanted]
        subprocess.run(command, cwd=folder, check=True, timeout=_SECONDS)
        ready = _made(Path(folder) / "ready")
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as package:
            for member in package:
                place = Path(member.name)
                data = package.extractfile(member)
                if (
                    data is not None
                    and place.parts[1:4] == ("json", "tests", "draft2020-12")
                    and len(place.parts) == 5
                ):
                    (ready / place.name).write_bytes(data.read())
        ready.rename(home())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    try:
        get()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the published tests of JSON Schema could not be had: {error}", file=sys.stderr)
