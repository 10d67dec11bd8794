"""Two Flyte tasks with retries, whose questions nobody answers: one lets the time-out pass, one catches it."""

import flyte

import hitl

env = flyte.TaskEnvironment(name="timed-out", depends_on=[hitl.env])


@env.task(retries=2)
async def uncaught() -> int:
    print("attempt uncaught", flush=True)
    event = await hitl.new_event.aio("uncaught", int, timeout_seconds=0.1)
    return int(await event.wait.aio())


@env.task(retries=2)
async def caught() -> int:
    print("attempt caught", flush=True)
    event = await hitl.new_event.aio("caught", int, timeout_seconds=0.1)
    try:
        return int(await event.wait.aio())
    except TimeoutError:
        return 7


@env.task
async def both() -> str:
    try:
        await uncaught()
    except flyte.errors.RuntimeUserError as error:
        print("ended", error.code, flush=True)
    print("ended with", await caught(), flush=True)
    return "done"


if __name__ == "__main__":
    flyte.init()
    flyte.with_runcontext(mode="local").run(both)
