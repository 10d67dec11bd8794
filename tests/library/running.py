"""Programs that ask, in processes of their own, and answers to them from outside."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

PROGRAMS = Path(__file__).parent / "programs"

# As a container's first process: `unshare` makes it process 1 of a namespace of its own.
FIRST_PROCESS = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


def namespaces() -> bool:
    """Tell whether this machine lets anybody make a process namespace."""
    try:
        return subprocess.run([*FIRST_PROCESS, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Program:
    """A program of `tests/library/programs`, or another file, and what it prints."""

    def __init__(self, *command: str, path: Path | None = None, under: tuple[str, ...] = ()) -> None:
        name, *arguments = command
        self.process = subprocess.Popen(
            [*under, sys.executable, str(path or PROGRAMS / f"{name}.py"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, containing: str, seconds: float = 60) -> str:
        """Return the next line that holds a text."""
        while (line := self._lines.get(timeout=seconds)) is not None:
            if containing in line:
                return line
        raise AssertionError(f"{containing!r} was never printed:\n" + "".join(self.printed))

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            self._lines.put(line)
        self._lines.put(None)


def form_url(line: str) -> str:
    """Return the link in a line."""
    found = re.search(r"http://\S+", line)
    assert found, line
    return found[0]


def answer(url: str, value: Any) -> requests.Response:
    """Answer the question behind a link, as a script does."""
    parts = urlsplit(url)
    body = {
        "request_id": parts.path.rpartition("/")[2],
        "value": value,
        "token": parse_qs(parts.query)["token"][0],
    }
    return requests.post(f"{parts.scheme}://{parts.netloc}/submit/json", json=body, timeout=30)
