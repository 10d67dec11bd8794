"""Whatever is sent, the web app goes on serving, within the memory that the chart gives it.

Each attack is made on one and the same process, with time-outs made short. While it lasts, and when it is over, an
honest visitor is served. What each costs is printed, and written to build/attacks.txt.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import psutil
import pytest
import yaml

from hitl.core import keys
from hitl.errors import InvalidRequest
from tests.backends.processes import PATIENCE
from tests.web.raw import (
    BOUNDARY,
    FORM,
    HOST,
    MULTIPART,
    Reply,
    chunked,
    connected,
    exchange,
    head,
    json_of,
    part,
    post,
    read_reply,
    read_to_end,
)
from tests.web.serving import Question, WebApp, running

JSON: Final = "application/json"
TOP: Final = Path(__file__).parents[2]
# Generous: a loaded machine needs more, what is quadratic needs far more.
CPU_SECONDS: Final = 8.0
# What a machine on which these hold needs for `COUNTING`. A slower one has as much more for all else.
COUNTING_SECONDS: Final = 0.2
COUNTING: Final = "import time\nfor number in range(5_000_000): last = number + 1\nprint(time.process_time())"
# What pods get where nobody says more; some systems give a process no more than this.
DESCRIPTORS: Final = 1024
TIMES: Final = {
    "HITL_HEAD_SECONDS": "1.5",
    "HITL_BODY_SECONDS": "1.5",
    "HITL_REPLY_SECONDS": "1.5",
    "HITL_IDLE_SECONDS": "1",
}


@dataclass
class Target:
    """The web app that is attacked, and what every attack has cost so far."""

    app: WebApp
    rows: list[tuple[str, str, float, float]] = field(default_factory=list)
    past_cpu: float = 0.0

    @property
    def process(self) -> psutil.Process:
        assert self.app.process is not None
        return psutil.Process(self.app.process.pid)

    @property
    def port(self) -> int:
        return self.app.port

    def ask(self, data_type: object = int, **asked: Any) -> Question:
        return self.app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=data_type, **asked)

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return self.past_cpu + times.user + times.system

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def honest(self) -> None:
        """An honest visitor opens a form, answers it, and the probe is answered."""
        question = self.ask()
        with httpx.Client(timeout=60) as client:
            assert client.get(question.url).status_code == 200
            data = {"request_id": question.request_id, "token": question.token, "value": "5"}
            assert client.post(f"{self.app.url}/submit", data=data).status_code == 200
            assert client.get(f"{self.app.url}/health").status_code == 200


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("attacked")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < 4096:
        pytest.skip(f"attackers need 4,096 descriptors; this machine allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    with running(str(folder / "root"), folder, None, **TIMES) as app:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
        found = Target(app)
        yield found
        _report(found)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _report(target: Target) -> None:
    width = max((len(name) for name, *_ in target.rows), default=0)
    lines = [f"{'attack':{width}}  CPU s  peak MiB  result"]
    lines += [f"{name:{width}}  {cpu:5.2f}  {peak:8.0f}  {result}" for name, result, cpu, peak in target.rows]
    text = "\n".join(lines)
    (TOP / "build").mkdir(exist_ok=True)
    (TOP / "build/attacks.txt").write_text(f"{text}\n")
    print(f"\n{text}")


def _memory_limit_mib() -> int:
    values = yaml.safe_load((TOP / "charts/hitl/values.yaml").read_text())
    limit = values["webapp"]["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    return int(limit.removesuffix("Mi"))


Attack = Callable[[Target], str]
ATTACKS: dict[str, Attack] = {}


def _slowness() -> float:
    """How many times as long as on the machine of `COUNTING_SECONDS` the interpreter takes here, at present."""
    command = [sys.executable, "-S", "-E", "-c", COUNTING]
    taken = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
    return max(1.0, max(taken) / COUNTING_SECONDS)


def attack(name: str) -> Callable[[Attack], Attack]:
    def named(made: Attack) -> Attack:
        ATTACKS[name] = made
        return made

    return named


@pytest.mark.parametrize("name", ATTACKS)
def test_the_web_app_stands(target: Target, name: str) -> None:
    target.forget_peak()
    before = target.cpu()

    result = ATTACKS[name](target)

    cpu, peak = target.cpu() - before, target.peak_mib()
    target.rows.append((name, result, cpu, peak))
    target.honest()
    assert cpu < CPU_SECONDS or cpu < CPU_SECONDS * _slowness()
    assert peak < _memory_limit_mib()
    log = target.app.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]


# Connections


def _all_end(connections: list[socket.socket]) -> str:
    """Wait until the server has ended each connection, and say how."""
    ends = set()
    for connection in connections:
        connection.settimeout(PATIENCE)
        got = read_to_end(connection)
        ends.add(got[9:12].decode() if got else "closed")
    return f"{len(connections):,} ended: {', '.join(sorted(ends))}"


def _each_sends(target: Target, count: int, sent: bytes, during: Callable[[], object] = lambda: None) -> str:
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(target.port, 30)) for _ in range(count)]
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        target.honest()
        during()
        return _all_end(connections)


@attack("1,100 silent connections")
def silent(target: Target) -> str:
    return _each_sends(target, 1_100, b"")


@attack("1,100 with half a request line")
def half_a_line(target: Target) -> str:
    return _each_sends(target, 1_100, b"GET /hea")


@attack("1,100 with half of the header fields")
def half_a_head(target: Target) -> str:
    return _each_sends(target, 1_100, b"GET /health HTTP/1.1\r\n" + HOST + b"Accept: */*\r\n")


@attack("1,100 with half a body")
def half_a_body(target: Target) -> str:
    return _each_sends(target, 1_100, head("/submit", FORM, b"Content-Length: 1000\r\n") + b"value=1")


@attack("1,100 with 60 kB of a body")
def most_of_a_prefix(target: Target) -> str:
    sent = head("/submit", FORM, b"Content-Length: 64000\r\n") + b"x" * 60_000
    return _each_sends(target, 1_100, sent)


@attack("1,100 that were served, and stay")
def idle(target: Target) -> str:
    return _each_sends(target, 1_100, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")


@attack("1,100 that say they have a body on a GET")
def body_on_get(target: Target) -> str:
    return _each_sends(target, 1_100, b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")


def _byte_by_byte(target: Target, request: bytes, expected: int) -> str:
    with connected(target.port) as connection:
        connection.settimeout(0.05)
        got = b""
        for at in itertools.count():
            with contextlib.suppress(TimeoutError):
                got += connection.recv(65536)
                break
            with contextlib.suppress(ConnectionError):
                connection.sendall(request[at : at + 1] or b"x")
        status = int(got[9:12])
    assert status == expected
    return f"{status} after {at:,} bytes"


@attack("a byte at a time: header fields")
def slow_head(target: Target) -> str:
    return _byte_by_byte(target, b"GET /health HTTP/1.1\r\nx-slow: " + b"x" * 10_000, 408)


@attack("a byte at a time: body")
def slow_body(target: Target) -> str:
    request = head("/submit", FORM, b"Content-Length: 1000\r\n")
    with connected(target.port) as connection:
        connection.sendall(request)
        for _ in range(1000):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"v")
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                reply = read_reply(connection)
                if reply.status:
                    break
    assert reply.status == 408
    return "408"


@attack("a byte at a time: behind a reply, on 200 connections")
def slow_after_reply(target: Target) -> str:
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(target.port)) for _ in range(200)]
        for connection in connections:
            connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
            assert read_reply(connection).status == 200
        alive = connections
        deadline = time.monotonic() + PATIENCE
        while alive and time.monotonic() < deadline:
            alive = [each for each in alive if _takes(each)]
            time.sleep(0.2)
        assert not alive
    return "200 ended"


def _takes(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
    except ConnectionError:
        return False
    return True


@attack("300 that never read their reply")
def unread(target: Target) -> str:
    """Each asks for more than the systems' buffers take."""
    with ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(PATIENCE)
            connection.connect(("127.0.0.1", target.port))
            with contextlib.suppress(ConnectionError):
                connection.sendall((b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 12)
        target.honest()
        _until(lambda: len(target.process.net_connections("tcp")) < 50)
    return "300 ended"


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.1)


