"""The processes that are compared: ours, the peer from PyPI in an environment of its own, and a bare floor."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PEER = "flyteplugins-hitl==2.12.1"
# What the peer's own image installs beside it.
PEER_NEEDS = ("fastapi", "uvicorn", "python-multipart", "aiofiles")
FLOOR = """
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
app = FastAPI()
@app.get("/form/{request_id}", response_class=HTMLResponse)
async def form(request_id: str) -> str:
    return "<!doctype html><title>floor</title>"
"""


# What no server in Python can do without that records durably: HTTP, JSON, and the syncs, by a thread each.
SYNCING = """
import asyncio, itertools, json, os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tests.bench.disk import create
home, numbers, pool = Path(os.environ["FLOOR_HOME"]), itertools.count(), ThreadPoolExecutor(16)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["method"] == "POST":
        json.loads((await receive())["body"])
        await asyncio.get_running_loop().run_in_executor(pool, create, home / f"folder-{next(numbers)}")
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})
"""


@dataclass(frozen=True)
class Server:
    """How to start one of the compared servers: a name, a command that takes ``--port`` last, its environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def ours(root: Path, **more: str) -> Server:
    """Return our web app over a root, with more settings if given."""
    environment = {"HITL_STORAGE_ROOT": str(root), "HITL_AUTH": "link", **more}
    return Server("hitl", (sys.executable, "-m", "hitl_webapp"), environment)


def peer(build: Path) -> Server:
    """Return the peer, installed once into an environment of its own."""
    home = build / "bench-peer"
    python = home / "bin" / "python"
    stamp = home / ".installed"
    if not stamp.exists():
        print(f"installing {PEER} for comparison …", flush=True)
        uv = shutil.which("uv")
        make = [uv, "venv", "-q", str(home)] if uv else [sys.executable, "-m", "venv", str(home)]
        install = (
            [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
        )
        subprocess.run(make, check=True)
        subprocess.run([*install, PEER, *PEER_NEEDS], check=True)
        stamp.touch()
    command = (str(python), "-m", "uvicorn", "flyteplugins.hitl._app:app", "--host", "127.0.0.1")
    return Server("peer", command, {})


def floor(build: Path) -> Server:
    """Return a bare FastAPI and uvicorn process with one route."""
    folder = build / "bench-floor"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "floor_app.py").write_text(FLOOR)
    command = (sys.executable, "-m", "uvicorn", "floor_app:app", "--host", "127.0.0.1", "--app-dir", str(folder))
    return Server("floor", command, {})


def syncing(build: Path, home: Path, count: int) -> Server:
    """Return a bare uvicorn process that reads JSON, and creates a file durably for each request.

    Args:
        build: Where its module is written.
        home: Where it creates files, each in a folder of its own, which are made here.
        count: How many requests it serves at most.
    """
    folder = build / "bench-syncing"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "syncing_app.py").write_text(SYNCING)
    for number in range(count):
        (home / f"folder-{number}").mkdir(parents=True)
    options = ("--no-access-log", "--lifespan", "off", "--app-dir", str(folder))
    command = (sys.executable, "-m", "uvicorn", "syncing_app:app", "--host", "127.0.0.1", *options)
    # It takes what is measured of the disk alone from this package.
    environment = {"FLOOR_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    return Server("syncing", command, environment)


@contextlib.contextmanager
def running(server: Server, form_path: str) -> Iterator[tuple[int, float, psutil.Process]]:
    """Run a server; yield its port, the seconds from start to its first form, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {**os.environ, **server.environment, "HITL_PORT": str(port), "HITL_HOST": "127.0.0.1"}
    # As whoever installs them runs them: Python keeps what it compiled.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    arguments = () if server.name == "hitl" else ("--port", str(port))
    began = time.perf_counter()
    process = subprocess.Popen(
        [*server.command, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _first_form(f"http://127.0.0.1:{port}{form_path}", process)
        yield port, time.perf_counter() - began, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _first_form(url: str, process: subprocess.Popen[bytes]) -> None:
    port = int(url.split(":")[2].split("/")[0])
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.005)
    else:
        raise SystemExit(f"{process.args!r} ended with {process.returncode} before it served")
    with urllib.request.urlopen(url, timeout=30) as response:
        response.read()
