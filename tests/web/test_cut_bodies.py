"""A connection that is cut while it sends records nothing, wherever it is cut and however."""

import socket
import uuid
from collections.abc import Callable

import pytest

from tests.web.raw import (
    BOUNDARY,
    FORM,
    MULTIPART,
    chunked,
    connected,
    exchange,
    form_of,
    json_of,
    parts_of,
    post,
    reset,
)
from tests.web.serving import WebApp

BODIES: dict[str, tuple[str, str, Callable[..., bytes]]] = {
    "form": ("/submit", FORM, form_of),
    "multipart": ("/submit", MULTIPART, parts_of),
    "json": ("/submit/json", "application/json", json_of),
}
FRAMINGS: dict[str, Callable[[str, str, bytes], bytes]] = {
    "content-length": post,
    "chunks": lambda path, kind, body: chunked(path, kind, body, 64),
    "one-byte-chunks": lambda path, kind, body: chunked(path, kind, body, 1),
}


def _half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(60)
    connection.recv(1)


ENDS: dict[str, Callable[[socket.socket], None]] = {
    "closed": lambda connection: connection.close(),
    "reset": reset,
    "half-closed": _half_close,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_did_not_come_whole_records_nothing(
    shared_app: WebApp, kind: str, framing: str, end: str
) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    path, content_type, body_of = BODIES[kind]
    request = FRAMINGS[framing](path, content_type, body_of(question, value="1000000"))
    body_at = request.index(b"\r\n\r\n") + 4
    typed_at = request.rindex(b"1" if framing != "one-byte-chunks" else b"\r\n1\r\n0") + 1
    cuts = {body_at, body_at + 1, typed_at, typed_at + 1, typed_at + 2, len(request) - 2, len(request) - 1}

    for cut in cuts:
        with connected(shared_app.port) as connection:
            connection.sendall(request[:cut])
            ENDS[end](connection)

    # Whatever was recorded until now would be in the way of this one.
    whole = FRAMINGS[framing](path, content_type, body_of(question, value="7"))
    assert exchange(shared_app.port, whole).status == 200
    outcome = question.stored()
    assert outcome is not None
    assert outcome["value"] == 7


def test_a_form_cut_before_reject_does_not_record_the_answer_chosen_earlier(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}", data_type=bool)
    whole = post("/submit", FORM, form_of(question, value="true", reject="1"))

    with connected(shared_app.port) as connection:
        connection.sendall(whole.removesuffix(b"&reject=1"))

    assert exchange(shared_app.port, post("/submit", FORM, form_of(question, value="false"))).status == 200
    outcome = question.stored()
    assert outcome is not None
    assert outcome["value"] is False


@pytest.mark.parametrize("said", [1, 7, 100_000])
def test_a_content_length_that_is_longer_than_what_came_records_nothing(shared_app: WebApp, said: int) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    body = json_of(question, value=5)
    request = post("/submit/json", "application/json", body)

    with connected(shared_app.port) as connection:
        connection.sendall(request.replace(b"Length: %d" % len(body), b"Length: %d" % (len(body) + said)))

    assert (
        exchange(shared_app.port, post("/submit/json", "application/json", json_of(question, value=6))).status
        == 200
    )
    outcome = question.stored()
    assert outcome is not None
    assert outcome["value"] == 6


def test_a_multipart_form_that_ends_before_its_border_records_nothing(shared_app: WebApp) -> None:
    question = shared_app.ask(f"q-{uuid.uuid4().hex[:12]}")
    body = parts_of(question, value="1000000")

    for cut in (len(body) - 4, body.rindex(b"--" + BOUNDARY.encode()), body.rindex(b"00")):
        reply = exchange(shared_app.port, post("/submit", MULTIPART, body[:cut]))
        assert (reply.status, reply.safe) == (400, True)

    assert question.stored() is None
