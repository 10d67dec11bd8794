"""`hitl demo`: a Flyte task asks, somebody answers, the task continues. With `--tour` it asks three times."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from hitl.author.signals import signals_raise
from hitl.cli import output
from hitl.cli.ask import withdraw
from hitl.cli.options import AsJson
from hitl.errors import ServeError, one_line, printable
from hitl.extras import how_to_install

if TYPE_CHECKING:
    from hitl.author.events import Event


def demo(
    browser: Annotated[bool, typer.Option(help="Open the form in a browser, where there is one.")] = True,
    tour: Annotated[
        bool, typer.Option("--tour", help="Ask for a number, an approval with a plot and a table, and a plan.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a Flyte task that asks for a number, and see it continue with your answer."""
    if find_spec("flyte") is None:
        raise ServeError(f"the demo runs a Flyte task: {how_to_install('cli', 'flyte')}")
    # Wherever this shell's questions go otherwise, the demo stays on this machine.
    os.environ["HITL_SERVE"] = "local"
    os.environ.pop("HITL_ENDPOINT", None)
    if tour:
        _tour(browser, as_json)
        return
    output.say("Starting a Flyte task that asks for a number …")
    from hitl.cli import demo_task

    with _withdrawing(demo_task.asked):
        value = demo_task.run(_announcer(browser))
    if as_json:
        output.print_json({"request_id": demo_task.asked[-1].request_id, "value": value})
    else:
        output.say("The task went on, and returned")
        print(value)


def _tour(browser: bool, as_json: bool) -> None:
    output.say("Starting a Flyte task that asks three questions …")
    from hitl.cli import demo_tour

    with _withdrawing(demo_tour.asked):
        outcomes = demo_tour.run(_announcer(browser))
    answers = [
        {
            "request_id": event.request_id,
            "value": to_jsonable_python(outcome.value),
            "by": outcome.by,
            "verified": outcome.verified,
            "via": outcome.via,
        }
        for event, outcome in zip(demo_tour.asked, outcomes, strict=True)
    ]
    if as_json:
        output.print_json({"answers": answers})
        return
    output.say("The task went on with")
    for event, outcome in zip(demo_tour.asked, outcomes, strict=True):
        by = f"{one_line(outcome.by) or 'somebody'}{'' if outcome.verified else ' (unverified)'}"
        print(printable(f"{event.name}: {outcome.value!r}, answered by {by} via {outcome.via}"))


def _announcer(browser: bool) -> Callable[[str], None]:
    def announce(url: str) -> None:
        # The question itself has just told the link.
        output.say("The task waits for your answer. Ctrl-C ends the demo.")
        if browser and _has_browser():
            # Some browsers' commands return only when their window is closed.
            Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    return announce


@contextmanager
def _withdrawing(asked: Sequence[Event[Any]]) -> Iterator[None]:
    """Withdraw the question that waits when somebody ends the demo."""
    try:
        with signals_raise():
            yield
    except (KeyboardInterrupt, SystemExit):
        for event in asked[-1:]:
            asyncio.run(withdraw(event.cancel.aio))
        raise


def _has_browser() -> bool:
    shown = sys.platform in ("darwin", "win32")
    return shown or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
