"""A question in a real cluster, from its birth to the value in somebody's log."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.backends.processes import free_ports
from tests.e2e.cluster import (
    CHART,
    RELEASE,
    SYSTEM,
    TEAM,
    Object,
    apply,
    ask,
    cluster,
    get,
    kubectl,
    phase,
    token,
    until,
    values,
    wait_ready,
    web_app,
)
from tests.e2e.jobs import allow_storage, asked, job, line, settings

pytestmark = pytest.mark.cluster
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"

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
    with _forwarded() as local:
        assert httpx.get(f"{local}{link}").status_code == 200
    _answer_in_browser(chromium, f"{base}{link}", "[name=value][value=true]", "cluster-form")
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


def _answer_in_browser(chromium: str, link: str, choice: str, shot: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(link)
        page.screenshot(path=SHOTS / f"{shot}.png", full_page=True)
        if choice.endswith("]") and "value=" in choice:
            page.check(choice)
        else:
            page.fill(choice, "3")
        page.click("button.primary")
        page.wait_for_selector(".outcome")
        browser.close()


def test_a_job_asks_a_person_answers_and_its_log_has_the_typed_value(chromium: str) -> None:
    allow_storage()
    apply(_job("asking", _ASKING))
    [found] = until("its HumanInput", asked)
    name = found["metadata"]["name"]
    phase(name, "Pending")
    base = web_app()
    pod = until("the link", lambda: line("asking", "http"))
    link = pod[pod.index("http") :].split()[0]
    _answer_in_browser(chromium, base + link[link.index("/form/") :], "[name=value]", "cluster-job")
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


def _submit(base: str, request_id: str, link: str, value: int) -> int:
    """Submit as a script does that tries again when it is told to."""
    body = {"request_id": request_id, "value": value, "token": link}
    for _ in range(200):
        try:
            status = httpx.post(
                f"{base}/submit/json", json=body, headers={"Idempotency-Key": f"s-{value}-{request_id}"}, timeout=5
            ).status_code
        except httpx.HTTPError:
            time.sleep(0.2)
            continue
        if status != 503:
            return status
        time.sleep(0.2)
    return 503


def _questions(count: int, prefix: str) -> list[tuple[str, str, str]]:
    contents = [
        {
            "apiVersion": "hitl.flyte.org/v1alpha1",
            "kind": "HumanInput",
            "metadata": {"name": f"{prefix}-{number}", "namespace": TEAM},
            "spec": {"prompt": "How many?", "dataType": "int"},
        }
        for number in range(count)
    ]
    apply(*contents)
    return [
        (name, phase(name, "Pending")["status"]["requestID"], token(name))
        for name in (str(each["metadata"]["name"]) for each in contents)  # type: ignore[index]  # all dicts
    ]


@pytest.mark.parametrize("component", ["webapp", "operator", "storage"])
def test_a_pod_is_killed_while_people_submit_and_every_confirmed_answer_is_recorded_once(component: str) -> None:
    base = web_app()
    asked = _questions(20, component)
    selector = f"app.kubernetes.io/component={component}"
    with ThreadPoolExecutor(20) as pool:
        submissions = [
            pool.submit(_submit, base, request_id, link, number)
            for number, (_, request_id, link) in enumerate(asked)
            for _ in range(5)
        ]
        kubectl("delete", "pod", "-l", selector, "-n", SYSTEM, "--grace-period=0", "--force", "--wait=false")
        statuses = [each.result() for each in submissions]
    assert set(statuses) <= {200}, statuses
    wait_ready()
    for number, (name, _, _) in enumerate(asked):
        status = phase(name, "Answered")["status"]
        assert status["value"] == str(number)


def test_nothing_is_lost_over_an_upgrade_and_over_an_uninstallation() -> None:
    before = ask("over-an-upgrade")
    ask("over-an-uninstallation")
    with cluster() as found:
        found.upgrade(CHART, RELEASE, values(operator={"annotations": {"upgraded": "yes"}}))
    wait_ready()
    patch = json.dumps({"spec": {"response": {"value": "7"}}})
    kubectl("patch", "hi", "over-an-upgrade", "-n", TEAM, "--type=merge", "-p", patch)
    after = phase("over-an-upgrade", "Answered")
    assert after["status"]["requestID"] == before["status"]["requestID"]
    with cluster() as found:
        found.uninstall(RELEASE)
    until("the operator is gone", lambda: get("deployment", f"{RELEASE}-operator", SYSTEM) is None)
    # What the operator brought up goes with it, and the questions stay.
    until("the web app is gone", lambda: get("deployment", f"{RELEASE}-webapp", SYSTEM) is None)
    assert (get("humaninput", "over-an-uninstallation") or {})["status"]["phase"] == "Pending"
    kubectl("patch", "hi", "over-an-uninstallation", "-n", TEAM, "--type=merge", "-p", patch)
    with cluster() as found:
        found.install(CHART, RELEASE, values())
    wait_ready()
    assert phase("over-an-uninstallation", "Answered")["status"]["value"] == "7"
    with cluster() as found:
        found.test(RELEASE)
