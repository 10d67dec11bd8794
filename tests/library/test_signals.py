"""SIGTERM for a container's first process that waits for an answer."""

import signal

import pytest

from tests.library.running import FIRST_PROCESS, Program, namespaces

pytestmark = pytest.mark.skipif(not namespaces(), reason="this machine makes no process namespaces")


@pytest.mark.parametrize("how", ["in the loop", "blocking", "in a thread"])
def test_a_first_process_that_waits_ends_at_once(how: str) -> None:
    program = Program("first_process", how, under=FIRST_PROCESS)

    assert program.end() == 128 + signal.SIGTERM
    assert "SIGTERM while waiting for an answer" in "".join(program.printed)
    assert "went on" not in "".join(program.printed)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("not", id="it does not wait, and the kernel spares it"),
        pytest.param("forked", id="its forked child ends as any process does"),
        pytest.param("taken", id="the task has a handler of its own"),
    ],
)
def test_nothing_else_changes_for_a_first_process(how: str) -> None:
    program = Program("first_process", how, under=FIRST_PROCESS)

    assert program.end() == 0
    assert ("taken" in "".join(program.printed)) == (how == "taken")
    assert "went on" in "".join(program.printed)
