from pathlib import Path

import flyte
import flyteplugins.hitl as hitl

# From wheels: an index may have another flyteplugins-hitl.
image = (
    flyte.Image.from_debian_base(python_version=(3, 12), name="hitl-example")
    .with_source_folder(Path(__file__).parent / "dist", "/opt/hitl")
    .with_commands(["uv pip install --python $UV_PYTHON /opt/hitl/*.whl"])
)
# Else it would be made of packages from the index.
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
