"""JSON Pointers (RFC 6901): how a name stands in one, and back."""

from __future__ import annotations


def escaped(name: str) -> str:
    """Return a name as one step of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(step: str) -> str:
    """Return the name that one step of a pointer stands for."""
    return step.replace("~1", "/").replace("~0", "~")
