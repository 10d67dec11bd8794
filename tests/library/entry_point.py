"""What Flyte and its backend hand to the container of the tutorial's task, and what that leaves behind."""

from importlib import import_module
from pathlib import Path

from hitl.storage import Store

REPO = Path(__file__).parents[2]
ORG, PROJECT, DOMAIN, RUN, ACTION = "an-org", "hitl-e2e", "team", "the-run", "a0"
# What Flyte says while the task waits: it asks its backend whether an earlier attempt recorded the traced wait.
WAITING = f"Watch for {RUN}.{ACTION} failed"


def arguments(run_base: str, attempt: int = 1) -> list[str]:
    """Return the command that Flyte writes for the task, with what its backend puts in place of the templates.

    Args:
        run_base: The URL of the run's own folder.
        attempt: Counts from 1: a retry has another folder for what it writes.
    """
    from flyte._internal.image_cache import ImageCache
    from flyte.models import SerializationContext

    images = ImageCache(image_lookup={"hitl-tutorial": "hitl-flyte", "hitl-event-task-env": "hitl-flyte"})
    context = SerializationContext(version="a-version", image_cache=images, root_dir=REPO)
    written = import_module("examples.tutorial").ask_for_number.container_args(context)
    own = f"{run_base}/{ACTION}/{attempt}"
    filled = {
        "{{.input}}": f"{run_base}/{ACTION}/inputs.pb",
        "{{.outputPrefix}}": own,
        "{{.rawOutputDataPrefix}}": f"{run_base}/raw/{ACTION}/{attempt}",
        "{{.checkpointOutputPrefix}}": f"{own}/_flytecheckpoints",
        "{{.prevCheckpointPrefix}}": "",
        "{{.runName}}": RUN,
        "{{.actionName}}": ACTION,
        "{{.runStartTime}}": "2026-11-24T12:00:00Z",
    }
    return [filled.get(each, each) for each in written]


def environment(run_base: str) -> dict[str, str]:
    """Return the variables of the container, in which the backend's address is one where nobody listens."""
    return {
        "ACTION_NAME": ACTION,
        "RUN_NAME": RUN,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": PROJECT,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": DOMAIN,
        "_U_ORG_NAME": ORG,
        "_U_RUN_BASE": run_base,
        "_U_EP_OVERRIDE": "127.0.0.1:9",
        "_U_INSECURE": "true",
    }


async def write_inputs(run: Store) -> None:
    """Write the task's inputs, as the backend does: none, which take no bytes."""
    await run.create_once(f"{ACTION}/inputs.pb", b"")


async def returned(run: Store, attempt: int = 1) -> tuple[str, object] | None:
    """Return Flyte's name of the type of what the task returned, and the value, or None when there is nothing."""
    from flyteidl2.task.common_pb2 import Outputs  # type: ignore[import-untyped]  # has no types

    data = await run.read(f"{ACTION}/{attempt}/outputs.pb")
    if data is None:
        return None
    [output] = Outputs.FromString(data).literals
    primitive = output.value.scalar.primitive
    kind = primitive.WhichOneof("value")
    return kind, getattr(primitive, kind)


async def failure(run: Store, attempt: int = 1) -> tuple[str, str, bool]:
    """Return the code and the message of the task's error, and whether Flyte tries again."""
    from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument  # type: ignore[import-untyped]  # no types

    data = await run.read(f"{ACTION}/{attempt}/error.pb")
    assert data is not None
    error = ErrorDocument.FromString(data).error
    return error.code, error.message, error.kind == ContainerError.RECOVERABLE
