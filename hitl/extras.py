"""How to add an optional part to this installation of HITL."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from typing import Final
from urllib.parse import unquote, urlsplit

_NAME: Final = "flyte-hitl"


def how_to_install(*extras: str) -> str:
    """Return what a person types, or does, to add extras.

    It names the checkout or the wheel that HITL came from, and never its name alone: an index may give another
    project's package for that.

    Args:
        extras: Such as ``cli``.
    """
    wanted = f"[{','.join(extras)}]"
    try:
        written = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        written = None
    origin = json.loads(written) if written else {}
    place = urlsplit(origin.get("url", ""))
    if place.scheme != "file":
        return f"install it again with {wanted} behind its path, from the checkout or the wheel that it came from"
    in_place = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {in_place}{shlex.quote(unquote(place.path) + wanted)}"
