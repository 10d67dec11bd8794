"""The command as a process: what a shell sees of `ask`, `demo`, `serve`, and of how they end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.library.beside import png

HITL = Path(sys.executable).with_name("hitl")
SECONDS = 60.0


class Running:
    """A command that runs, and what it has printed so far."""

    def __init__(self, *arguments: str, program: Path = HITL) -> None:
        self.process = subprocess.Popen(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        self.stdout, self.stderr = "", ""
        self._threads = [threading.Thread(target=self._read, args=(name,)) for name in ("stdout", "stderr")]
        for thread in self._threads:
            thread.start()

    def said(self, pattern: str) -> re.Match[str]:
        """Return the match of what it says on standard error, once it says it."""
        deadline = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.stderr)) is None:
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
        return found

    def family(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def ended(self) -> int:
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join()
        return code

    def close(self) -> None:
        self.process.kill()
        self.ended()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self, name: str) -> None:
        for line in getattr(self.process, name):
            setattr(self, name, getattr(self, name) + line)


@pytest.fixture
def run() -> Iterator[Any]:
    started: list[Running] = []

    def start(*arguments: str, **more: Any) -> Running:
        started.append(Running(*arguments, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


def data(*arguments: str) -> Any:
    done = subprocess.run([HITL, *arguments, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def submit(form_url: str, **content: Any) -> httpx.Response:
    url = httpx.URL(form_url)
    body = {"request_id": url.path.rpartition("/")[2], "token": url.params["token"], **content}
    return httpx.post(url.copy_with(path="/submit/json", query=None), json=body)


FORM = r"http://127\.0\.0\.1:\d+/form/\S+"


def test_ask_prints_the_answer_alone(run: Any) -> None:
    asking = run("ask", "Ship it?", "--type", "bool")

    form = asking.said(FORM)[0]
    assert httpx.get(form).status_code == 200
    assert submit(form, value=True).status_code == 200

    assert asking.ended() == 0
    assert asking.stdout == "true\n"
    assert "Ship it?" in asking.stderr


_MODELS = """
from dataclasses import dataclass
from pydantic import BaseModel, field_validator

class Deploy(BaseModel):
    region: str
    replicas: int

    @field_validator("replicas")
    @classmethod
    def _even(cls, replicas: int) -> int:
        if replicas % 2:
            raise ValueError("choose an even number")
        return replicas

@dataclass
class Broken:
    at: "Nowhere"
