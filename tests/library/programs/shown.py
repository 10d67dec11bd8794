"""A task whose action says that it is remote, though it is not: shows what a cluster's Flyte would be given."""

import asyncio
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import flyte

import hitl
from hitl.engines import flyte as flyte_binding
from hitl.engines.base import FormLink

env = flyte.TaskEnvironment(name="shown", depends_on=[hitl.env])


class PretendsToBeRemote(flyte_binding.FlyteAction):
    remote = True


async def refuse(*_: object) -> None:
    raise OSError("nobody may write here")


@env.task(report=True)
async def show() -> str:
    action = PretendsToBeRemote(flyte.ctx())
    link = FormLink("http://web", "an-id", "s3://b/request.json", "token")
    refusing = patch.object(flyte.report, "flush", SimpleNamespace(aio=refuse))
    with refusing if "refused" in sys.argv else nullcontext():
        await action.show("a question", "http://web/form/an-id", "<p>what is asked</p>", link)
    tab = flyte.report.get_tab(flyte_binding.REPORT_TAB)
    main = flyte.report.current_report().get_tab("main")
    tasks = list(flyte_binding._shown)
    print("tasks", len(tasks), "tab", tab.get_html(), "main", repr(main.get_html()), flush=True)
    return str((await asyncio.gather(*tasks))[0]) if tasks else "nothing"


if __name__ == "__main__":
    flyte.init()
    print("value", flyte.with_runcontext(mode="local").run(show).outputs()[0], flush=True)
