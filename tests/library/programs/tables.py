"""A Flyte task that asks about ten tables at once, under one event name. Usage: tables.py RUN_NAME ORDER_SEED"""

import asyncio
import random
import sys

import flyte

import hitl

env = flyte.TaskEnvironment(name="tables", depends_on=[hitl.env])


@env.task
async def ask_all(seed: int) -> dict[str, str]:
    tables = [f"table-{n}" for n in range(10)]
    random.Random(seed).shuffle(tables)

    async def one(table: str) -> tuple[str, str]:
        event = await hitl.new_event.aio("drop", str, prompt=f"What about {table}?", timeout_seconds=120)
        print(f"asked {table} at {event.form_url}", flush=True)
        return table, await event.wait.aio()

    return dict(await asyncio.gather(*(one(table) for table in tables)))


if __name__ == "__main__":
    flyte.init()
    outputs = flyte.with_runcontext(name=sys.argv[1], mode="local").run(ask_all, seed=int(sys.argv[2])).outputs()
    print("value", outputs[0], flush=True)
