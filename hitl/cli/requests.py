"""`hitl list`, `show`, `answer`, `reject`, `cancel`, `wait`: what people do with requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from hitl.cli import output
from hitl.cli.backend import Backend
from hitl.cli.codes import Code, code_of_phase
from hitl.cli.options import (
    AsJson,
    Comment,
    Context,
    Everywhere,
    Kubeconfig,
    Namespace,
    RequestId,
    in_cluster,
)
from hitl.cli.storage_backend import Stored
from hitl.cli.view import RequestView
from hitl.core.documents import format_time
from hitl.core.text import one_line, printable
from hitl.errors import ClusterError
from hitl.settings import Settings


def list_requests(
    settled: Annotated[bool, typer.Option("--all", help="Those with an outcome, too.")] = False,
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the requests that wait for an answer, oldest first."""
    left: list[str] = []
    backend = _backend(namespace, everywhere, context, kubeconfig, warn=left.append)
    views = asyncio.run(backend.list(settled=settled))
    if not settled:
        now = datetime.now(UTC)
        expired = [view for view in views if view.expires_at <= now]
        views = [view for view in views if view.expires_at > now]
        if expired:
            left.append(
                f"left out: {len(expired)} whose deadline has passed. `hitl list --all` shows them, `hitl gc` "
                "settles them"
            )
    if as_json:
        output.print_json(views)
    elif views:
        output.print_requests(views, datetime.now(UTC), settled=settled)
    elif not left:
        output.say("Nothing waits for an answer." if not settled else "There are no requests.")
    for each in left:
        output.say(each)


def show(
    request_id: RequestId,
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show one request and its outcome."""
    view = asyncio.run(_backend(namespace, everywhere, context, kubeconfig).show(request_id))
    if as_json:
        output.print_json(view)
    else:
        output.print_request(view, datetime.now(UTC))


def answer(
    request_id: RequestId,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The answer, as one types it in the form.")],
    comment: Comment = "",
    json_value: Annotated[
        bool, typer.Option("--json-value", help="VALUE is JSON, such as '\"text\"' or '[1, 2]'.")
    ] = False,
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Answer a request."""
    _recorded(
        asyncio.run(
            _backend(namespace, everywhere, context, kubeconfig).answer(
                request_id, value, text=not json_value, comment=comment
            )
        ),
        as_json,
    )


def reject(
    request_id: RequestId,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.", show_default=False)],
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Refuse to answer a request. The program that waits gets the reason."""
    if not one_line(comment):
        output.fail("--comment is empty: give a reason, which the waiting program gets", Code.USAGE)
    _recorded(
        asyncio.run(_backend(namespace, everywhere, context, kubeconfig).reject(request_id, comment=comment)),
        as_json,
    )


def cancel(
    request_id: RequestId,
    comment: Comment = "",
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Withdraw a request, so that nobody needs to answer it any more."""
    _recorded(
        asyncio.run(_backend(namespace, everywhere, context, kubeconfig).cancel(request_id, comment=comment)),
        as_json,
    )


def wait(
    request_id: RequestId,
    as_json: AsJson = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Wait until a request has an outcome, and print its value."""
    with output.waiting(f"waiting for {request_id}"):
        view = asyncio.run(_backend(namespace, everywhere, context, kubeconfig).wait(request_id))
    finish(view, as_json)


def finish(view: RequestView, as_json: bool) -> None:
    """Print the outcome of a request that was waited for, and end with its exit code."""
    if as_json:
        output.print_json(view)
    elif view.phase == "Answered":
        output.print_value(view.value_text())
    code = code_of_phase(view.phase)
    if code is not Code.DONE:
        output.say(f"hitl: {summary(view)}")
        raise typer.Exit(code)


def summary(view: RequestView) -> str:
    """Return one sentence that says what was recorded, on one line whatever people wrote."""
    who = f" by {one_line(view.respondent())}" if view.by else ""
    when = f" at {format_time(view.settled_at)}" if view.settled_at else ""
    comment = f": {one_line(view.comment)}" if view.comment else ""
    match view.phase:
        case "Answered":
            return f"{view.id}: answered {one_line(view.value_text())}{who}{when}{comment}"
        case "TimedOut":
            return f"{view.id}: nobody answered before the deadline"
        case "Pending":
            return f"{view.id}: pending"
        case phase:
            return f"{view.id}: {phase.lower()}{who}{when}{comment}"


def _recorded(view: RequestView, as_json: bool) -> None:
    if as_json:
        output.print_json(view)
    else:
        print(printable(summary(view)))


def _backend(
    namespace: str | None,
    everywhere: bool,
    context: str | None,
    kubeconfig: str | None,
    warn: Callable[[str], None] = output.say,
) -> Backend:
    """Return where to look: in a cluster when one is named, or when kubectl calls; else under the root."""
    if not (in_cluster.get() or namespace or everywhere or context or kubeconfig):
        return Stored(Settings(), warn)
    try:
        from hitl.cli.cluster_backend import InCluster, Target
    except ImportError as error:
        raise ClusterError(
            f"for a cluster more is needed: pip install 'flyte-hitl[kubernetes]' ({error})"
        ) from error
    return InCluster(Target(kubeconfig, context, namespace, everywhere), warn)
