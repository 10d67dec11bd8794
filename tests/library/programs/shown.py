"""A task whose action says that it is remote, though it is not: shows what a cluster's Flyte would be given.

Usage: shown.py FOLDER_OF_THE_RUN [refused]
"""

import asyncio
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import flyte

import hitl
from hitl.engines import flyte as flyte_binding
from hitl.engines.base import FormLink
from hitl.engines.flyte_app import show_form

env = flyte.TaskEnvironment(name="shown", depends_on=[hitl.env])
flyte_binding.LINK_SECONDS = 0.2  # type: ignore[misc]  # nobody answers here in any case


class PretendsToBeRemote(flyte_binding.FlyteAction):
    remote = True


class Told:
    """The task that shows the link; prints what Flyte is given."""

    def override(self, **changes: Any) -> "Told":
        [link] = changes["links"]
        print("link", link.name, changes["short_name"], link.get_link(*[""] * 3, {}, *[""] * 3), flush=True)
        return self

    async def aio(self, request_id: str) -> None:
        print("ran with", await show_form.aio(request_id), flush=True)


async def refuse(*_: object) -> None:
    raise OSError("nobody may write here")


async def wait(action: flyte_binding.FlyteAction, request_id: str, seconds: float) -> None:
    async def answered() -> str:
        await asyncio.sleep(seconds)
        return "an outcome"

    link = FormLink(f"name of {request_id}", "http://web", request_id, "s3://b/request.json", "token")
    assert await action.once(link, answered) == "an outcome"


@env.task(report=True)
async def show() -> None:
    context = flyte.ctx()
    assert context is not None
    action = PretendsToBeRemote(context.replace(run_base_dir=sys.argv[1]))
    refusing = patch.object(flyte.report, "flush", SimpleNamespace(aio=refuse))
    with refusing if "refused" in sys.argv else nullcontext():
        await action.show("a question", "<p>what is asked</p>")
    tab = flyte.report.get_tab(flyte_binding.REPORT_TAB)
    main = flyte.report.current_report().get_tab("main")
    print("tab", tab.get_html(), "main", repr(main.get_html()), flush=True)
    await wait(action, "answered", 0)
    await wait(action, "first", 2)
    await asyncio.gather(wait(action, "second", 2), wait(action, "third", 2))
    await asyncio.gather(*flyte_binding._shown)


if __name__ == "__main__":
    flyte.init()
    with patch.object(flyte_binding, "show_form", Told()):
        flyte.with_runcontext(name="the-run", mode="local").run(show)
    print("done", flush=True)
