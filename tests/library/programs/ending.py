"""A program that asks and waits in one of several ways, and says so when it goes on."""

import asyncio
import sys

import hitl
from hitl.author import endings, syncify

# However slow this machine is just now.
vars(endings)["_WITHDRAW_SECONDS"] = vars(syncify)["_TIDY_SECONDS"] = 120.0

how, *rest = sys.argv[1:]
key = rest[0] if rest else None


def by_event() -> None:
    event = hitl.new_event("ending", int, timeout_seconds=600, key=key)
    print("asked", event.form_url, file=sys.stderr, flush=True)
    event.wait()


async def both() -> None:
    await asyncio.gather(*(hitl.ask.aio("How many?", int, timeout_seconds=600, key=key) for _ in range(2)))


if how == "blocking":
    hitl.ask("How many?", int, timeout_seconds=600, key=key)
elif how == "awaited":
    asyncio.run(both())
else:
    by_event()
print("went on")
