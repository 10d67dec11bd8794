"""`make soak`: faults between operator, API server and storage while people ask and answer.

At the end every question must have the outcome that the storage has, no second one, and no ghost, and no object
may be in trouble without a condition. Ends with 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from rich.console import Console
from rich.status import Status

from tests.backends.seaweed import Seaweed
from tests.cluster.control_plane import ControlPlane
from tests.soak.run import Report, soak
from tests.soak.world import NAMESPACES, World

BUILD = Path(__file__).parents[2] / "build" / "soak"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print what came of it, and return 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long there are faults (600)")
    parser.add_argument("--seed", type=int, help="what decides; a random one by default")
    parser.add_argument("--rate", type=float, default=4, help="questions asked in a second (4)")
    parser.add_argument("--patience", type=float, default=180, help="seconds after the faults to mend all (180)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)
    seed = SystemRandom().randrange(10**6) if given.seed is None else given.seed
    console = Console(stderr=True)
    console.print(f"seed {seed}; logs in {BUILD}")
    report = _run(seed, given.seconds, given.rate, given.patience, console)
    if given.json:
        print(json.dumps(dataclasses.asdict(report), ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 1 if report.faults else 0


def _run(seed: int, seconds: float, rate: float, patience: float, console: Console) -> Report:
    shutil.rmtree(BUILD, ignore_errors=True)
    plane, s3 = ControlPlane(BUILD / "control-plane"), Seaweed(BUILD / "seaweed")
    told = 0.0
    with console.status("starting etcd, API server, storage and web app") as status:
        try:
            plane.start()
            plane.install_crds()
            for namespace in NAMESPACES:
                plane.kubectl("create", "namespace", namespace)
            s3.start()

            def progress(text: str) -> None:
                nonlocal told
                _show(status, console, text, time.monotonic() - told > 30)
                told = time.monotonic() if time.monotonic() - told > 30 else told

            with World(BUILD, seed, plane, s3) as world:
                return asyncio.run(soak(world, seed, seconds, rate, patience, progress))
        finally:
            plane.stop()
            s3.kill()


def _show(status: Status, console: Console, text: str, long_ago: bool) -> None:
    if console.is_terminal:
        status.update(text)
    elif long_ago:
        console.print(text)


def _print(report: Report) -> None:
    print(f"seed {report.seed}, {report.arrangement}")
    print(f"{report.questions} questions: {_counts(report.done)}")
    for wire, struck in report.struck.items():
        print(f"faults before the {wire}: {_counts(struck)}")
    print(f"operators killed or ended: {report.kills}; all mended after {report.quiet_seconds} s of quiet")
    for fault in report.faults:
        print(f"WRONG: {fault}")
    print(f"{len(report.faults)} faults; the same again: --seed {report.seed}" if report.faults else "no fault")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
