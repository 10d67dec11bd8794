"""HTTP that is odd, doubled or broken: no input makes a server error, and every reply has the security headers."""

import base64
import json
import re
import socket
import string
import uuid
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hitl.core import keys
from hitl.logs import redact
from hitl_webapp import pages
from hitl_webapp.logs import shown_path
from hitl_webapp.serving import most_connections
from tests.web.raw import (
    FORM,
    HOST,
    Reply,
    chunked,
    connected,
    exchange,
    form_of,
    json_of,
    post,
    read_reply,
    read_to_end,
)
from tests.web.serving import WebApp, running

SECRET = "a-secret-of-the-proxy"
JSON = "application/json"


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + b"".join(headers or (HOST,)) + b"\r\n"


def refused(reply: Reply, *statuses: int) -> bool:
    return reply.status in statuses and reply.safe


@pytest.mark.parametrize(
    "header",
    [
        b"Origin: http://[",
        b"Origin: https://a]b",
        b"Origin: http://[::1",
        b"Origin: \xff",
        b"Origin: http://a\xe2\x84\x80b",
        b"Origin: //",
        b"Origin: ",
        b"Sec-Fetch-Site: \xff",
    ],
)
def test_an_origin_that_is_no_url_is_another_site(shared_app: WebApp, header: bytes) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    request = post("/submit/json", JSON, json_of(question, value=1), header + b"\r\n")

    assert refused(exchange(shared_app.port, request), 403)
    assert question.stored() is None


@pytest.mark.parametrize(
    "host", [b"", b"[", b"[::1", b"a:b:c", b"\xff", b"a b", b"[]:1", b"%00", b"a@b", b"http://x"]
)
def test_an_odd_host_is_no_server_error(shared_app: WebApp, host: bytes) -> None:
    for path in (b"/", b"/form/a", b"/nowhere", b"/healthz"):
        reply = exchange(shared_app.port, get(path, b"Host: " + host + b"\r\n"))
        assert refused(reply, 200, 308, 400, 403, 404)


@pytest.mark.parametrize(
    "path",
    [
        b"/form/%00",
        b"/form/%zz",
        b"/form/%",
        b"/form/%ff%fe",
        b"/form/%ED%A0%80",
        b"/form/..%2f",
        b"//form",
        b"/\x7f",
        b"/form/a?token=%ED%A0%80",
        b"/form/a?token=%ff",
        b"/form/a?token=%00",
        b"/%0d%0aSet-Cookie:x",
        b"/status/%ED%A0%80?token=%ff&response_path=%23%ED%A0%80",
        b"/static/%00/app.css",
        b"/static/a/..%2f",
        b"*",
        b"x:1",
        b"http://",
        b"http://[",
        b"http://x/form/a",
        b"/form/\xc3\xa9",
        b"/form/\xff",
        b"/form/a#b",
        b"/form/a b",
        b"/form/a?" + b"&" * 4_000,
    ],
)
def test_an_odd_path_is_no_server_error(shared_app: WebApp, path: bytes) -> None:
    for method in (b"GET", b"OPTIONS"):
        assert refused(exchange(shared_app.port, get(path, method=method)), 200, 308, 400, 403, 404, 405)


@pytest.mark.parametrize(
    "method",
    ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "BREW", "get", "POST", "HEAD"],
)
def test_any_method_is_answered(shared_app: WebApp, method: str) -> None:
    for path in (b"/form/a", b"/submit", b"/submit/json", b"/", b"/health"):
        reply = exchange(shared_app.port, get(path, method=method.encode()))
        assert refused(reply, 200, 400, 403, 405, 415)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /submit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"POST /submit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n",
    ],
)
def test_what_is_no_http_is_refused_with_the_headers_of_all_replies(shared_app: WebApp, sent: bytes) -> None:
    assert refused(exchange(shared_app.port, sent), 400)


