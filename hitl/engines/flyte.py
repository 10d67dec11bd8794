"""What runs inside a Flyte action: identity, the traced wait, the report, the link in the UI, the app.

The only module that imports flyte.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import flyte
import flyte.app
import flyte.report
from flyte.app.extras import FastAPIAppEnvironment
from flyte.models import TaskContext

from hitl.core.documents import Origin
from hitl.core.urls import form_url
from hitl.engines.base import FormLink
from hitl.errors import ServeError
from hitl.settings import Settings

APP_NAME: Final = "hitl-event-app"
TASK_ENV_NAME: Final = "hitl-event-task-env"
REPORT_TAB: Final = "HITL"
_COUNTS: Final = "hitl.questions"
_APP_PORT: Final = 8080
_PACKAGES: Final = ("flyte-hitl[flyte]", "flyteplugins-hitl")

_log = logging.getLogger("hitl")
_waiting: ContextVar[Awaitable[str]] = ContextVar("hitl.waiting")
_shown: set[asyncio.Task[Any]] = set()
_served: dict[str, str] = {}


@dataclass
class EventFormLink(flyte.Link):
    """A link to a question's form, for a task's list of links in the Flyte UI.

    Args:
        endpoint: The web app's base URL.
        request_id: The question.
        request_path: Its recorded path.
        name: The label.
        token: The link's token; without it the page only says that one is needed.
    """

    endpoint: str
    request_id: str
    request_path: str
    name: str = "Event Form"
    token: str = ""

    def get_link(
        self,
        run_name: str,
        project: str,
        domain: str,
        context: dict[str, str],
        parent_action_name: str,
        action_name: str,
        pod_name: str,
        **kwargs: Any,
    ) -> str:
        """Return the form's URL."""
        return form_url(self.endpoint, self.request_id, token=self.token)


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

    def count(self, event_name: str, digest: str) -> int:
        """Return how many identical questions this action has asked before, and count this one.

        Kept in the action's own context: a reusable process runs many actions, each of which starts at zero.
        """
        counts: Counter[tuple[str, str]] = self._context.data.setdefault(_COUNTS, Counter())
        before = counts[event_name, digest]
        counts[event_name, digest] += 1
        return before

    async def serve(self, settings: Settings) -> tuple[str, str]:
        """Serve the web app as a Flyte app; return its endpoint and its root.

        Raises:
            ServeError: when this Flyte cannot serve apps.
        """
        root = settings.storage_root or f"{self._context.run_base_dir.rstrip('/').rpartition('/')[0]}/hitl"
        if root not in _served:
            _served[root] = await _serve_app(root)
        return _served[root], root

    async def show(self, name: str, form_url: str, html: str, link: FormLink) -> None:
        """Add the question to the report's own tab and, in a cluster, its link to the run's page."""
        try:
            flyte.report.get_tab(REPORT_TAB).log(html)
            await flyte.report.flush.aio()
        except Exception as error:  # noqa: BLE001 - whatever Flyte and its storage raise; the question is asked
            _log.warning("the question %r is not in the run's report: %s", name, error)
        if self.remote and Settings().form_link == "on":
            shown = show_form.override(
                short_name=name,
                links=(EventFormLink(link.endpoint, link.request_id, link.request_path, token=link.token),),
            )
            task = asyncio.ensure_future(shown.aio(form_url))
            _shown.add(task)
            task.add_done_callback(_forget)

    async def once(self, request_id: str, wait: Callable[[], Awaitable[str]]) -> str:
        """Wait as one traced step, whose result a retry finds again; untraced where Flyte cannot trace.

        A trace needs a controller, which workers of clustered tasks do not have, and Flyte's own storage. The wait
        needs neither.
        """
        outcome = asyncio.ensure_future(wait())
        token = _waiting.set(outcome)
        try:
            return await wait_for_outcome(request_id)
        except Exception as error:  # noqa: BLE001 - whatever Flyte and its storage raise; the wait's own comes again
            if not (outcome.done() and outcome.exception()):
                _log.warning("the wait for %s has no trace in the Flyte UI: %s", request_id, error)
            return await outcome
        finally:
            _waiting.reset(token)
            outcome.cancel()


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


def _forget(task: asyncio.Task[Any]) -> None:
    _shown.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("the link 'Event Form' could not be shown in the Flyte UI: %s", error)


async def _serve_app(root: str) -> str:
    await flyte.init_in_cluster.aio()
    place = (os.environ.get("_U_ORG_NAME"), flyte.current_project(), flyte.current_domain())
    app = app_env(root, "-".join([APP_NAME, *(part for part in place if part)]))
    try:
        handle = await flyte.with_servecontext(copy_style="none", version=flyte.version()).serve.aio(app)
    except Exception as error:  # Flyte raises classes of its own and of its transport's here
        raise ServeError(
            f"this Flyte could not serve the app {APP_NAME}: {error}. Where app serving (Knative) is off, install "
            "the HITL operator and set HITL_STORAGE_ROOT and HITL_ENDPOINT for tasks"
        ) from error
    return str(handle.endpoint).rstrip("/")


def image() -> flyte.Image:
    """Return the image of the web app and of the task that shows links: `HITL_IMAGE`, or one that is built."""
    if given := Settings().image:
        return flyte.Image.from_base(given)
    base = flyte.Image.from_debian_base(flyte_version=flyte.version(), name="hitl-event-app-image")
    return base.with_pip_packages(*_PACKAGES)


def app_env(root: str = "", subdomain: str | None = None) -> FastAPIAppEnvironment:
    """Return the Flyte app that serves the forms.

    Args:
        root: The root's URL, handed to the app; empty when it is only declared.
        subdomain: Where it is served; None leaves that to Flyte.
    """
    # By name, as the command below loads it: the web app lies above this package.
    app = import_module("hitl_webapp.main").create_app()
    return FastAPIAppEnvironment(
        name=APP_NAME,
        app=app,
        description="Forms for the questions that Flyte tasks ask",
        command=["python", "-m", "hitl_webapp"],
        image=image(),
        env_vars={"HITL_HOST": "0.0.0.0", "HITL_PORT": str(_APP_PORT), "HITL_STORAGE_ROOT": root},  # noqa: S104 - in a pod
        resources=flyte.Resources(cpu=1, memory="512Mi"),
        requires_auth=True,
        scaling=flyte.app.Scaling(replicas=(0, 1), scaledown_after=600),
        domain=flyte.app.Domain(subdomain=subdomain),
    )


@cache
def env() -> flyte.TaskEnvironment:
    """Return the environment that tasks depend on.

    It depends on the web app in turn, except where an operator serves it: a Flyte that serves no apps could not
    deploy that.
    """
    depends_on: list[flyte.Environment] = [] if Settings().serve == "operator" else [app_env()]
    return flyte.TaskEnvironment(
        name=TASK_ENV_NAME, image=image(), resources=flyte.Resources(cpu=1, memory="512Mi"), depends_on=depends_on
    )


@env().task(report=True)
async def show_form(form_url: str) -> str:
    """Carry the link "Event Form": links belong to task actions, and a trace has none."""
    return form_url
