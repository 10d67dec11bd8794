"""Git repositories of manifests, served on loopback."""

import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

import yaml

from tests.cluster.operators import Object

_SETTINGS = {"user.name": "ada", "user.email": "ada@example.org", "commit.gpgsign": "false"}


class Repository:
    """A Git repository of manifests.

    Args:
        folder: Where it lies.
        url: Where it is served.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.url = url
        (folder / "approvals").mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        for name, text in _SETTINGS.items():
            self._git("config", name, text)

    def commit(self, branch: str = "main", **objects: Object | None) -> str:
        """Write objects to files of their names, remove those that are None, and return the commit's hash."""
        self._git("checkout", "--quiet", "-B", branch)
        for name, content in objects.items():
            path = self._folder / "approvals" / f"{name}.yaml"
            if content is None:
                path.unlink()
            else:
                path.write_text(yaml.safe_dump(content))
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message=Change what is asked or answered")
        return self._git("rev-parse", "HEAD")

    def revert(self) -> str:
        """Revert the last commit, and return the hash of the commit that does so."""
        self._git("revert", "--no-edit", "HEAD")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class GitServer:
    """Serves repositories over HTTP on loopback, by Git's own backend.

    Args:
        folder: Where the repositories lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = _Server(("127.0.0.1", 0), _Silent)
        self._server.set_app(self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def repository(self, name: str) -> Repository:
        """Make an empty repository."""
        return Repository(self._folder / name, f"http://127.0.0.1:{self._server.server_port}/{name}/.git")

    def _serve(self, request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        given = {name: text for name, text in request.items() if isinstance(text, str)}
        environment = {**given, "GIT_PROJECT_ROOT": str(self._folder), "GIT_HTTP_EXPORT_ALL": "1"}
        body = request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = headers.pop("Status", "200 OK")
        start(status, list(headers.items()))
        return [content]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
