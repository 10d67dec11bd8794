"""A task that blocks the event loop which all of Flyte's tasks share, by answering itself with `requests`."""

import flyte
import requests

import hitl

env = flyte.TaskEnvironment(name="blocking", depends_on=[hitl.env])


@env.task
async def ask() -> int:
    event = await hitl.new_event.aio("blocked", int, timeout_seconds=60)
    body = {"request_id": event.request_id, "value": 42, "data_type": "int", "response_path": event._response_path}
    print(
        "answered", requests.post(f"{event.endpoint}/submit/json", json=body, timeout=20).status_code, flush=True
    )
    return int(await event.wait.aio())


@env.task
def ask_without_async() -> int:
    event = hitl.new_event("sync", int, timeout_seconds=60)
    body = {"request_id": event.request_id, "value": 43, "data_type": "int", "response_path": event._response_path}
    print(
        "answered", requests.post(f"{event.endpoint}/submit/json", json=body, timeout=20).status_code, flush=True
    )
    return int(event.wait())


if __name__ == "__main__":
    flyte.init()
    for task in (ask, ask_without_async):
        print("value", flyte.with_runcontext(mode="local").run(task).outputs()[0], flush=True)
