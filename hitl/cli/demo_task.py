"""The Flyte task of `hitl demo`, written as an author would write it."""

from __future__ import annotations

from collections.abc import Callable

import flyte

import hitl

asked: list[hitl.Event[int]] = []
announce: list[Callable[[str], None]] = []

task_env = flyte.TaskEnvironment(name="hitl-demo", depends_on=[hitl.env])


@task_env.task(report=True)
async def ask_for_number() -> int:
    """Ask for a number and go on with it."""
    event = await hitl.new_event.aio(
        name="user_number_input",
        data_type=int,
        prompt="Please provide an integer to continue the workflow.",
        timeout_seconds=600,
    )
    asked.append(event)
    for each in announce:
        each(event.form_url)
    return await event.wait.aio()


def run() -> int:
    """Run the task on this machine and return what it returns."""
    flyte.init()
    outputs = flyte.with_runcontext(mode="local").run(ask_for_number).outputs()
    return int(outputs[0])
