"""The Flyte task of `hitl demo --tour`, as an author would write it: three questions, each of another type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final, Literal

import flyte
from pydantic import BaseModel, Field

import hitl
from hitl.cli.demo_plot import line_plot

asked: list[hitl.Event[Any]] = []
outcomes: list[hitl.Outcome[Any]] = []
_announce: list[Callable[[str], None]] = []
_failed: list[hitl.EventFailed] = []

# What a training run might have measured.
_LOSS: Final = (0.92, 0.61, 0.48, 0.39, 0.34, 0.31, 0.29, 0.28)
_METRICS: Final = (
    {"model": "candidate", "accuracy": 0.943, "latency_ms": 31},
    {"model": "in production", "accuracy": 0.921, "latency_ms": 28},
)

task_env = flyte.TaskEnvironment(name="hitl-tour", depends_on=[hitl.env])


class Step(BaseModel):
    """How much of the traffic the new model gets, and for how long."""

    percent: int = Field(ge=1, le=100, title="Share of the traffic", description="In percent.")
    hours: int = Field(ge=1, le=168, title="Hours until the next step")


class Rollout(BaseModel):
    """How the model is rolled out."""

    region: Literal["Europe", "America"]
    start: date
    steps: list[Step] = Field(min_length=1, max_length=5)
    note: str | None = Field(None, max_length=200, description="For the people on call.")


@task_env.task(report=True)
async def release() -> bool:
    """Ask for a number, an approval and a plan; tell whether all three were given."""
    try:
        await _answered(
            await hitl.new_event.aio(
                name="epochs",
                data_type=int,
                prompt="**1 of 3.** How many epochs should the model train for?",
                proposed=8,
                timeout_seconds=600,
            )
        )
        await _answered(
            await hitl.new_event.aio(
                name="approval",
                data_type=bool,
                prompt="**2 of 3.** Release this model? The plot and the table are the evidence.",
                evidence=[
                    hitl.evidence.image(
                        line_plot(_LOSS), name="Loss by epoch", alt="The loss falls from 0.92 to 0.28 in 8 epochs."
                    ),
                    hitl.evidence.table(list(_METRICS), name="Comparison"),
                ],
                timeout_seconds=600,
            )
        )
        await _answered(
            await hitl.new_event.aio(
                name="rollout",
                data_type=Rollout,
                prompt="**3 of 3.** How is it rolled out? Add a step, remove one, or send it as it is.",
                proposed=Rollout(
                    region="Europe",
                    start=date.today() + timedelta(days=1),
                    steps=[Step(percent=5, hours=24), Step(percent=100, hours=72)],
                ),
                timeout_seconds=600,
            )
        )
    except hitl.EventFailed as failed:
        _failed.append(failed)
        return False
    return True


async def _answered(event: hitl.Event[Any]) -> None:
    asked.append(event)
    _announce[-1](event.form_url)
    outcomes.append(await event.result.aio())


def run(announce: Callable[[str], None]) -> list[hitl.Outcome[Any]]:
    """Run the task on this machine.

    Args:
        announce: Called with the link to each form.

    Returns:
        The three outcomes, in the order of the questions.

    Raises:
        EventFailed: when one of them got no answer.
    """
    _announce.append(announce)
    flyte.init()
    flyte.with_runcontext(mode="local").run(release).outputs()
    if _failed:
        raise _failed[-1]
    return outcomes
