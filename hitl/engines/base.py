"""What a question needs of the engine that runs the task: one protocol, which each engine fulfils."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from hitl.core.documents import Origin
from hitl.errors import EventFailed
from hitl.settings import Settings


class Action(Protocol):
    """A task, or a step of one, that asks."""

    @property
    def origin(self) -> Origin:
        """Where the action runs."""
        ...

    @property
    def remote(self) -> bool:
        """Whether it runs in a cluster, rather than in this user's own process."""
        ...

    def take_number(self, event_name: str, digest: str) -> int:
        """Return the number of a question among the identical ones of this action, from 0, and count it."""
        ...

    def give_back(self, event_name: str, digest: str, number: int) -> None:
        """Count a question no longer, because asking it failed: asked again, it has the same number."""
        ...

    async def serve(self, settings: Settings) -> tuple[str, str]:
        """Bring up the web app as a Flyte app; return its endpoint and its root."""
        ...

    async def show(self, name: str, html: str) -> None:
        """Show the question in the Flyte UI."""
        ...

    async def once(self, link: FormLink, wait: Callable[[], Awaitable[str]]) -> str:
        """Wait as one traced step, whose result a retry finds again; show the link if that lasts."""
        ...

    def final(self, error: EventFailed) -> EventFailed:
        """Return an error of the same class that the engine does not answer with another attempt."""
        ...


@dataclass(frozen=True)
class FormLink:
    """What a link to a question's form is made of, and the question's name."""

    name: str
    endpoint: str
    request_id: str
    request_path: str
    token: str = field(repr=False)
