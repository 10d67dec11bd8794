"""What scripts written for the old plugin import from here."""

from __future__ import annotations

from typing import Any

from hitl import HITLSubmissionTyped

__all__ = ["HITLSubmissionTyped", "app"]  # noqa: F822 - made by __getattr__


def __getattr__(name: str) -> Any:
    # Made when asked for: most scripts want the model alone.
    if name == "app":
        from hitl_webapp.main import create_app

        return create_app()
    raise AttributeError(name)
