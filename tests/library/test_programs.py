"""Whether the program that asked still runs."""

import os
import subprocess
import sys

import pytest

from hitl.serving.programs import has_ended, this_program
from tests.library.running import FIRST_PROCESS, namespaces

HERE = this_program().split()[0]


def test_a_program_that_runs_has_not_ended() -> None:
    assert not has_ended(this_program())


def test_a_program_that_is_gone_has_ended() -> None:
    code = "from hitl.serving.programs import this_program; print(this_program())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert has_ended(gone)


@pytest.mark.skipif(not namespaces(), reason="this machine makes no process namespaces")
def test_of_a_container_with_the_name_of_its_host_nothing_is_known() -> None:
    code = "from hitl.serving.programs import this_program; print(this_program())"
    inside = subprocess.run(
        [*FIRST_PROCESS, sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()

    # With a /proc of its own, as a container has, it knows another begin.
    machine, number, _ = inside.split()
    assert not has_ended(f"{machine} {number} 1")


def test_another_process_that_has_the_same_id_is_not_the_program() -> None:
    assert has_ended(f"{HERE} {os.getpid()} 1")
    assert not has_ended(f"{HERE} {os.getpid()} -"), "when it began is not known"


@pytest.mark.parametrize(
    "program", ["", "x", HERE, f"{HERE} -1 5", f"{HERE} x 5", f"elsewhere {2**22} 5", f"{HERE} {10**30} 5"]
)
def test_of_what_is_not_known_here_nothing_is_said(program: str) -> None:
    assert not has_ended(program)
