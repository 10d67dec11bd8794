"""A question in a real cluster, from its birth to the value in somebody's log."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.backends.processes import free_ports
from tests.e2e.cluster import (
    CHART,
    ENDPOINT,
    HOST,
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
    assert httpx.get(f"{_by_the_rules_of_the_ingress()}{link}", headers={"Host": HOST}).status_code == 200
    with _forwarded() as local:
        assert httpx.get(f"{local}{link}").status_code == 200
    with _browser(chromium) as page:
        page.goto(f"{ENDPOINT}{link}")
        page.screenshot(path=SHOTS / "cluster-form.png", full_page=True)
        page.check("[name=value][value=true]")
        page.click("button.primary")
        page.wait_for_selector(".outcome")
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


def _by_the_rules_of_the_ingress() -> str:
    """Return where the Ingress leads, as a controller would read it: there may be none here."""
    ingress = get("ingress", f"{RELEASE}-webapp", SYSTEM)
    assert ingress is not None
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] == HOST
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    service = get("service", backend["name"], SYSTEM)
    assert service is not None
    [port] = [each["port"] for each in service["spec"]["ports"] if each["name"] == backend["port"]["name"]]
    return f"http://{service['spec']['clusterIP']}:{port}"


@contextmanager
def _browser(chromium: str) -> Iterator[Page]:
    """Open a page in a browser that finds the web app under the name that people know it by."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    address = _by_the_rules_of_the_ingress().removeprefix("http://")
    flags = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST}:80 {address}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser.new_page()
        browser.close()


def test_a_job_asks_a_person_answers_and_its_log_has_the_typed_value(chromium: str) -> None:
    allow_storage()
    apply(_job("asking", _ASKING))
    [found] = until("its HumanInput", asked)
    name = found["metadata"]["name"]
    phase(name, "Pending")
    web_app()
    said = until("the link", lambda: line("asking", "http"))
    with _browser(chromium) as page:
        page.goto(said[said.index("http") :].split()[0])
        page.screenshot(path=SHOTS / "cluster-job.png", full_page=True)
        page.fill("[name=value]", "3")
        page.click("button.primary")
        page.wait_for_selector(".outcome")
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
    """Submit as a script does that tries again when it is told to, or hears nothing."""
    body = {"request_id": request_id, "value": value, "token": link}
    headers = {"Idempotency-Key": f"{request_id}-{value}"}
    status = 503
    for _ in range(300):
        with suppress(httpx.HTTPError):
            status = httpx.post(f"{base}/submit/json", json=body, headers=headers, timeout=5).status_code
            if status != 503:
                return status
        time.sleep(0.2)
    return status


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


def _kill(component: str) -> None:
    selector = f"app.kubernetes.io/component={component}"
    kubectl("delete", "pod", "-l", selector, "-n", SYSTEM, "--grace-period=0", "--force", "--wait=false")


def _drain() -> None:
    """Drain the web app's node, and let pods come back to it: there may be no other."""
    selector = "app.kubernetes.io/component=webapp"
    pods = json.loads(kubectl("get", "pod", "-l", selector, "-n", SYSTEM, "-o", "json").stdout)["items"]
    node = pods[0]["spec"]["nodeName"]
    try:
        kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    finally:
        kubectl("uncordon", node)


_DISASTERS: dict[str, Callable[[], None]] = {
    "the web app's pod is killed": partial(_kill, "webapp"),
    "the operator's pod is killed": partial(_kill, "operator"),
    "the storage's pod is killed": partial(_kill, "storage"),
    "the node is drained": _drain,
}


@pytest.mark.parametrize("disaster", _DISASTERS)
def test_while_a_hundred_people_submit_every_confirmed_answer_is_recorded_once(disaster: str) -> None:
    base = web_app()
    asked = _questions(20, disaster.replace("'s", "").replace(" ", "-"))
    with ThreadPoolExecutor(100) as pool:
        submitted = {
            name: [pool.submit(_submit, base, request_id, link, value) for value in range(5)]
            for name, request_id, link in asked
        }
        _DISASTERS[disaster]()
        statuses = {name: [each.result() for each in of_one] for name, of_one in submitted.items()}
    wait_ready()
    for name, of_one in statuses.items():
        assert sorted(of_one) == [200, 409, 409, 409, 409], (name, of_one)
        assert phase(name, "Answered")["status"]["value"] == str(of_one.index(200))


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
