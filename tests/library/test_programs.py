"""Whether the program that asked still runs."""

import os
import socket
import subprocess
import sys

import pytest

from hitl.serving.programs import has_ended, this_program

HERE = socket.gethostname()


def test_a_program_that_runs_has_not_ended() -> None:
    assert not has_ended(this_program())


def test_a_program_that_is_gone_has_ended() -> None:
    code = "from hitl.serving.programs import this_program; print(this_program())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert has_ended(gone)


def test_another_process_that_has_the_same_id_is_not_the_program() -> None:
    assert has_ended(f"{HERE} {os.getpid()} 1")
    assert not has_ended(f"{HERE} {os.getpid()} -"), "when it began is not known"


@pytest.mark.parametrize(
    "program", ["", "x", HERE, f"{HERE} -1 5", f"{HERE} x 5", f"elsewhere {2**22} 5", f"{HERE} {10**30} 5"]
)
def test_of_what_is_not_known_here_nothing_is_said(program: str) -> None:
    assert not has_ended(program)
