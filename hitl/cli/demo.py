"""`hitl demo`: a Flyte task asks for a number, somebody types it, the task continues."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from importlib.util import find_spec
from threading import Thread
from typing import Annotated

import typer

from hitl.author.signals import signals_raise
from hitl.cli import output
from hitl.cli.ask import withdraw
from hitl.cli.options import AsJson
from hitl.errors import ServeError
from hitl.extras import how_to_install


def demo(
    browser: Annotated[bool, typer.Option(help="Open the form in a browser, where there is one.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run a Flyte task that asks for a number, and see it continue with your answer."""
    if find_spec("flyte") is None:
        raise ServeError(f"the demo runs a Flyte task: {how_to_install('cli', 'flyte')}")
    # Wherever this shell's questions go otherwise, the demo stays on this machine.
    os.environ["HITL_SERVE"] = "local"
    os.environ.pop("HITL_ENDPOINT", None)
    output.say("Starting a Flyte task that asks for a number …")
    from hitl.cli import demo_task

    def announce(url: str) -> None:
        # The question itself has just told the link.
        output.say("The task waits for your answer. Ctrl-C ends the demo.")
        if browser and _has_browser():
            # Some browsers' commands return only when their window is closed.
            Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    try:
        with signals_raise():
            value = demo_task.run(announce)
    except (KeyboardInterrupt, SystemExit):
        for event in demo_task.asked:
            asyncio.run(withdraw(event.cancel.aio))
        raise
    if as_json:
        output.print_json({"request_id": demo_task.asked[-1].request_id, "value": value})
    else:
        output.say("The task went on, and returned")
        print(value)


def _has_browser() -> bool:
    shown = sys.platform in ("darwin", "win32")
    return shown or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
