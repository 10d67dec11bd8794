"""What Flyte deploys for HITL: the web app as a Flyte app, and the task that carries a form's link."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import flyte
import flyte.app
from flyte.app.extras import FastAPIAppEnvironment

from hitl.core.urls import form_url
from hitl.engines.signals import take_sigterm
from hitl.errors import ServeError
from hitl.settings import Settings

APP_NAME: Final = "hitl-event-app"
TASK_ENV_NAME: Final = "hitl-event-task-env"
_APP_PORT: Final = 8080
_PACKAGES: Final = ("flyte-hitl[flyte]", "flyteplugins-hitl")

# Tasks name `hitl.env`, so this module is loaded with theirs: in the main thread.
take_sigterm()


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


async def serve_app(root: str) -> str:
    """Serve the web app as a Flyte app; return its endpoint.

    Raises:
        ServeError: when this Flyte cannot serve apps.
    """
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
        name=TASK_ENV_NAME,
        image=image(),
        # Requested is what it takes once it has started: Python, Flyte and this module, some 80 MiB.
        resources=flyte.Resources(cpu=("50m", "1"), memory=("128Mi", "512Mi")),
        depends_on=depends_on,
    )


class ByName:
    """Finds `show_form` by its name, wherever HITL is installed.

    Flyte's own resolver takes modules of the author's folder and of `site-packages` alone. An editable install, as
    `make demo` makes it, is in neither, and `flyte deploy` refused it.
    """

    import_path: Final = f"{__name__}.ByName"

    def load_task(self, loader_args: list[str]) -> Any:
        """Return the task."""
        return show_form

    def loader_args(self, task: Any, root_dir: object) -> list[str]:
        """Return what the pod hands to `load_task`."""
        return ["task", task.name]


@env().task(task_resolver=ByName())
async def show_form(request_id: str) -> str:
    """Carry the link "Event Form": links belong to task actions, and a trace has none.

    Its input names the action, so it holds no token: a restarted task finds the same action again.
    """
    return request_id
