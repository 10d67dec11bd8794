"""`hitl doctor` and `hitl storage check`: what is reachable, what is not, and what to do."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

import httpx
import typer

from hitl.cli.output import print_json, print_table
from hitl.cli.requests import Json
from hitl.cli.running import open_root, run
from hitl.errors import HITLError
from hitl.settings import Settings

_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and what to do about it."""

    what: str
    state: Literal["ok", "broken", "absent"]
    detail: str


def check(json: Json = False) -> None:
    """Make sure that the storage can hold outcomes: writes one random key twice, and deletes it."""
    _report([_storage()], json)


def doctor(json: Json = False) -> None:
    """Say what is reachable and what is not, and what to do; ends with 1 when something needed is broken."""
    settings = Settings()
    findings = [
        Finding("Python", "ok", sys.version.split()[0]),
        _storage(),
        _installed("Web app", "hitl_webapp.main", "uvicorn", "pip install 'flyte-hitl[webapp]'"),
        _installed("Flyte", "flyte", "flyte", "pip install 'flyte-hitl[flyte]' to ask from Flyte tasks"),
        _served(
            "Web app's endpoint", settings.endpoint, "/health", "HITL_ENDPOINT is unset: local mode serves itself"
        ),
        _served("Operator's hints", settings.hint_url, "/healthz", "HITL_HINT_URL is unset: sweeps do without"),
    ]
    _report(findings, json)


def _storage() -> Finding:
    root = Settings().root()
    try:
        began = time.perf_counter()
        run(open_root().probe())
    except HITLError as error:
        return Finding("Storage", "broken", str(error))
    took = (time.perf_counter() - began) * 1000
    return Finding("Storage", "ok", f"{root} creates exclusively; the check took {took:.0f} ms")


def _installed(what: str, *modules_and_advice: str) -> Finding:
    *modules, advice = modules_and_advice
    missing = [each for each in modules if find_spec(each.partition(".")[0]) is None]
    return Finding(what, "absent", advice) if missing else Finding(what, "ok", "installed")


def _served(what: str, url: str, path: str, unset: str) -> Finding:
    if not url:
        return Finding(what, "absent", unset)
    try:
        reply = httpx.get(url.rstrip("/") + path, timeout=_SECONDS)
    except httpx.HTTPError as error:
        return Finding(what, "broken", f"{url} cannot be reached ({type(error).__name__}): is it running?")
    state: Literal["ok", "broken"] = "ok" if reply.is_success else "broken"
    return Finding(what, state, f"{url} answers {reply.status_code}")


def _report(findings: list[Finding], json: bool) -> None:
    if json:
        print_json([asdict(each) for each in findings])
    else:
        print_table(("WHAT", "STATE", "DETAIL"), [(each.what, each.state, each.detail) for each in findings], "")
    if any(each.state == "broken" for each in findings):
        raise typer.Exit(1)
