"""A question in a real cluster, from its birth to the value in somebody's log. The first tests to run."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.backends.processes import free_ports
from tests.e2e.browser import browsing, by_the_rules_of_the_ingress, send, shot
from tests.e2e.cluster import (
    ENDPOINT,
    HOST,
    RELEASE,
    SYSTEM,
    TEAM,
    Object,
    apply,
    ask,
    get,
    kubectl,
    phase,
    token,
    until,
    web_app,
)
from tests.e2e.jobs import allow_storage, asked, job, line, settings

pytestmark = pytest.mark.cluster

_ASKING = """
import hitl
print("value", repr(hitl.ask("How many replicas?", data_type=int, name="replicas", key="the-job")), flush=True)
"""


def test_the_first_question_brings_up_the_web_app_and_the_link_works(chromium: str) -> None:
    assert get("deployment", f"{RELEASE}-webapp", SYSTEM) is None, "nobody has asked anything yet"
    began = time.monotonic()
    question = ask("first", prompt="Ship **2.4** to production?", dataType="bool")
    base = web_app()
    print(f"web app ready after {time.monotonic() - began:.1f} s")
    request_id = question["status"]["requestID"]
    link = f"/form/{request_id}?token={token('first')}"
    assert httpx.get(f"{base}{link}").status_code == 200
    assert httpx.get(f"{base}/form/{request_id}").status_code == 403
    assert httpx.get(f"http://{by_the_rules_of_the_ingress()}{link}", headers={"Host": HOST}).status_code == 200
    with _forwarded() as local:
        assert httpx.get(f"{local}{link}").status_code == 200
    with browsing(chromium) as page:
        page.goto(f"{ENDPOINT}{link}")
        shot(page, "cluster-form")
        page.check("[name=value][value=true]")
        send(page)
    status = phase("first", "Answered")["status"]
    assert (status["value"], status["answeredVia"]) == ("true", "web")


@contextmanager
def _forwarded() -> Iterator[str]:
    [port] = free_ports(1)
    command = ["kubectl", "port-forward", "-n", SYSTEM, f"svc/{RELEASE}-webapp", f"{port}:80"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("the port is forwarded", lambda: _answers(f"http://127.0.0.1:{port}/health"), 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def test_a_job_asks_a_person_answers_and_its_log_has_the_typed_value(chromium: str) -> None:
    allow_storage()
    apply(_job("asking", _ASKING))
    [found] = until("its HumanInput", asked)
    name = found["metadata"]["name"]
    phase(name, "Pending")
    web_app()
    said = until("the link", lambda: line("asking", "http"))
    with browsing(chromium) as page:
        page.goto(said[said.index("http") :].split()[0])
        shot(page, "cluster-job")
        page.fill("[name=value]", "3")
        send(page)
    kubectl("wait", "--for=condition=Settled", f"hi/{name}", "-n", TEAM, "--timeout=60s")
    kubectl("wait", "--for=condition=Complete", "job/asking", "-n", TEAM, "--timeout=60s")
    assert line("asking", "value 3")
    print(kubectl("get", "hi", "-n", TEAM).stdout)


def _job(name: str, program: str) -> Object:
    hint = f"http://{RELEASE}-operator.{SYSTEM}.svc:8080"
    return job(name, "python", "-c", program, HITL_HINT_URL=hint, **settings())


def test_a_job_killed_while_it_waits_returns_the_answer_given_meanwhile() -> None:
    allow_storage()
    apply(_job("killed", _ASKING.replace("the-job", "the-killed-job").replace('replicas"', 'killed"')))
    first = until("the link", lambda: line("killed", "http"))
    request_id = first[first.index("/form/") + 6 :].partition("?")[0]
    phase(request_id, "Pending")
    pod = kubectl("get", "pod", "-l", "job-name=killed", "-n", TEAM, "-o", "name").stdout.strip()
    kubectl("delete", pod, "-n", TEAM, "--grace-period=0", "--force")
    patch = json.dumps({"spec": {"response": {"value": "5"}}})
    kubectl("patch", "hi", request_id, "-n", TEAM, "--type=merge", "-p", patch)
    phase(request_id, "Answered")
    kubectl("wait", "--for=condition=Complete", "job/killed", "-n", TEAM, "--timeout=90s")
    assert line("killed", "value 5")


_IMAGE = """
import os, pathlib, shutil
home = pathlib.Path("/opt/hitl")
files = [each.stat().st_size for each in home.rglob("*") if each.is_file() and not each.is_symlink()]
print("size", sum(files) // 2**20, "uid", os.getuid(), "parts", (home / "sbom.cdx.json").exists())
print("tools", [name for name in ("gcc", "cc", "make") if shutil.which(name)], (home / "bin/pip").exists())
print("written", os.access(home, os.W_OK))
"""


def test_the_image_is_small_and_holds_its_list_of_parts_and_no_tools() -> None:
    allow_storage()
    apply(job("image", "python", "-c", _IMAGE))
    kubectl("wait", "--for=condition=Complete", "job/image", "-n", TEAM, "--timeout=60s")
    words = line("image", "size").split()
    assert int(words[1]) < 200, "MiB above the base"
    assert words[2:] == ["uid", "65532", "parts", "True"]
    assert line("image", "tools") == "tools [] False"
    assert line("image", "written") == "written False"


def test_a_user_without_the_right_is_refused_at_admission_and_another_name_is_not_believed() -> None:
    question = ask("guarded")
    patch = json.dumps({"spec": {"response": {"value": "1", "respondent": {"username": "eve"}}}})
    answer = ("patch", "hi", "guarded", "-n", TEAM, "--type=merge", "-p", patch)
    kubectl("create", "rolebinding", "ed", "-n", TEAM, f"--clusterrole={RELEASE}-editor", "--user=ed")
    refused = kubectl(*answer, "--as=nobody-in-particular", check=False)
    assert "forbidden" in refused.stderr
    kubectl(*answer, "--as=ed")
    status = phase("guarded", "Answered")["status"]
    assert (status["answeredBy"], status["verified"]) == ("ed", True)
    assert question["status"]["requestID"] == status["requestID"]
    done = kubectl(
        "patch", "hi", "guarded", "-n", TEAM, "--type=merge", "-p", '{"spec":{"request":{"id":"x"}}}', check=False
    )
    assert done.returncode != 0
