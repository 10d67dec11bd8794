"""A Flyte task that asks one question after the other: each is answered over another channel."""

import sys

import flyte

import hitl

env = flyte.TaskEnvironment(name="channels", depends_on=[hitl.env])


@env.task(report=True)
async def ask_all(channels: list[str]) -> list[int]:
    """Ask a question for each channel, and go on with its answer."""
    values = []
    for channel in channels:
        event = await hitl.new_event.aio(
            channel, data_type=int, prompt=f"Answer by {channel}", timeout_seconds=600, poll_interval_seconds=0.2
        )
        print(f"asked {event.request_id} at {event.form_url}", flush=True)
        values.append(await event.wait.aio())
        print(f"value {channel} {values[-1]!r}", flush=True)
    return values


if __name__ == "__main__":
    flyte.init()
    run = flyte.with_runcontext(mode="local").run(ask_all, channels=sys.argv[1:])
    print(f"returned {run.outputs()}", flush=True)
