"""The Flyte task of `hitl demo`, written as an author would write it."""

from __future__ import annotations

from collections.abc import Callable

import flyte

import hitl

asked: list[hitl.Event[int]] = []
_announce: list[Callable[[str], None]] = []
_failed: list[hitl.EventFailed] = []

task_env = flyte.TaskEnvironment(name="hitl-demo", depends_on=[hitl.env])


@task_env.task(report=True)
async def ask_for_number() -> int | None:
    """Ask for a number, and continue with or without it."""
    event: hitl.Event[int] = await hitl.new_event.aio(
        name="user_number_input",
        data_type=int,
        prompt="Please provide an integer to continue the workflow.",
        timeout_seconds=600,
    )
    asked.append(event)
    _announce[-1](event.form_url)
    try:
        return int(await event.wait.aio())
    except hitl.EventFailed as failed:
        _failed.append(failed)
        return None


def run(announce: Callable[[str], None]) -> int:
    """Run the task on this machine.

    Args:
        announce: Called with the link to the form.

    Returns:
        What the task returned.

    Raises:
        EventFailed: when it got no number.
    """
    _announce.append(announce)
    flyte.init()
    outputs = flyte.with_runcontext(mode="local").run(ask_for_number).outputs()
    if _failed:
        raise _failed[-1]
    return int(outputs[0])
