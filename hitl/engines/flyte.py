"""What runs inside a Flyte action: identity, the traced wait, the report, the link in the UI."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final

import flyte
import flyte.report
from flyte.models import TaskContext

from hitl.core.documents import Origin
from hitl.engines.base import FormLink
from hitl.engines.flyte_app import EventFormLink, serve_app, show_form
from hitl.engines.flyte_errors import not_retried
from hitl.engines.signals import ends_on_sigterm
from hitl.errors import EventFailed
from hitl.settings import Settings
from hitl.storage import open_root

REPORT_TAB: Final = "HITL"
_COUNTS: Final = "hitl.questions"
_LINK_OF_RUN: Final = "form-link"
TRACE_SECONDS: Final = 5.0
"""How long an outcome is held back for its trace."""
LINK_SECONDS: Final = 10.0
"""How long a question waits before the run gets its link."""

_log = logging.getLogger("hitl")
_waiting: ContextVar[Awaitable[str]] = ContextVar("hitl.waiting")
_shown: set[asyncio.Task[Any]] = set()
_served: dict[str, str] = {}


class FlyteAction:
    """The action that asks, while it runs."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context

    @property
    def origin(self) -> Origin:
        """Where the action runs. Inside a trace it is the task's action that counts."""
        action = self._context.task_action or self._context.action
        project, domain = action.project or "", action.domain or ""
        return Origin(
            org=action.org or "",
            project=project,
            domain=domain,
            run=action.run_name or "",
            action=action.name,
            namespace=f"{project}-{domain}" if project and domain and self.remote else "",
            local=not self.remote,
        )

    @property
    def remote(self) -> bool:
        """Whether it runs in a cluster."""
        return self._context.mode == "remote"

    def take_number(self, event_name: str, digest: str) -> int:
        """Return the number of a question among the identical ones of this action, from 0, and count it.

        Kept in the action's own context: a reusable process runs many actions, each of which starts at zero.
        """
        taken = self._taken(event_name, digest)
        number = next(each for each in itertools.count() if each not in taken)
        taken.add(number)
        return number

    def give_back(self, event_name: str, digest: str, number: int) -> None:
        """Count a question no longer, because asking it failed: asked again, it has the same number."""
        self._taken(event_name, digest).discard(number)

    def _taken(self, event_name: str, digest: str) -> set[int]:
        numbers: dict[tuple[str, str], set[int]] = self._context.data.setdefault(_COUNTS, {})
        return numbers.setdefault((event_name, digest), set())

    async def serve(self, settings: Settings) -> tuple[str, str]:
        """Serve the web app as a Flyte app; return its endpoint and its root.

        Raises:
            ServeError: when this Flyte cannot serve apps.
        """
        root = settings.storage_root or f"{self._context.run_base_dir.rstrip('/').rpartition('/')[0]}/hitl"
        if root not in _served:
            _served[root] = await serve_app(root)
        return _served[root], root

    async def show(self, name: str, html: str) -> None:
        """Add the question to the report's own tab."""
        try:
            flyte.report.get_tab(REPORT_TAB).log(html)
            await flyte.report.flush.aio()
        except Exception as error:  # noqa: BLE001 - whatever Flyte and its storage raise; the question is asked
            _log.warning("the question %r is not in the run's report: %s", name, error)

    async def once(self, link: FormLink, wait: Callable[[], Awaitable[str]]) -> str:
        """Wait as one traced step, whose result a retry finds again; untraced where Flyte cannot trace.

        A trace needs a controller, which workers of clustered tasks do not have, and Flyte's storage and backend.
        The wait needs none of these, so a trace holds its result back for `TRACE_SECONDS` at most.
        """
        outcome = asyncio.ensure_future(wait())
        token = _waiting.set(outcome)
        trace = asyncio.ensure_future(wait_for_outcome(link.request_id))
        _waiting.reset(token)
        try:
            with ends_on_sigterm() if self.remote else nullcontext():
                if not await _first((outcome, trace), LINK_SECONDS):
                    self._show_link(link)
                    await _first((outcome, trace), None)
            if outcome.done():
                await _first((trace,), TRACE_SECONDS)
            if trace.done() and trace.exception() is None:
                return trace.result()
            # An error of the wait comes through the trace as well.
            if not (outcome.done() and outcome.exception()):
                why = trace.exception() if trace.done() else f"Flyte did not take it within {TRACE_SECONDS:g} s"
                _log.warning("the wait for %s has no trace in the Flyte UI: %s", link.request_id, why)
            with ends_on_sigterm() if self.remote else nullcontext():
                return await outcome
        finally:
            trace.cancel()
            outcome.cancel()

    def _show_link(self, link: FormLink) -> None:
        # A pod of its own: not for a question that is answered by now, and not for each one.
        if self.remote and Settings().form_link == "on":
            task = asyncio.ensure_future(self._show_link_once(link))
            _shown.add(task)
            task.add_done_callback(_forget)

    async def _show_link_once(self, link: FormLink) -> None:
        action = self._context.task_action or self._context.action
        mine = f"{action.name}/{link.request_id}".encode()
        # Only Flyte's own credentials are known to reach the run's folder.
        run = open_root(Settings(), f"{self._context.run_base_dir.rstrip('/')}/hitl", None)
        # The same action again gets the same one from Flyte, as its input is the same.
        if await run.create_once(_LINK_OF_RUN, mine) or await run.read(_LINK_OF_RUN) == mine:
            form = EventFormLink(link.endpoint, link.request_id, link.request_path, token=link.token)
            await show_form.override(short_name=link.name, links=(form,)).aio(link.request_id)

    def final(self, error: EventFailed) -> EventFailed:
        """Return the error as one that Flyte does not retry: another attempt would find the same outcome."""
        return not_retried(error)


def current_action() -> FlyteAction | None:
    """Return the action that is running, or None outside any."""
    context = flyte.ctx()
    return FlyteAction(context) if context else None


@flyte.trace
async def wait_for_outcome(request_id: str) -> str:  # noqa: ARG001 - what Flyte knows the step by
    """Wait for a question's outcome; return its document as JSON.

    Its input is the request's id alone, so that a retry recognises the step; whatever the outcome is, it is
    returned, because a recorded error would lose its class.
    """
    return await _waiting.get()


async def _first(tasks: tuple[asyncio.Future[str], ...], seconds: float | None) -> bool:
    """Wait until one of them is done, or for so long; return whether one is."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _forget(task: asyncio.Task[Any]) -> None:
    _shown.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("the link 'Event Form' could not be shown in the Flyte UI: %s", error)
