"""What the guide for GitOps says, as tests run it."""

import re
from typing import Any

import yaml

from tests.cluster.control_plane import REPOSITORY

GUIDE = REPOSITORY / "docs" / "gitops.md"


def snippet(kind: str) -> str:
    """Return the guide's one block of code of a kind."""
    found = re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks of {kind} in {GUIDE}"
    return str(found[0])


def manifests(kind: str) -> list[dict[str, Any]]:
    """Return the objects of a block of YAML."""
    return list(yaml.safe_load_all(snippet(f"yaml title={kind}")))
