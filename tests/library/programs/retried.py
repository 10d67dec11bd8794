"""A Flyte task that asks two equal questions, and tries each again when its storage fails.

Usage: retried.py RUN_NAME WHERE. WHERE names the step of asking that fails the first time; else none does.
"""

import sys
from typing import Any

import flyte

import hitl
from hitl.author import asking

env = flyte.TaskEnvironment(name="retried", depends_on=[hitl.env])
failures = 0


def failing_once(name: str) -> None:
    step: Any = getattr(asking, name)

    async def first_fails(*args: Any, **more: Any) -> Any:
        global failures
        failures += 1
        if failures == 1:
            raise hitl.StorageUnavailable("the storage did not answer")
        return await step(*args, **more)

    setattr(asking, name, first_fails)


@env.task(report=True)
async def ask() -> list[str]:
    asked: list[str] = []
    while len(asked) < 2:
        try:
            event = await hitl.new_event.aio("retried", int, prompt="How many?", timeout_seconds=120)
        except hitl.StorageUnavailable:
            print("tries again", flush=True)
        else:
            asked.append(event.request_id)
    return asked


if __name__ == "__main__":
    if sys.argv[2] in ("create", "add_link"):
        failing_once(sys.argv[2])
    flyte.init()
    outputs = flyte.with_runcontext(name=sys.argv[1], mode="local").run(ask).outputs()
    print("asked", *outputs[0], flush=True)
