"""`hitl link`: create, list and revoke links to a form."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from pydantic import AwareDatetime, BaseModel, ConfigDict

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.ids import read_url
from hitl.cli.options import AsJson, RequestId
from hitl.cli.storage_backend import Stored
from hitl.cli.tables import print_table
from hitl.core import keys
from hitl.core.documents import format_time
from hitl.core.links import LinkDocument
from hitl.core.urls import form_url
from hitl.errors import AlreadySettled, InvalidRequest, ServeError
from hitl.records.links import add_link, list_links, revoke_link
from hitl.records.requests import read_outcome
from hitl.settings import Settings

_SHOWN_CHARS: Final = 12
_HASH: Final = re.compile("[0-9a-f]{8,64}", re.ASCII)


class Link(BaseModel):
    """One link. Its token is stored nowhere, so nobody can show it again."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    link: str
    """The beginning of its token's hash, which `--revoke` takes."""
    label: str
    """The person who gets it, or empty."""
    created_at: AwareDatetime
    """When it was made."""
    expires_at: AwareDatetime | None
    """Until when it grants anything, or null: as long as the question waits."""


def link(
    request_id: RequestId,
    label: Annotated[
        str, typer.Option(metavar="TEXT", help="Who gets it; at most 256 characters.", show_default=False)
    ] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The web app's base URL. HITL_ENDPOINT; else as recorded.", show_default=False
        ),
    ] = "",
    show: Annotated[bool, typer.Option("--list", help="List the links; make none.")] = False,
    revoke: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LINK",
            help="Revoke this link: its URL, its token, or at least 8 characters of what --list shows. Give it "
            "once for each; none is made.",
            show_default=False,
        ),
    ] = None,
    revoke_all: Annotated[bool, typer.Option("--revoke-all", help="Revoke all links; make none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new link to a form and print it. Everyone who has it may answer. Or list or revoke links."""
    wanted = [bool(revoke), revoke_all, show, bool(label or endpoint)]
    if sum(wanted) > 1:
        output.fail("give one of --list, --revoke and --revoke-all, without --label and --endpoint", Code.USAGE)
    stored = Stored(Settings())
    request_id = asyncio.run(stored.whole(request_id))
    if show:
        _show(asyncio.run(_links(stored, request_id)), as_json)
    elif revoke or revoke_all:
        revoked = asyncio.run(_revoke(stored, request_id, revoke or ()))
        if as_json:
            output.print_json({"request_id": request_id, "revoked": [each[:_SHOWN_CHARS] for each in revoked]})
        else:
            output.say(
                f"{request_id}: {len(revoked)} {'link was' if len(revoked) == 1 else 'links were'} revoked."
            )
    else:
        url = asyncio.run(_new_link(stored, request_id, label, endpoint or Settings().endpoint))
        if as_json:
            output.print_json({"request_id": request_id, "label": label, "url": url})
        else:
            output.print_value(url)


def hash_of(request_id: str, given: str, links: Sequence[str]) -> str:
    """Return the hash of the link that somebody named.

    Args:
        request_id: The request, which is named in errors. They never repeat what was given: it may be a secret.
        given: A form's URL, a token, or at least 8 characters of a hash.
        links: The hashes of the request's links.

    Raises:
        InvalidRequest: when none or several of the links are meant.
    """
    token, hint = given, f"`hitl link {request_id} --list` shows its links"
    if "/" in given or "?" in given:
        named, token = read_url(given)
        if not token or named != request_id:
            raise InvalidRequest(f"that URL is no link to the form of {request_id}: {hint}")
    if (digest := keys.hash_token(token)) in links:
        return digest
    matches = [each for each in links if _HASH.fullmatch(given.lower()) and each.startswith(given.lower())]
    if len(matches) > 1:
        raise InvalidRequest(f"{len(matches)} links of {request_id} begin like that: give more characters; {hint}")
    if not matches:
        which = "give its URL, its token, or at least 8 characters of its beginning"
        raise InvalidRequest(f"that is no link of {request_id}: {which}; {hint}")
    return matches[0]


async def _new_link(stored: Stored, request_id: str, label: str, endpoint: str) -> str:
    if len(label) > 256:
        raise InvalidRequest(f"--label has {len(label)} characters: it may have 256")
    document = (await stored.read(request_id)).document
    outcome = await read_outcome(stored.store, request_id)
    if outcome is not None:
        raise AlreadySettled(outcome)
    base = (endpoint or document.app_endpoint).rstrip("/")
    if not base:
        raise ServeError(
            f"where the web app is reached is not recorded with {request_id}: give --endpoint or set HITL_ENDPOINT"
        )
    now = stored.records.now()
    token = await add_link(stored.store, request_id, now=now, label=label, expires_at=document.expires_at)
    return form_url(base, request_id, token=token)


async def _links(stored: Stored, request_id: str) -> list[tuple[str, LinkDocument]]:
    """Return the links of a request that there is. One that is settled or damaged has some as well."""
    found = await list_links(stored.store, request_id) if keys.is_request_id(request_id) else []
    if not found:
        await stored.read(request_id)
    return found


async def _revoke(stored: Stored, request_id: str, given: Sequence[str]) -> list[str]:
    """Revoke the links that are named, or all, and return their hashes."""
    there = [digest for digest, _ in await _links(stored, request_id)]
    # All names are understood before anything is deleted.
    chosen = list(dict.fromkeys(hash_of(request_id, each, there) for each in given)) if given else there
    return [each for each in chosen if await revoke_link(stored.store, request_id, each)]


def _show(links: Sequence[tuple[str, LinkDocument]], as_json: bool) -> None:
    shown = [
        Link(
            link=digest[:_SHOWN_CHARS],
            label=document.label,
            created_at=document.created_at,
            expires_at=document.expires_at,
        )
        for digest, document in links
    ]
    if as_json:
        output.print_json(shown)
    elif shown:
        rows = [
            [
                each.link,
                each.label,
                format_time(each.created_at),
                format_time(each.expires_at) if each.expires_at else "",
            ]
            for each in shown
        ]
        print_table(["LINK", "LABEL", "CREATED", "EXPIRES"], rows, wrapped=("LABEL",))
    else:
        output.say("There are no links.")
