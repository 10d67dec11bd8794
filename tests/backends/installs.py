"""Servers that do not come with the Python packages: Azurite from npm, a GCS from Go modules.

They are installed once per machine, into ``~/.cache/hitl/``. What cannot be had is named as not tested.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hitl")
AZURITE_VERSION = "3.37.0"
_GCS_SOURCE = Path(__file__).parent / "gcs"


def azurite(config: pytest.Config) -> list[str]:
    """Return the command that runs Azurite's blob service, installed when it is not there yet."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("azure not tested: no Node (node and npm) on the PATH")
    home = CACHE / f"azurite-{AZURITE_VERSION}"
    if not home.exists():
        with _announced(config, f"Azurite {AZURITE_VERSION}"), _made_at_once(home) as folder:
            _run(
                [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"azurite@{AZURITE_VERSION}"]
            )
    return [node, str(home / "node_modules/azurite/dist/src/blob/main.js")]


def gcs(config: pytest.Config) -> list[str]:
    """Return the command that runs the GCS of ``tests/backends/gcs``, built when it is not there yet."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("gcs not tested: no Go on the PATH")
    sources = [_GCS_SOURCE / name for name in ("main.go", "go.mod", "go.sum")]
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    home = CACHE / f"gcs-{digest[:12]}"
    if not home.exists():
        with _announced(config, "fake-gcs-server"), _made_at_once(home) as folder:
            _run(
                [
                    go,
                    "build",
                    "-C",
                    str(_GCS_SOURCE),
                    "-trimpath",
                    "-buildvcs=false",
                    "-o",
                    str(folder / "gcs"),
                    ".",
                ]
            )
    return [str(home / "gcs")]


@contextmanager
def _announced(config: pytest.Config, what: str) -> Iterator[None]:
    started = time.monotonic()
    _say(config, f"\ninstalling {what} into {CACHE} (once per machine)")
    yield
    _say(config, f"installed {what} after {time.monotonic() - started:.0f} s")


def _say(config: pytest.Config, line: str) -> None:
    """Print at once, past pytest's capturing: whoever waits for a minute should see for what."""
    capturing = config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled() if capturing else nullcontext():
        print(line, flush=True)


@contextmanager
def _made_at_once(home: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `home` when that succeeded, and never half-filled."""
    part = home.with_name(f"{home.name}.{os.getpid()}")
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}", pytrace=False)