"""


@pytest.mark.parametrize("place", ["models.py:Deploy", "models:Deploy"])
def test_ask_asks_for_a_type_of_a_module_or_a_file(
    run: Any, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(_MODELS)
    asking = run("ask", "Where?", "--type-from", place, "--proposed", '{"region": "eu", "replicas": 2}', "--json")
    form = asking.said(FORM)[0]
    assert submit(form, value={"region": "eu", "replicas": "many"}).status_code == 422
    assert submit(form, value={"region": "eu", "replicas": 4}).status_code == 200

    assert asking.ended() == 0
    said = json.loads(asking.stdout)
    assert said["value"] == {"region": "eu", "replicas": 4}
    assert said["edited"] == [{"path": "/replicas", "proposed": "2", "answered": "4"}]


def test_ask_says_what_the_type_itself_refuses(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(_MODELS)
    asking = run("ask", "Where?", "--type-from", "models.py:Deploy")
    assert submit(asking.said(FORM)[0], value={"region": "eu", "replicas": 3}).status_code == 200

    assert (asking.ended(), asking.stdout) == (1, "")
    assert "was recorded" in asking.stderr
    assert "choose an even number" in asking.stderr

    broken = subprocess.run([HITL, "ask", "?", "--type-from", "models.py:Broken"], capture_output=True, text=True)
    assert (broken.returncode, "Broken has no JSON Schema" in broken.stderr) == (2, True)
    (tmp_path / "models.py").write_text("1/0")
    failing = subprocess.run([HITL, "ask", "?", "--type-from", "models.py:Deploy"], capture_output=True, text=True)
    assert (failing.returncode, failing.stdout) == (2, "")
    assert "models.py cannot be imported: ZeroDivisionError: division by zero" in failing.stderr


def test_ask_shows_files_and_links_beside_its_question(run: Any, tmp_path: Path) -> None:
    for name, content in {
        "plot.bin": png(),
        "metrics.csv": b"epoch,loss\n1,0.9\n2,0.3\n",
        "notes.md": b"\xef\xbb\xbf# Notes",
        "report.html": b"<p>All good",
        "weights.dat": b"\0\1\2",
    }.items():
        (tmp_path / name).write_bytes(content)
    files = [f"--evidence={tmp_path / name}" for name in sorted(each.name for each in tmp_path.iterdir())]
    links = ["--evidence-link", "https://example.org/run=7", "--evidence-link", "The run=https://example.org/?a=b"]

    asking = run("ask", "Ship it?", "--type", "bool", *files, *links)

    form = asking.said(FORM)[0]
    shown = data("show", httpx.URL(form).path.rpartition("/")[2])["evidence"]
    assert [(each["name"], each["kind"]) for each in shown] == [
        ("metrics.csv", "table"),
        ("notes.md", "markdown"),
        ("plot.bin", "image"),
        ("report.html", "html"),
        ("weights.dat", "file"),
        ("example.org", "link"),
        ("The run", "link"),
    ]
    assert "All good" not in httpx.get(form).text
    assert "metrics.csv" in httpx.get(form).text
    assert submit(form, value=True).status_code == 200
    assert (asking.ended(), asking.stdout) == (0, "true\n")


def test_ask_gives_choices_their_labels(run: Any) -> None:
    asking = run("ask", "Where?", "--choice", "eu-1=Frankfurt", "--choice", "us=1=Ohio", "--choices", "mars")
    request_id = httpx.URL(asking.said(FORM)[0]).path.rpartition("/")[2]
    shown = data("show", request_id)
    assert shown["choices"] == ["mars", "eu-1", "us"]
    assert shown["choice_labels"] == {"mars": "mars", "eu-1": "Frankfurt", "us": "1=Ohio"}
    assert data("answer", request_id, "eu-1")["value"] == "eu-1"
    assert (asking.ended(), asking.stdout) == (0, "eu-1\n")


def test_ask_plain_shows_the_prompt_as_it_is(run: Any) -> None:
    asking = run("ask", "Delete **/*.tmp?", "--plain")
    form = asking.said(FORM)[0]

    assert '<p class="plain" dir="auto">Delete **/*.tmp?</p>' in httpx.get(form).text
    assert submit(form, value="yes").status_code == 200
    assert asking.ended() == 0


def test_ask_tells_a_rejection_from_a_withdrawal(run: Any) -> None:
    rejected, cancelled = run("ask", "Ship?"), run("ask", "Ship?", "--json")
    withdrawn = httpx.URL(cancelled.said(FORM)[0]).path.rpartition("/")[2]

    submit(rejected.said(FORM)[0], reject=True, comment="not on a Friday")
    data("cancel", withdrawn)

    assert (rejected.ended(), rejected.stdout) == (1, "")
    assert "not on a Friday" in rejected.stderr
    assert cancelled.ended() == 4
    assert json.loads(cancelled.stdout)["phase"] == "Cancelled"


def test_ask_ends_at_the_deadline(run: Any) -> None:
    failing = run("ask", "Ship?", "--timeout", "0.1s")
    falling_back = run("ask", "How many?", "--type", "int", "--timeout", "0.1s", "--default", "7")

    assert (failing.ended(), failing.stdout) == (3, "")
    assert (falling_back.ended(), falling_back.stdout) == (0, "7\n")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--type", "decimal"], "decimal"),
        (["--type", "int", "--default", "many"], "--default"),
        (["--type", "int", "--choices", "few"], '--choices: "few" is not a whole number'),
        (["--type", "int", "--choice", "few"], '--choice: "few" is not a whole number'),
        (["--type", "bool", "--choice", "true"], "--choice cannot be given with"),
        (["--name", ""], "--name: it is empty"),
        (["--type", "int", "--choices", "1", "--default", "2"], "default"),
        (["--timeout", "soon"], "soon"),
        (["--timeout", "400d"], "'400d' must be over 0 and at most 366d"),
        (["--timeout", "0"], "'0' must be over 0 and at most 366d"),
        (["--schema", __file__], "--schema"),
        (["--type", "int", "--proposed", "many"], "--proposed"),
        (["--type", "int", "--type-from", "models.py:Deploy"], "not both"),
        (["--type-from", "models.py"], "write a module or a file, a colon and a name"),
        (["--type-from", "models.py:Deploy"], "there is no file models.py"),
        (["--type-from", "no.such.module:Deploy"], "no module 'no.such.module' is here"),
        (["--type-from", "tests.library.typed_samples:Nothing"], "has no 'Nothing': it has Color, Level"),
        (["--type-from", f"{__file__}:HITL"], "has no JSON Schema"),
        (["--evidence", "/nowhere.png"], "/nowhere.png"),
        (["--evidence-link", "Run=ftp://example.org"], "is no link"),
        (["--choice", "eu=Europe", "--choice", "eu=Elsewhere"], "the same value is given twice"),
    ],
)
def test_a_question_that_does_not_hold_together_is_not_asked(options: list[str], named: str) -> None:
    done = subprocess.run([HITL, "ask", "How many?", *options], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert data("list") == []


@pytest.mark.parametrize(
    ("prompt", "name", "named"), [("  ", "size", "PROMPT"), ("How many?", "\u200b", "--name")]
)
def test_a_question_of_which_nobody_sees_anything_is_not_asked(prompt: str, name: str, named: str) -> None:
    done = subprocess.run([HITL, "ask", prompt, "--name", name], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{named}: nothing can be seen in it: give some text" in done.stderr
    assert data("list") == []


def test_ctrl_c_while_asking_withdraws_the_question_and_leaves_nothing(run: Any) -> None:
    asking = run("ask", "Ship it?")
    asking.said(FORM)
    family = asking.family()

    asking.process.send_signal(signal.SIGINT)

    assert asking.ended() == 130
    assert "Traceback" not in asking.stderr
    assert [process for process in family if process.is_running()] == []
    assert [view["phase"] for view in data("list", "--all")] == ["Cancelled"]


def test_a_question_with_a_key_outlives_ctrl_c(run: Any) -> None:
    first = run("ask", "Ship it?", "--key", "release-7")
    asked = httpx.URL(first.said(FORM)[0]).path
    first.process.send_signal(signal.SIGINT)
    assert first.ended() == 130

    again = run("ask", "Ship it?", "--key", "release-7")

    assert httpx.URL(again.said(FORM)[0]).path == asked
    submit(again.said(FORM)[0], value="yes")
    assert (again.ended(), again.stdout) == (0, "yes\n")


def test_wait_in_another_shell_gets_the_answer_too(run: Any) -> None:
    asking = run("ask", "How many?", "--type", "int")
    form = asking.said(FORM)[0]
    waiting = run("wait", httpx.URL(form).path.rpartition("/")[2])

    submit(form, value=3)

    assert (waiting.ended(), waiting.stdout) == (0, "3\n")
    assert asking.ended() == 0


def test_demo_goes_on_with_the_number_typed(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo = run("demo", "--no-browser")

    assert submit(demo.said(FORM)[0], value=42).status_code == 200

    assert (demo.ended(), demo.stdout) == (0, "42\n")
    assert len(re.findall(FORM, demo.stderr)) == 1


def test_the_tour_asks_three_questions_and_ends_with_three_typed_values(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tour = run("demo", "--tour", "--no-browser")

    submit(tour.said(r"1 of 3[\s\S]*?(" + FORM + ")")[1], value=12)
    form = tour.said(r"2 of 3[\s\S]*?(" + FORM + ")")[1]
    page = httpx.get(form).text
    for part in ("Loss by epoch", "The loss falls from 0.92 to 0.28", "Comparison", "candidate", "0.943"):
        assert part in page
    submit(form, value=True)
    form = tour.said(r"3 of 3[\s\S]*?(" + FORM + ")")[1]
    assert httpx.get(form).text.count("Share of the traffic") >= 2
    plan = {"region": "America", "start": "2026-12-01", "steps": [{"percent": 100, "hours": 1}], "note": None}
    assert submit(form, value={**plan, "steps": []}).status_code == 422
    submit(form, value=plan)

    assert tour.ended() == 0, tour.stderr
    assert tour.stdout.splitlines() == [
        "epochs: 12, answered by somebody (unverified) via api",
        "approval: True, answered by somebody (unverified) via api",
        "rollout: Rollout(region='America', start=datetime.date(2026, 12, 1), steps=[Step(percent=100, hours=1)], "
        "note=None), answered by somebody (unverified) via api",
    ]


def test_the_tour_withdraws_what_waits_when_it_is_ended(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tour = run("demo", "--tour", "--no-browser")
    submit(tour.said(r"1 of 3[\s\S]*?(" + FORM + ")")[1], value=12)
    tour.said(r"2 of 3[\s\S]*?(" + FORM + ")")
    tour.process.send_signal(signal.SIGINT)

    assert tour.ended() == 130
    assert "Traceback" not in tour.stderr
    assert data("list") == []


def test_demo_tells_a_rejection(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo = run("demo", "--no-browser", "--json")

    submit(demo.said(FORM)[0], reject=True, comment="no number today")

    assert (demo.ended(), demo.stdout) == (1, "")
    assert "no number today" in demo.stderr
    assert "Traceback" not in demo.stderr


def test_ctrl_c_ends_the_demo_and_leaves_nothing(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = run("demo", "--no-browser")
    demo.said(FORM)
    family = demo.family()

    demo.process.send_signal(signal.SIGINT)

    assert demo.ended() == 130
    assert "Traceback" not in demo.stderr
    assert [process for process in family if process.is_running()] == []
    assert data("list") == []


def test_serve_serves_the_root_until_it_is_told_to_stop(run: Any) -> None:
    asking = run("ask", "Ship it?")
    form = httpx.URL(asking.said(FORM)[0])
    serving = run("serve", "--port", "0")
    port = int(serving.said(r"running on http://127\.0\.0\.1:(\d+)")[1])

    assert "Ship it?" in httpx.get(form.copy_with(port=port)).text

    serving.process.send_signal(signal.SIGINT)
    assert serving.ended() == 130
    assert "Traceback" not in serving.stderr
    assert form.params["token"] not in serving.stderr + serving.stdout


def test_a_question_whose_program_was_killed_says_so(run: Any) -> None:
    killed, waiting, keyed = run("ask", "Ship?"), run("ask", "Sail?"), run("ask", "Fly?", "--key", "k")
    ids = [httpx.URL(each.said(FORM)[0]).path.rpartition("/")[2] for each in (killed, waiting, keyed)]
    killed.process.kill()
    keyed.process.kill()
    killed.ended()
    keyed.ended()

    assert {view["id"]: view["asker_ended"] for view in data("list")} == dict(
        zip(ids, (True, False, False), strict=True)
    )
    listed = subprocess.run([HITL, "list"], capture_output=True, text=True, check=True)
    assert f"{ids[0]}: the program that asked has ended, so nobody waits for the answer" in listed.stderr
    shown = subprocess.run([HITL, "show", ids[0]], capture_output=True, text=True, check=True)
    assert "Pending (the program that asked has ended" in shown.stdout


def test_serve_serves_the_links_of_programs_that_have_ended(run: Any) -> None:
    asking = run("ask", "Ship it?", "--key", "release-8")
    form = asking.said(FORM)[0]
    asking.process.send_signal(signal.SIGTERM)
    assert asking.ended() == 143
    assert "`hitl serve`" in asking.stderr
    with pytest.raises(httpx.ConnectError):
        httpx.get(form)

    serving = run("serve", "--port", "0")

    serving.said("The links of programs that have ended lead here again")
    serving.said("startup complete")
    assert "Ship it?" in httpx.get(form).text
    assert submit(form, value="yes").status_code == 200


@pytest.mark.parametrize(
    ("options", "named"), [(["--auth", "guess"], "guess"), (["--auth", "proxy"], "HITL_PROXY")]
)
def test_serve_explains_what_it_cannot_do(options: list[str], named: str) -> None:
    done = subprocess.run([HITL, "serve", "--port", "0", *options], capture_output=True, text=True)

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_says_that_there_is_no_cluster_to_ask(tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "absent"), "HITL_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [HITL, "serve", "--port", "0", "--auth", "kubernetes"], capture_output=True, text=True, env=environment
    )

    assert done.returncode == 5
    assert f"no Kubernetes cluster: there is no kubeconfig {tmp_path / 'absent'}" in done.stderr
    assert "Config not found" not in done.stderr
    assert "cannot be listened on" not in done.stderr


def test_serve_names_an_address_that_is_taken(run: Any) -> None:
    first = run("serve", "--port", "0")
    port = first.said(r"running on http://127\.0\.0\.1:(\d+)")[1]

    done = subprocess.run([HITL, "serve", "--port", port], capture_output=True, text=True)

    assert done.returncode == 5
    assert f"127.0.0.1:{port}" in done.stderr


def test_the_end_of_a_process_never_undoes_its_success(tmp_path: Path) -> None:
    """The storage client's threads must have let go of the interpreter when it is torn down.

    Called as directly as here, they abort one process in six that does not wait for them.
    """
    program = (
        "import asyncio, obstore, sys\nfrom obstore.store import LocalStore\nfrom hitl.storage import Store\n"
        # Any store of the client has it let go; files answer as late as a bucket.
        "Store('memory://x')\nstore = LocalStore(sys.argv[1])\n"
        "async def main():\n"
        "    for n in range(4): await obstore.put_async(store, f'{sys.argv[2]}-{n}', b'x')\n"
        "asyncio.run(main())\n"
    )

    ended = [subprocess.run([sys.executable, "-c", program, str(tmp_path), str(n)]) for n in range(20)]

    assert [each.returncode for each in ended] == [0] * 20


def test_kubectl_finds_the_command_under_its_own_name() -> None:
    done = subprocess.run([HITL.with_name("kubectl-hitl"), "--help"], capture_output=True, text=True)

    assert done.returncode == 0
    assert "Usage: kubectl hitl" in done.stdout
