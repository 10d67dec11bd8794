"""`hitl list`: the questions of a root, of a cluster or of a web app, by the inbox's own filters."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.options import AsJson, rooted
from hitl.cli.place import Place, looks
from hitl.cli.view import RequestView
from hitl.cli.web_listing import ListedQuestion, WebListing, token_of
from hitl.core.values import DataType
from hitl.errors import InvalidRequest
from hitl.settings import Settings
from hitl_webapp.inbox.queries import Query, Sort, State, View, read_query
from hitl_webapp.inbox.rows import AskedBy
from hitl_webapp.problems import BadInput

Whose: TypeAlias = Annotated[
    View, typer.Option("--view", metavar="VIEW", help="all, mine (naming you), or groups (naming one of yours).")
]
InState: TypeAlias = Annotated[
    State | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="open, settled, answered, rejected, timed_out, cancelled, overdue or any. Else open.",
        show_default=False,
    ),
]
OfType: TypeAlias = Annotated[
    DataType | None,
    typer.Option("--type", metavar="TYPE", help="int, float, bool, str or json.", show_default=False),
]
ByWhat: TypeAlias = Annotated[
    AskedBy | None,
    typer.Option("--asked-by", metavar="WHAT", help="run, humaninput or program.", show_default=False),
]
OfProject: TypeAlias = Annotated[str, typer.Option("--project", metavar="NAME", help="The project that asked.")]
OfRun: TypeAlias = Annotated[str, typer.Option("--run", metavar="NAME", help="The run that asked.")]
Words: TypeAlias = Annotated[
    str,
    typer.Option(
        "--text",
        metavar="WORDS",
        help="Beginnings of words in name or prompt, all of which must be there; or an id.",
    ),
]
SortedBy: TypeAlias = Annotated[
    Sort | None,
    typer.Option(
        "--sort",
        metavar="ORDER",
        help="deadline, age, name or ended (the last first). Else age.",
        show_default=False,
    ),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="At most so many.", show_default=False)
]
Server: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="List what you may see in the web app at this address, such as https://hitl.example.com. "
        "HITL_TOKEN, or --token-file, says who you are.",
        show_default=False,
    ),
]
TokenFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="The bearer token for --server.", show_default=False),
]


@looks
def list_requests(
    place: Place,
    settled: Annotated[bool, typer.Option("--all", help="Those with an outcome, too: --state any.")] = False,
    view: Whose = "all",
    state: InState = None,
    data_type: OfType = None,
    project: OfProject = "",
    run: OfRun = "",
    asked_by: ByWhat = None,
    text: Words = "",
    sort: SortedBy = None,
    limit: Limit = None,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """List the questions that wait for an answer, oldest first."""
    if settled and state is not None:
        output.fail("give --all or --state, and not both", Code.USAGE)
    if token_file is not None and server is None:
        output.fail("--token-file is for --server: give that too", Code.USAGE)
    place, namespace = place.filtering(server=server is not None)
    wanted = state or ("any" if settled else "open")
    given = {
        "view": view,
        "state": wanted,
        "type": data_type or "",
        "project": project,
        "run": run,
        "asked_by": asked_by or "",
        "text": text,
        "namespace": namespace,
        "sort": sort or ("age" if wanted == "open" else "ended"),
    }
    try:
        query = read_query(given)
    except BadInput as error:
        raise InvalidRequest(str(error)) from error
    if server is not None:
        listing = WebListing(server, query, token_of(token_file, Settings().token.get_secret_value()))
        _print_listed(listing, asyncio.run(_taken(listing, limit)), as_json)
        return
    _print_found(place, query, limit, ordered=sort is not None, as_json=as_json)


async def _taken(listing: WebListing, limit: int | None) -> list[ListedQuestion]:
    return [each async for each in listing.questions(limit)]


def _print_listed(listing: WebListing, found: list[ListedQuestion], as_json: bool) -> None:
    if listing.notice and not found:
        # An empty list must not look as if nothing waited.
        code = Code.REFUSED if listing.complete else Code.UNAVAILABLE
        output.fail(f"{listing.server}: {listing.notice}", code)
    if as_json:
        output.print_json(found)
    elif found:
        output.print_listed(found, datetime.now(UTC), settled=listing.query.state != "open")
    elif listing.complete:
        output.say(_nothing(listing.query))
    if listing.notice:
        output.say(listing.notice)
    elif not listing.complete:
        output.say("the web app has not read all questions yet, or reads old ones: list them again in a moment")
    _say_more(listing.total - len(found))


def _print_found(place: Place, query: Query, limit: int | None, *, ordered: bool, as_json: bool) -> None:
    left: list[str] = []
    backend = place.backend(warn=left.append)
    now = datetime.now(UTC)
    views = asyncio.run(backend.list(settled=query.state not in ("open", "overdue")))
    plain = not (ordered or query.filtered or query.view != "all" or query.state not in ("open", "any"))
    if query.state == "open":
        views = _waiting(views, now, left)
    if not plain:
        # Loaded only here: a list without filters needs no index.
        from hitl.cli.choosing import chosen

        views = chosen(views, query, now, ordered=ordered)
    more, views = max(0, len(views) - (limit or len(views))), views[:limit]
    if as_json:
        output.print_json(views)
    elif views:
        output.print_requests(views, now, settled=query.state != "open")
    elif not left:
        output.say(_nothing(query))
        if (folder := _missing_root(place)) is not None:
            output.say(f"There is no folder {folder} yet: check --root.")
    for each in left:
        output.say(each)
    _say_more(more)


def _waiting(views: list[RequestView], now: datetime, left: list[str]) -> list[RequestView]:
    """Return the questions whose deadline is to come; note the others, and for which of them nobody waits."""
    waiting = [view for view in views if view.expires_at > now]
    if expired := len(views) - len(waiting):
        left.append(
            f"left out: {expired} whose deadline has passed. `hitl list --all` shows them, `hitl gc` settles them"
        )
    left += [f"{view.id}: {output.ASKER_ENDED}: `hitl cancel {view.id}`" for view in waiting if view.asker_ended]
    return waiting


def _nothing(query: Query) -> str:
    if query.filtered or query.view != "all" or query.state not in ("open", "any"):
        return "No question matches."
    return "Nothing waits for an answer." if query.state == "open" else "There are no questions."


def _missing_root(place: Place) -> Path | None:
    """Return the folder that `--root` names, if there is no such folder: its name may be misspelt."""
    root = Settings().storage_root
    if place.is_cluster or not rooted.get() or "://" in root.removeprefix("file://"):
        return None
    folder = Path(root.removeprefix("file://"))
    return None if folder.exists() else folder


def _say_more(number: int) -> None:
    if number > 0:
        match, them = ("matches", "it") if number == 1 else ("match", "them")
        output.say(f"{number} more {match}: raise --limit to see {them}")
