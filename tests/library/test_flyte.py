"""Questions of Flyte tasks, on Flyte's own local runner."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import hitl
from hitl.core import keys
from hitl.engines import flyte as flyte_binding
from hitl.engines.base import FormLink
from hitl.records.requests import read_request
from hitl.storage import Store
from tests.library.running import Program, answer, form_url

LINK = FormLink("a question", "http://web", "a-question", "s3://b/request.json", "token")
REPO = Path(__file__).parents[2]


def test_the_tutorial_runs_as_it_stands_and_the_script_answers_it() -> None:
    readme = (REPO / "README.md").read_text()
    tutorial = REPO / "examples" / "tutorial.py"
    assert tutorial.read_text() in readme
    program = Program("tutorial", path=tutorial)

    reply = answer(form_url(program.line("Access the form")), 42)

    assert reply.json()["status"] == "submitted"
    program.line("42")
    assert program.end() == 0


def test_the_script_of_the_old_plugin_answers(tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(
        (REPO / "examples" / "answer.py").read_text() + "\nimport flyteplugins.hitl as hitl\n"
        "event = hitl.new_event('scripted', int, timeout_seconds=60)\n"
        "print(submit_value_programmatically(event)['status'], event.wait())\n"
    )
    program = Program("both", path=tmp_path / "both.py")

    program.line("submitted 42")

    assert program.end() == 0


def test_a_task_killed_while_it_waits_finds_its_question_and_the_answer_given_meanwhile() -> None:
    first = Program("resumed", "the-run")
    line = first.line("asked")
    first.kill()
    second = Program("resumed", "the-run")
    again = second.line("asked")
    second.kill()
    # The web app was in the killed process: this one answers for it, as another machine's would.
    helper = Program("plain")
    port = re.search(r"http://127.0.0.1:(\d+)", helper.line("Answer at"))
    assert port is not None
    reply = answer(re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{port[1]}", form_url(line)), 17)
    helper.kill()

    third = Program("resumed", "the-run")

    assert line.partition(" at ")[0] == again.partition(" at ")[0], "the same request, the same deadline"
    assert reply.status_code == 200
    assert "17" in third.line("value")
    assert third.end() == 0


def test_another_run_asks_another_question() -> None:
    programs = [Program("resumed", name) for name in ("run-one", "run-two")]
    asked = [program.line("asked").split()[1] for program in programs]
    for program in programs:
        program.kill()

    assert asked[0] != asked[1]


async def test_a_question_of_a_run_on_this_machine_says_that_no_cluster_knows_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Store(f"file://{tmp_path}")
    monkeypatch.setenv("HITL_STORAGE_ROOT", root.url)
    program = Program("resumed", "the-run")
    program.line("asked")
    program.kill()

    origin = (await read_request(root, *await root.list_request_ids())).document.origin
    assert (origin.run, origin.local) == ("the-run", True)


def test_ten_tables_asked_in_another_order_after_a_kill_get_their_own_answers() -> None:
    first = Program("tables", "the-run", "1")
    links = dict(_table(first.line("asked table")) for _ in range(10))
    for table in list(links)[:3]:
        assert answer(links[table], f"answer for {table}").status_code == 200
    first.kill()

    second = Program("tables", "the-run", "2")
    links = dict(_table(second.line("asked table")) for _ in range(10))
    for table, link in links.items():
        assert answer(link, f"answer for {table}").status_code in (200, 409)
    line = second.line("value")

    assert second.end() == 0
    assert json.loads(line.removeprefix("value ").replace("'", '"')) == {
        f"table-{n}": f"answer for table-{n}" for n in range(10)
    }


def _table(line: str) -> tuple[str, str]:
    return line.split()[1], form_url(line)


def test_the_local_web_app_answers_while_the_author_blocks_flytes_loop() -> None:
    program = Program("blocking")

    assert "200" in program.line("answered")
    assert "42" in program.line("value")
    assert "200" in program.line("answered"), "the blocking forms work in a task that is not asynchronous"
    assert "43" in program.line("value")
    assert program.end() == 0


def test_the_link_in_the_flyte_ui_is_the_form() -> None:
    link = hitl.EventFormLink("http://web", "an-id", "s3://b/request.json", token="secret")

    assert link.name == "Event Form"
    url = link.get_link("r", "p", "d", {}, "a", "a0", "pod")
    assert url == "http://web/form/an-id?token=secret"


def test_a_run_has_the_link_of_the_first_question_that_waits_and_a_restart_finds_its_action_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HITL_FORM_LINK", "on")
    for _ in range(2):
        program = Program("shown", str(tmp_path))

        assert program.end() == 0, "".join(program.printed)
        assert [line for line in program.printed if line.startswith(("link", "ran"))] == [
            "link Event Form name of first http://web/form/first?token=token\n",
            # What names its action: no token, which is another one after each restart.
            "ran with first\n",
        ]
    assert (tmp_path / "hitl" / "form-link").is_file()


def test_a_link_that_is_turned_off_and_a_report_that_pretended_storage_refuses_stop_no_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HITL_FORM_LINK", "off")
    program = Program("shown", str(tmp_path), "refused")

    program.line("is not in the run's report: nobody may write here")
    program.line("tab <p>what is asked</p> main ''")
    program.line("done")
    assert program.end() == 0
    assert "Event Form" not in "".join(program.printed)


@pytest.mark.parametrize(("serve", "apps"), [("", 1), ("operator", 0)])
def test_the_environment_carries_the_app_unless_an_operator_serves_it(serve: str, apps: int) -> None:
    code = "import hitl; print(hitl.env.name, [type(e).__name__ + ' ' + e.name for e in hitl.env.depends_on])"
    environment = {"PATH": "", "HITL_SERVE": serve} if serve else {"PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert found.stdout.startswith("hitl-event-task-env ")
    assert found.stdout.count("FastAPIAppEnvironment hitl-event-app") == apps


def test_the_task_with_the_link_requests_little_of_a_cluster() -> None:
    resources = hitl.env.resources

    assert resources is not None
    assert resources.cpu == ("50m", "1")
    assert resources.memory == ("128Mi", "512Mi")


def test_the_environment_and_the_app_run_in_the_image_that_is_set() -> None:
    code = "import hitl; print(*(e.image.base_image for e in (hitl.env, *hitl.env.depends_on)))"
    environment = {"PATH": "", "HITL_IMAGE": "registry.example.org/hitl-flyte:1"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert found.stdout.split() == ["registry.example.org/hitl-flyte:1"] * 2


def test_a_time_out_takes_no_other_attempt_of_the_task_unless_the_author_lets_it_go_on() -> None:
    program = Program("timed_out")

    assert program.end() == 0
    assert [line.strip() for line in program.printed if line.startswith(("attempt", "ended"))] == [
        "attempt uncaught",
        "ended EventTimedOut",
        "attempt caught",
        "ended with 7",
    ]


async def test_an_answer_is_not_held_back_by_a_trace_that_a_pretended_backend_never_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(request_id: str) -> str:
        await asyncio.Event().wait()
        return request_id

    async def answered() -> str:
        return "the outcome"

    monkeypatch.setattr(flyte_binding, "wait_for_outcome", never)
    monkeypatch.setattr(flyte_binding, "TRACE_SECONDS", 0.01)
    action = flyte_binding.FlyteAction(SimpleNamespace(mode="remote"))  # type: ignore[arg-type]  # all that it reads

    async with asyncio.timeout(60):
        assert await action.once(LINK, answered) == "the outcome"


def test_a_request_id_is_a_name_that_kubernetes_takes() -> None:
    program = Program("resumed", "any-run")
    request_id = program.line("asked").split()[1]
    program.kill()

    assert keys.is_request_id(request_id)
    assert request_id.startswith("resumed-")


@pytest.mark.parametrize("step", ["create", "add_link"])
def test_a_question_that_is_asked_again_after_a_failure_is_the_one_that_a_restart_finds(step: str) -> None:
    failing, restarted = Program("retried", "a-run", step), Program("retried", "a-run", "none")

    asked = failing.line("asked")
    assert "tries again" in "".join(failing.printed)
    assert restarted.line("asked") == asked
    assert len(set(asked.split())) == 3, "two questions, and the word before them"

    assert (failing.end(), restarted.end()) == (0, 0)
