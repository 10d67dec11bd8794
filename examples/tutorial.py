import flyte
import flyteplugins.hitl as hitl

task_env = flyte.TaskEnvironment(name="hitl-tutorial", depends_on=[hitl.env])

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

if __name__ == "__main__":
    flyte.init()
    print(flyte.run(ask_for_number).outputs())
