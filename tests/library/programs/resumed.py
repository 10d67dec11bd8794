"""A Flyte task that asks, and can be started again as the same action. Usage: resumed.py RUN_NAME"""

import sys

import flyte

import hitl

env = flyte.TaskEnvironment(name="resumed", depends_on=[hitl.env])


@env.task(report=True)
async def ask() -> int:
    event = await hitl.new_event.aio("resumed", int, prompt="How many?", timeout_seconds=120)
    print(f"asked {event.request_id} until {event.expires_at.isoformat()} at {event.form_url}", flush=True)
    return int(await event.wait.aio())


if __name__ == "__main__":
    flyte.init()
    print("value", flyte.with_runcontext(name=sys.argv[1], mode="local").run(ask).outputs()[0], flush=True)
