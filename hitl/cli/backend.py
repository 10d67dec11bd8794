"""Where the commands find requests: one interface, over storage or over the API server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hitl.cli.view import RequestView


class Backend(Protocol):
    """Requests, wherever they are found. Every method raises `HITLError`s only."""

    async def list(self, *, settled: bool) -> list[RequestView]:
        """Return the pending requests, oldest first; the settled ones too if wanted."""
        ...

    async def show(self, request_id: str) -> RequestView:
        """Return one request."""
        ...

    async def answerable(self, request_id: str) -> RequestView:
        """Return a request that waits for an answer, which may be given from here; refuse any other."""
        ...

    async def answer(self, request_id: str, value: str, *, text: bool, comment: str) -> RequestView:
        """Answer a request.

        Args:
            request_id: Which.
            value: The answer.
            text: The answer is text as a form holds it, rather than JSON.
            comment: Free text for the record.
        """
        ...

    async def answer_file(self, request_id: str, path: Path, *, comment: str) -> RequestView:
        """Answer a question by a file.

        Args:
            request_id: Which.
            path: The file, which is there.
            comment: Free text for the record.
        """
        ...

    async def reject(self, request_id: str, *, comment: str) -> RequestView:
        """Refuse to answer a request."""
        ...

    async def withdraw(self, request_id: str) -> RequestView:
        """Withdraw the caller's vote, or take back that they handed the question over."""
        ...

    async def delegate(self, request_id: str, to: str) -> RequestView:
        """Hand a request over to another user, who answers on behalf of the caller."""
        ...

    async def cancel(self, request_id: str, *, comment: str) -> RequestView:
        """Withdraw a request."""
        ...

    async def wait(self, request_id: str) -> RequestView:
        """Return a request once it is settled."""
        ...