@attack("100,000 requests in a row that wait for no reply")
def pipelined(target: Target) -> str:
    with connected(target.port) as connection:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall((b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n") * 1_000)
        got = read_to_end(connection)
    return f"{got.count(b'HTTP/1.1 200'):,} answered, then ended"


# Header fields and URLs


def _flood(target: Target, first: bytes, piece: bytes, times: int) -> Reply:
    with connected(target.port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(first)
            for _ in range(times):
                connection.sendall(piece)
        return read_reply(connection)


def _refused(reply: Reply, *statuses: int) -> str:
    assert reply.status in statuses
    assert reply.safe
    return str(reply.status)


# A client that sends on and on may lose the reply, as its system drops it when sending fails.
LOST: Final = 0


@attack("400 MB of header fields")
def header_fields(target: Target) -> str:
    lines = b"".join(b"x%d: " % n + b"v" * 1000 + b"\r\n" for n in range(1000))
    reply = _flood(target, b"GET / HTTP/1.1\r\n" + HOST, lines, 400)
    return "cut" if reply.status == LOST else _refused(reply, 431)


@attack("40 MB of one header field")
def one_header(target: Target) -> str:
    reply = _flood(target, b"GET / HTTP/1.1\r\n" + HOST + b"x: ", b"v" * 100_000, 400)
    return "cut" if reply.status == LOST else _refused(reply, 431)


@attack("10,000 short header fields")
def many_headers(target: Target) -> str:
    return _refused(exchange(target.port, b"GET / HTTP/1.1\r\n" + HOST + b"a:b\r\n" * 4_000 + b"\r\n"), 431)


@attack("40 MB of empty lines")
def empty_lines(target: Target) -> str:
    reply = _flood(target, b"", b"\r\n" * 50_000, 400)
    return "cut" if reply.status == LOST else _refused(reply, 431)


@attack("a URL of 30 kB, and of 40 MB")
def long_url(target: Target) -> str:
    first = exchange(target.port, b"GET /" + b"x" * 30_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    second = _flood(target, b"GET /", b"x" * 100_000, 400)
    assert second.status in (LOST, 414)
    return _refused(first, 414)


@attack("4,000 parameters in a URL")
def many_parameters(target: Target) -> str:
    path = b"/form/a?" + b"&".join(b"a" for _ in range(4_000))
    return _refused(exchange(target.port, b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"), 403)


# Bodies, without a link


@attack("8 MiB of %41 as a form")
def large_form(target: Target) -> str:
    body = b"request_id=q&token=x&value=" + b"%41" * 2_700_000
    return _refused(exchange(target.port, post("/submit", FORM, body)), 413)


@attack("8 MiB of %41 as a form, in chunks")
def large_chunks(target: Target) -> str:
    body = b"request_id=q&token=x&value=" + b"%41" * 2_700_000
    return _refused(exchange(target.port, chunked("/submit", FORM, body, 65_536)), 403)


@attack("8 MiB of [] as JSON")
def large_json(target: Target) -> str:
    body = b'{"request_id":"q","token":"x","value":[' + b",".join([b"[]"] * 2_700_000) + b"]}"
    return _refused(exchange(target.port, post("/submit/json", JSON, body)), 413)


@attack("20 forms of 400 kB in punycode")
def punycode(target: Target) -> str:
    body = part("request_id", b"abc-" + b"a" * 400_000) + f"--{BOUNDARY}--\r\n".encode()
    statuses = {exchange(target.port, post("/submit", f"{MULTIPART}; charset=punycode", body)).status}
    assert statuses == {415}
    return "415"


@attack("a form of 100,000 parts")
def many_parts(target: Target) -> str:
    body = b"".join(part(f"a{n}", b"") for n in range(100_000))
    first = exchange(target.port, post("/submit", MULTIPART, body))
    second = exchange(target.port, post("/submit", MULTIPART, body[:60_000]))
    assert second.status == 400
    return _refused(first, 413)


@attack("20 forms of 60 kB of one line end after another, in parts")
def line_ends(target: Target) -> str:
    body = f"--{BOUNDARY}\r\n".encode() + b"\r\n--" * 15_000
    for _ in range(20):
        reply = exchange(target.port, post("/submit", MULTIPART, body))
    return _refused(reply, 400)


@attack("20 of 60 kB of deep JSON")
def deep_json(target: Target) -> str:
    for _ in range(20):
        reply = exchange(target.port, post("/submit/json", JSON, b"[" * 60_000))
        reply = exchange(target.port, post("/submit/json", JSON, b'{"a":' * 12_000))
    return _refused(reply, 400)


@attack("20 of 60 kB of wide JSON")
def wide_json(target: Target) -> str:
    body = b'{"request_id":"q","token":"x","value":[' + b",".join([b"[]"] * 20_000) + b"]}"
    for _ in range(20):
        reply = exchange(target.port, post("/submit/json", JSON, body))
    return _refused(reply, 403)


@attack("20 of 60 kB of one number")
def long_number(target: Target) -> str:
    for number in (b"9" * 60_000, b"1." + b"9" * 60_000, b"1e" + b"9" * 60_000):
        for _ in range(20):
            reply = exchange(target.port, post("/submit/json", JSON, b'{"value": ' + number + b"}"))
        assert reply.status == 400
    return _refused(reply, 400)


@attack("40 MB of chunk extensions")
def chunk_extensions(target: Target) -> str:
    first = head("/submit", FORM, b"Transfer-Encoding: chunked\r\n") + b"1;"
    reply = _flood(target, first, b"a=" + b"b" * 100_000, 400)
    return "cut" if reply.status == LOST else _refused(reply, 400)


@attack("40 MB of trailers")
def trailers(target: Target) -> str:
    first = head("/submit", FORM, b"Transfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n"
    reply = _flood(target, first, b"a: " + b"b" * 100_000 + b"\r\n", 400)
    return "cut" if reply.status == LOST else _refused(reply, 400)


@attack("64 large bodies at once, without a link")
def many_large(target: Target) -> str:
    body = b"request_id=q&token=x&value=" + b"%41" * 300_000
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda _: exchange(target.port, post("/submit", FORM, body)), range(64)))
    statuses = {reply.status for reply in replies}
    assert statuses <= {403, 503}
    return f"{sorted(statuses)}"


# Bodies, with a link


@attack("64 large answers at once, with a link")
def many_large_answers(target: Target) -> str:
    question = target.ask(str)
    fields = {"request_id": question.request_id, "token": question.token, "value": "\u20ac" * 65_536}
    body = urlencode(fields).encode()
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda _: exchange(target.port, post("/submit", FORM, body)), range(64)))
    counts = Counter(reply.status for reply in replies)
    assert counts[200] >= 1
    assert set(counts) <= {200, 408, 503}
    return ", ".join(f"{number} × {status}" for status, number in sorted(counts.items()))


@attack("8 MiB, 1 MiB and 300 kB to a question that wants a number, with a link")
def too_much_for_a_number(target: Target) -> str:
    question = target.ask()
    for size in (8_000_000, 1_000_000, 300_000):
        body = json_of(question, value="1" * size)
        reply = exchange(target.port, post("/submit/json", JSON, body))
        assert (reply.status, reply.safe) == (413, True)
    assert question.stored() is None
    return "413"


@attack("20 of 900 kB of wide JSON, with a link")
def wide_answer(target: Target) -> str:
    question = target.ask("json")
    start = json_of(question).removesuffix(b"}") + b', "value": ['
    body = start + b",".join([b"[]"] * 300_000) + b"]}"
    for _ in range(20):
        reply = exchange(target.port, post("/submit/json", JSON, body))
    return _refused(reply, 422)


# Schemas and values that take long to check, asked by a program and answered with a link


def _chain(length: int, link: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    parts: dict[str, Any] = {f"a{n}": link(f"#/$defs/a{n + 1}") for n in range(length)}
    return {"unevaluatedProperties": False, "$ref": "#/$defs/a0", "$defs": {**parts, f"a{length}": {}}}


SCHEMAS: Final[dict[str, tuple[dict[str, Any], object]]] = {
    "a pattern of 10,000 states": ({"pattern": "[01]*1([01]{100}){100}2"}, "01" * 32_000),
    "a pattern that goes back": ({"pattern": "^(a|a?)+$"}, "a" * 60_000 + "b"),
    "40 references in a chain": (_chain(40, lambda to: {"$ref": to, "$dynamicRef": to}), {"x": 1}),
    "30 dependent schemas in a chain": (
        _chain(30, lambda to: {"dependentSchemas": {name: {"$ref": to} for name in "xy"}}),
        {"x": 1, "y": 2},
    ),
    "1,500 references to 1,500 parts": (
        {
            "$defs": {"b": {"anyOf": [{"const": number} for number in range(1_500)]}},
            "allOf": [{"$ref": "#/$defs/b"}] * 1_500,
        },
        1_499,
    ),
    "500 patterns": (
        {"anyOf": [{"pattern": f"\\w{{{40 + number % 50}}}{number}"} for number in range(500)]},
        "w" * 60_000,
    ),
    "10,000 items that are compared": ({"uniqueItems": True}, list(range(10_000))),
}


@attack("schemas and values that take long to check")
def schemas(target: Target) -> str:
    results = Counter[str]()
    for schema, value in SCHEMAS.values():
        try:
            question = target.ask("json", json_schema=schema)
        except InvalidRequest:
            results["refused when asked"] += 1
            continue
        reply = exchange(target.port, post("/submit/json", JSON, json_of(question, value=value)))
        assert reply.status in (200, 413, 422)
        results[f"{reply.status} when answered"] += 1
    return ", ".join(f"{number} {result}" for result, number in results.items())


@attack("20 visitors at once to an inbox of 20,000 questions")
def inbox(target: Target) -> str:
    """On a web app of its own, since links have no inbox. Its memory and CPU are what is reported."""
    root = Path(target.app.root).parent / "large"
    question = target.ask()
    text = (Path(target.app.root) / keys.request_key(question.request_id)).read_text()
    for number in range(20_000):
        folder = root / keys.PREFIX / f"r{number}"
        folder.mkdir(parents=True)
        (folder / "request.json").write_text(text.replace(f'"{question.request_id}"', f'"r{number}"'))
    with running(str(root), root.parent, HITL_AUTH="proxy", HITL_PROXY_SECRET="s") as app:
        headers = {"X-HITL-Proxy-Secret": "s", "X-Forwarded-User": "ann"}
        large = Target(app)
        before = large.cpu()
        with ThreadPoolExecutor(20) as pool:
            pages = [pool.submit(httpx.get, app.url, headers=headers, timeout=60) for _ in range(20)]
            while not all(page.done() for page in pages):
                assert httpx.get(f"{app.url}/health").status_code == 200
        assert {page.result().status_code for page in pages} == {200}
        cpu, peak = large.cpu() - before, large.peak_mib()
    assert cpu < CPU_SECONDS or cpu < CPU_SECONDS * _slowness()
    assert peak < _memory_limit_mib()
    return f"200, with {cpu:.1f} CPU s and {peak:.0f} MiB in all"


@attack("a stop while 300 stall in every state")
def stopped_while_stalled(target: Target) -> str:
    """Afterwards the web app is another process."""
    starts = (
        b"",
        b"GET /hea",
        head("/submit", FORM, b"Content-Length: 1000\r\n"),
        (b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 12,
    )
    with ExitStack() as stack:
        for sent in starts * 75:
            stack.enter_context(connected(target.port)).sendall(sent)
        target.honest()
        target.past_cpu = target.cpu()
        target.app.stop()
        assert target.app.process is not None
        code = target.app.process.returncode
    target.app.start()
    assert code in (0, -15)
    return f"ended with {code}"
