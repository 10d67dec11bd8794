"""The old plugin's name for HITL: the same public names."""

from __future__ import annotations

from typing import Any

import hitl
from hitl import *  # noqa: F403 - the public names, all of them
from hitl import __all__ as __all__


def __getattr__(name: str) -> Any:
    return getattr(hitl, name)
