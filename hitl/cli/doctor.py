"""`hitl doctor`: checks each part, and says what to do."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

import typer
from pydantic import BaseModel, ConfigDict

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.options import AsJson
from hitl.cli.root import probe
from hitl.cli.unseen import unseen_namespaces
from hitl.errors import StorageError, printable
from hitl.extras import how_to_install
from hitl.settings import Settings

State = Literal["ok", "off", "broken"]
_HTTP_SECONDS: Final = 3.0
_SIGNS: Final = {"ok": "✓", "off": "–", "broken": "✗"}


class Finding(BaseModel):
    """The result of one check."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    part: str
    """What was looked at."""
    state: State
    """`ok`, `off` (not there, and not needed) or `broken`."""
    detail: str
    """What was found."""
    advice: str = ""
    """What to do, if anything."""


def doctor(as_json: AsJson = False) -> None:
    """Say what is reachable and what is not, and what to do; exit 1 when something needed is broken."""
    findings = asyncio.run(_examine(Settings()))
    if as_json:
        output.print_json(findings)
    else:
        for finding in findings:
            print(printable(f"{_SIGNS[finding.state]} {finding.part + ':':<12} {finding.detail}"))
            if finding.advice:
                print(printable(f"  {'':<12} {finding.advice}"))
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(Code.REFUSED)


async def _examine(settings: Settings) -> list[Finding]:
    checks: list[Callable[[Settings], Awaitable[Finding]]] = [_python, _root, _web, _flyte, _operator, _unseen]
    return list(await asyncio.gather(*(check(settings) for check in checks)))


async def _python(_settings: Settings) -> Finding:
    return Finding(
        part="python", state="ok", detail=f"{platform.python_version()}, flyte-hitl {version('flyte-hitl')}"
    )


async def _root(settings: Settings) -> Finding:
    problem, times = await probe(settings)
    named = (
        "HITL_STORAGE_ROOT"
        if settings.storage_root
        else "your own folder; --root or HITL_STORAGE_ROOT names another"
    )
    where = f"{settings.root()} ({named})"
    if problem:
        return Finding(part="root", state="broken", detail=where, advice=problem)
    took = times["create"] * 1000
    return Finding(part="root", state="ok", detail=f"{where}: records one outcome only, in {took:.0f} ms")


async def _web(settings: Settings) -> Finding:
    if settings.endpoint:
        return await _reached(
            "web app",
            f"{settings.endpoint.rstrip('/')}/health",
            "HITL_ENDPOINT names it: start it with `hitl serve`, or correct the address",
        )
    try:
        version("uvicorn")
    except PackageNotFoundError:
        return Finding(
            part="web app",
            state="broken",
            detail="not installed, and HITL_ENDPOINT names none",
            advice=f"{how_to_install('webapp')}, or set HITL_ENDPOINT to the one that others run",
        )
    return Finding(
        part="web app", state="ok", detail="served from each program that asks (HITL_ENDPOINT names no other)"
    )


async def _flyte(_settings: Settings) -> Finding:
    try:
        return Finding(part="flyte", state="ok", detail=version("flyte"))
    except PackageNotFoundError:
        return Finding(
            part="flyte",
            state="off",
            detail="not installed",
            advice=f"to ask from tasks: {how_to_install('flyte')}",
        )


async def _operator(settings: Settings) -> Finding:
    if not settings.hint_url:
        return Finding(part="operator", state="off", detail="HITL_HINT_URL is not set, so no hints are sent")
    found = await _reached(
        "operator",
        f"{settings.hint_url.rstrip('/')}/healthz",
        "HITL_HINT_URL names it; it is reached in its cluster",
    )
    # Hints only make things faster: the operator's sweep finds everything without them.
    return found.model_copy(update={"state": "off" if found.state == "broken" else found.state})


async def _unseen(settings: Settings) -> Finding:
    part = "questions"
    if not settings.storage_root:
        return Finding(part=part, state="off", detail="no operator shows those of your own folder")
    try:
        unseen = await unseen_namespaces(settings)
    except StorageError as error:
        return Finding(part=part, state="off", detail=f"cannot be listed here: {error}")
    if not unseen:
        return Finding(part=part, state="ok", detail="none waits for an operator to show it")
    counts = ", ".join(f"{count} in the namespace {name!r}" for name, count in sorted(unseen.items()))
    return Finding(
        part=part,
        state="broken",
        detail=f"no operator shows these for over a minute: {counts}",
        advice="create the namespace, or set HITL_NAMESPACE where tasks run to one that the operator serves; "
        "the operator's log says why",
    )


async def _reached(part: str, url: str, advice: str) -> Finding:
    # Every other command does without, and it takes long to load.
    import httpx

    try:
        # Of the reply its head is enough, however much of it there is.
        async with (
            asyncio.timeout(_HTTP_SECONDS),
            httpx.AsyncClient(timeout=_HTTP_SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            pass
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return Finding(part=part, state="broken", detail=f"{url}: {error or type(error).__name__}", advice=advice)
    state: State = "ok" if response.is_success else "broken"
    return Finding(
        part=part, state=state, detail=f"{url}: {response.status_code}", advice=advice if state == "broken" else ""
    )
