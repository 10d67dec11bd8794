import os

import flyte
import flyteplugins.hitl as hitl

# Built from the Dockerfile beside this file, and pushed to a registry.
image = flyte.Image.from_base(os.environ.get("HITL_IMAGE", "registry.example.org/hitl-flyte:1"))
# For the task that shows the link "Event Form".
hitl.env.image = image

task_env = flyte.TaskEnvironment(name="hitl-example", image=image, depends_on=[hitl.env])

@task_env.task(report=True)
async def ask_for_number() -> int:
    event = await hitl.new_event.aio(
        name="user_number_input",
        data_type=int,
        prompt="Please provide an integer to continue the workflow.",
        timeout_seconds=600,
    )
    print(f"Event created. Access the form at: {event.form_url}")
    user_value = await event.wait.aio()
    return user_value
