"""Server processes that end with the test session, whatever ends it, and loopback ports for them."""

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Below the range from which the system takes ports for outgoing connections, so that a port stays free between
# being chosen and being served, and while its server is down.
_PORTS = range(20_000, 32_000)
_TAKEN = Path(tempfile.gettempdir()) / f"hitl-test-ports-{os.getuid()}"

PATIENCE = 120.0
"""Seconds that what is right may take on a machine that does much else. A test that passes waits for less."""


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface on which nothing listens, and which no other test run takes.

    They are this process's own until it ends: a server's port stays free while the server is down.
    """
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if not _could_take(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found


def _could_take(port: int) -> bool:
    """Take a port from all other test runs of this user, until this process ends; tell whether it was free."""
    _TAKEN.mkdir(exist_ok=True)
    # Left open on purpose: the lock ends with the process, however that ends. What it starts does not inherit it.
    lock = os.open(_TAKEN / str(port), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    return True


class ServerProcess:
    """A server that can be paused, killed and started again with the same command line.

    Args:
        command: The program and its arguments.
        log: Where its output goes; the end of it is part of the error when it does not come up.
        is_ready: Tells whether it serves; called until it says so.
        env: Variables besides this process's own.
        cwd: Its working directory.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        is_ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._is_ready = is_ready
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id, while it runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self, timeout_seconds: float = PATIENCE) -> None:
        """Start it, and wait until it serves."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command[0]} did not come up:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def pause(self) -> None:
        """Stop it where it is: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        # Until all of its threads stand still, one of them may answer.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self, timeout_seconds: float = PATIENCE) -> int:
        """Ask it to end, wait until it did, and return its exit code."""
        assert self._process is not None, "the server is not running"
        self._process.terminate()
        code = self._process.wait(timeout_seconds)
        self._process = None
        return code

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
