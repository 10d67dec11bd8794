import os

import flyte
import flyteplugins.hitl as hitl

image = flyte.Image.from_base(os.environ.get("HITL_IMAGE", "registry.example.org/hitl-flyte:1"))
hitl.env.image = image

task_env = flyte.TaskEnvironment(name="hitl-release", image=image, depends_on=[hitl.env])

@task_env.task
async def ship(version: str, requester: str) -> str:
    event = await hitl.new_event.aio(
        name="ship",
        data_type=bool,
        prompt=f"Ship **{version}** to production?",
        approval=hitl.Approval(required=2, groups={"sre": 1, "security": 1}, exclude_requester=True),
        requester=requester,
        timeout_seconds=8 * 3600,
    )
    agreed = await event.wait.aio()
    return f"{version} ships" if agreed else f"{version} stays"