def test_broken_http_behind_an_answer_does_not_hide_that_it_was_recorded(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")

    reply = exchange(shared_app.port, post("/submit", FORM, form_of(question, value="5")) + b"\x00" * 100)

    assert reply.status == 200
    assert question.stored() is not None


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("Content-Encoding: gzip", 415),
        ("content-encoding: DEFLATE", 415),
        ("Content-Encoding: identity, br", 415),
        ("Content-Encoding: identity\r\nContent-Encoding: gzip", 400),
        ("Content-Range: bytes 0-9/99", 400),
    ],
)
def test_a_body_that_stands_for_something_else_is_not_read_as_it_is(
    shared_app: WebApp, field: str, status: int
) -> None:
    for path, kind, body_of in (("/submit", FORM, form_of), ("/submit/json", JSON, json_of)):
        question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")

        reply = exchange(shared_app.port, post(path, kind, body_of(question, value="1"), f"{field}\r\n".encode()))

        assert refused(reply, status)
        assert question.stored() is None


@pytest.mark.parametrize("coding", ["gzip, chunked", "x, chunked"])
def test_chunks_of_something_that_is_encoded_are_not_read(shared_app: WebApp, coding: str) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    request = chunked("/submit", FORM, form_of(question, value="1"), 64)
    assert b"Transfer-Encoding: chunked" in request

    sent = request.replace(b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + coding.encode())

    assert refused(exchange(shared_app.port, sent), 400, 415)
    assert question.stored() is None


@pytest.mark.parametrize("name", ["identity", "none"])
def test_a_body_that_says_it_is_not_encoded_is_read(shared_app: WebApp, name: str) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    field = b"" if name == "none" else b"Content-Encoding: identity\r\n"

    assert exchange(shared_app.port, post("/submit", FORM, form_of(question, value="1"), field)).status == 200


def test_a_client_that_goes_while_several_requests_wait_is_no_server_error(app: WebApp) -> None:
    for number in range(20):
        question = app.ask(f"q-{number}")
        request = post("/submit", FORM, form_of(question, value="1"))
        with connected(app.port) as connection:
            connection.sendall(request + request)
            connection.shutdown(socket.SHUT_WR)
            read_to_end(connection)

    app.stop()
    assert [line for line in app.logged("hitl.web") if line["level"] == "ERROR"] == []
    assert "Traceback" not in app.log.read_text()


def test_an_upgrade_is_not_made_and_the_request_is_served(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"

    assert refused(exchange(shared_app.port, get(b"/health", HOST, upgrade)), 200)
    reply = exchange(shared_app.port, post("/submit", FORM, form_of(question, value="5"), upgrade))
    assert reply.status in (200, 400)
    assert (question.stored() is not None) == (reply.status == 200)


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    request = post("/submit", FORM, form_of(question, value="5"), b"Expect: 100-continue\r\n")
    begin, _, body = request.partition(b"\r\n\r\n")

    with connected(shared_app.port) as connection:
        connection.sendall(begin + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert question.stored() is None
        connection.sendall(body)
        assert read_reply(connection).status == 200


@pytest.mark.parametrize("name", ["app.css", "app.js", "icon.svg"])
def test_a_file_is_served_whole_and_then_others(shared_app: WebApp, name: str) -> None:
    path = pages.asset(name).encode()

    for headers in ((HOST,), (HOST, b"Range: bytes=0-9\r\n"), (HOST, b"Content-Length: 5\r\n")):
        assert refused(exchange(shared_app.port, get(path, *headers)), 200, 206)
        assert refused(exchange(shared_app.port, get(b"/health")), 200)
    assert exchange(shared_app.port, get(path)).body == (pages.STATIC / name).read_bytes()


def test_requests_in_a_row_are_answered_in_their_order(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    row = [get(b"/health"), post("/submit", FORM, form_of(question, value="5")), get(b"/nowhere")]

    with connected(shared_app.port) as connection:
        connection.sendall(b"".join(row) + get(b"/ready", HOST, b"Connection: close\r\n"))
        got = read_to_end(connection)

    assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"200", b"200", b"404", b"200"]


def test_a_header_field_behind_the_body_counts_for_nothing(tmp_path: Path) -> None:
    with running(str(tmp_path / "root"), tmp_path, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        question = app.ask()
        body = json.dumps({"request_id": question.request_id, "value": 1}).encode()
        begin = b"POST /submit/json HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        identity = f"X-HITL-Proxy-Secret: {SECRET}\r\nX-Forwarded-User: ann\r\n".encode()
        chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)

        assert exchange(app.port, begin + chunks + identity + b"\r\n").status == 401
        assert question.stored() is None
        assert exchange(app.port, begin + identity + chunks + b"\r\n").status == 200


TWICE = [
    "X-Forwarded-User", "X-Forwarded-Groups", "X-HITL-Proxy-Secret", "Authorization", "Host", "Content-Length",
    "Content-Type", "Idempotency-Key", "Origin", "Sec-Fetch-Site",
]  # fmt: skip


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("proxied")
    with running(str(folder / "root"), folder, HITL_AUTH="proxy", HITL_PROXY_SECRET=SECRET) as app:
        yield app


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("same", [True, False])
def test_a_header_that_decides_something_is_there_once(proxied: WebApp, name: str, same: bool) -> None:
    question = proxied.ask(f"q-{uuid.uuid4().hex[:12]}")
    body = json.dumps({"request_id": question.request_id, "value": 1}).encode()
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-HITL-Proxy-Secret": SECRET,
        "X-Forwarded-User": "ann",
        "X-Forwarded-Groups": "staff",
        "Authorization": "Bearer x",
        "Idempotency-Key": "a-key",
        "Sec-Fetch-Site": "same-origin",
        "Origin": "http://127.0.0.1",
    }
    lines = [f"{each}: {value}" for each, value in headers.items()]
    second = f"{name.lower()}: {headers[name] if same else 'mallory'}"

    def sent(*given: str) -> bytes:
        return b"POST /submit/json HTTP/1.1\r\n" + "\r\n".join((*given, "", "")).encode() + body

    assert refused(exchange(proxied.port, sent(*lines, second)), 400)
    assert refused(exchange(proxied.port, sent(second, *lines)), 400)
    assert question.stored() is None
    assert exchange(proxied.port, sent(*lines)).status == 200


@pytest.mark.parametrize(
    "name",
    [
        b"a\tb",
        b"\xc2\x85",
        "\u202eann".encode(),
        b"ann\xff",
        "\u200b".encode(),
        b"\xa0",
        "ann\u200d".encode(),
        "a\u200cnn".encode(),
        "ann\u00a0".encode(),
    ],
)
def test_a_name_that_cannot_be_printed_answers_nothing(proxied: WebApp, name: bytes) -> None:
    question = proxied.ask(f"q-{uuid.uuid4().hex[:12]}")
    body = json.dumps({"request_id": question.request_id, "value": 1}).encode()
    identity = f"X-HITL-Proxy-Secret: {SECRET}\r\n".encode() + b"X-Forwarded-User: " + name + b"\r\n"

    assert refused(exchange(proxied.port, post("/submit/json", JSON, body, identity)), 403)
    assert question.stored() is None


def test_a_name_is_recorded_as_the_proxy_wrote_it(proxied: WebApp) -> None:
    question = proxied.ask(f"q-{uuid.uuid4().hex[:12]}")
    body = json.dumps({"request_id": question.request_id, "value": 1}).encode()
    identity = f"X-HITL-Proxy-Secret: {SECRET}\r\nX-Forwarded-User: Jürgen, 李\r\n".encode()

    assert exchange(proxied.port, post("/submit/json", JSON, body, identity)).status == 200
    outcome = question.stored()
    assert outcome is not None
    assert outcome["respondent"]["name"] == "Jürgen, 李"


_TOKENS = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=12)
_BYTES = st.binary(max_size=40)
_METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"BREW"])
_PATHS = st.sampled_from([b"/", b"/form/a", b"/submit", b"/submit/json", b"/status/a", b"/health", b"/docs"])
_NAMES = (
    st.sampled_from(["Host", "Origin", "Content-Type", "Content-Length", "Transfer-Encoding", "Authorization"])
    | st.sampled_from(["Accept", "Cookie", "Expect", "Upgrade", "Connection", "Content-Encoding", "Range"])
    | st.sampled_from(["Idempotency-Key", "Sec-Fetch-Site", "X-Forwarded-User", "If-None-Match"])
    | _TOKENS
)
_VALUES = _BYTES | st.sampled_from(
    [
        b"chunked",
        b"5",
        b"100-continue",
        b"application/json",
        FORM.encode(),
        b"multipart/form-data; boundary=x",
        b"null",
    ]
)
_FORM_BODIES = st.lists(
    st.tuples(st.sampled_from(["request_id", "token", "value", "reject"]) | _TOKENS, _BYTES)
).map(lambda fields: b"&".join(name.encode() + b"=" + quote(value).encode() for name, value in fields))
_JSON_BODIES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TOKENS, inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    method=_METHODS,
    path=_PATHS,
    query=_BYTES,
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=5),
    body=_BYTES | _FORM_BODIES | _JSON_BODIES,
    ends=st.sampled_from([b"\r\n", b"\n"]),
)
@example(b"POST", b"/submit", b"", [("Origin", b"http://[")], b"", b"\r\n")
@example(
    b"POST",
    b"/submit",
    b"",
    [("Content-Type", b"multipart/form-data; boundary=x; charset=undefined")],
    b"",
    b"\r\n",
)
def test_no_bytes_make_a_server_error(
    impatient: WebApp,
    method: bytes,
    path: bytes,
    query: bytes,
    headers: list[tuple[str, bytes]],
    body: bytes,
    ends: bytes,
) -> None:
    lines = [method + b" " + path + b"?" + query + b" HTTP/1.1", HOST.strip()]
    lines += [name.encode() + b": " + value for name, value in headers]
    lines.append(b"Content-Length: %d" % len(body))

    reply = exchange(impatient.port, ends.join(lines) + ends * 2 + body)

    # A client that is silent where the request ended, as far as the server can tell, gets none.
    assert reply.status in (0, 100) or (reply.status < 500 and reply.safe)
    assert httpx.get(f"{impatient.url}/health").status_code == 200


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("impatient")
    times = {"HITL_HEAD_SECONDS": "0.3", "HITL_BODY_SECONDS": "0.3", "HITL_IDLE_SECONDS": "1"}
    with running(str(folder / "root"), folder, None, **times) as app:
        yield app
        assert "Traceback" not in app.log.read_text()


MANGLED = [
    "/form/{id}/{token}",
    "/form/{id}%3Ftoken%3D{token}",
    "/form/{id}%253Ftoken%253D{token}",
    "/form/{id}?token=3D{token}",
    "/status/{id}%23{token}",
    "/{token}",
    "/x/{token}.",
    "/form/{id}&token={token}",
    "/form/{token}",
    "/static/{token}/app.css",
    "/form/{id}%20{token}%22%3E",
    "/submit/{token}",
    "/form/%22{token}%22",
]


def test_a_token_in_a_broken_link_reaches_no_log(app: WebApp) -> None:
    question = app.ask()
    paths = [each.format(id=question.request_id, token=question.token) for each in MANGLED]
    for path in paths:
        httpx.get(app.url + path)
        httpx.post(app.url + path)
        exchange(app.port, get(path.encode(), b"x\r\n"))
    app.stop()

    log = app.log.read_text()
    assert len(log.splitlines()) > len(MANGLED)
    assert question.token not in log
    assert question.token[3:30] not in log


@given(st.binary(min_size=32, max_size=32))
def test_no_token_is_left_wherever_it_stands(raw: bytes) -> None:
    token = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    if token.islower() or token.isupper():
        return
    for around in ("{}", "x {} y", "({})", "/{}/", "token={}", "%3D{}", "'{}'", "…{}", "a={}&b", "{}%22"):
        assert token not in redact(around.format(token))
        assert token not in shown_path("/" + around.format(token))


@pytest.mark.parametrize("_", range(50))
def test_no_token_of_this_release_is_left_wherever_it_stands(_: int) -> None:
    token = keys.new_token()
    for around in ("{}", "x {} y", "({})", "/{}/", "token={}", "%3D{}", "'{}'", "…{}", "a={}&b", "{}%22", "{}."):
        assert token not in redact(around.format(token))
        assert token not in shown_path("/" + around.format(token))


def test_what_is_no_token_stays_readable() -> None:
    for text in (
        "a" * 64,
        "q-0123456789ab",
        "2026-11-26T01:29:03.000Z",
        "StorageUnavailable: no answer",
        "ClusterUnavailable FlyteInternalException in ResourceQuotaExceeded",
        "/form/a-b",
    ):
        assert redact(text) == text
    for path in ("/", "/form/a-question", "/status/a-b", "/submit/json", "/nowhere", "/openapi.json"):
        assert shown_path(path) == path


def test_connections_leave_descriptors_for_everything_else() -> None:
    assert most_connections(1000, 1024) == 768
    assert most_connections(1000, 20_000) == 1000
    assert most_connections(1000, 256) == 128
    assert most_connections(1000, -1) == 1000
    assert most_connections(1, 1) == 1
