"""HTTP as bytes, for what no client library sends."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.web.serving import Question

HOST = b"Host: 127.0.0.1\r\n"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "a-border"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Reply:
    """A reply as it came: status, header names in small letters, body. Status 0: none came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def safe(self) -> bool:
        """Whether the reply has what keeps browsers from doing more with it than is meant."""
        return "default-src 'none'" in self.headers.get("content-security-policy", "") and (
            self.headers.get("x-content-type-options") == "nosniff"
        )


@contextlib.contextmanager
def connected(port: int, seconds: float = 60) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        yield connection


def exchange(port: int, *pieces: bytes, seconds: float = 60) -> Reply:
    """Send bytes and read one reply; what the server does not want to read any more is no error."""
    with connected(port, seconds) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        return read_reply(connection)


def read_reply(connection: socket.socket) -> Reply:
    got = b""
    with contextlib.suppress(OSError):
        while not _whole(got):
            more = connection.recv(65536)
            if not more:
                break
            got += more
    return parse(got)


def read_to_end(connection: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            got += more
    return got


def parse(got: bytes) -> Reply:
    head, _, body = got.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    if not line.startswith("HTTP/1.1 "):
        return Reply(0, {}, got)
    headers = dict(field.split(": ", 1) for field in fields)
    return Reply(int(line.split()[1]), headers, body)


def _whole(got: bytes) -> bool:
    reply = parse(got)
    length = reply.headers.get("content-length")
    return b"\r\n\r\n" in got and length is not None and len(reply.body) >= int(length)


def reset(connection: socket.socket) -> None:
    """Cut a connection as a crashed host or a firewall does: with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def post(path: str, content_type: str, body: bytes, *more: bytes) -> bytes:
    """Return a request whose Content-Length is right."""
    return head(path, content_type, b"Content-Length: %d\r\n" % len(body), *more) + body


def chunked(path: str, content_type: str, body: bytes, size: int) -> bytes:
    """Return a request that sends its body in chunks."""
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head(path, content_type, b"Transfer-Encoding: chunked\r\n") + framed + b"0\r\n\r\n"


def head(path: str, content_type: str, *more: bytes) -> bytes:
    line = f"POST {path} HTTP/1.1\r\n".encode()
    return line + HOST + f"Content-Type: {content_type}\r\n".encode() + b"".join(more) + b"\r\n"


def form_of(question: Question, **fields: str) -> bytes:
    return urlencode({"request_id": question.request_id, "token": question.token, **fields}).encode()


def parts_of(question: Question, **fields: str) -> bytes:
    given = {"request_id": question.request_id, "token": question.token, **fields}
    return b"".join(part(name, value.encode()) for name, value in given.items()) + f"--{BOUNDARY}--\r\n".encode()


def part(name: str, value: bytes, *headers: str) -> bytes:
    lines = [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"', *headers, "", ""]
    return "\r\n".join(lines).encode() + value + b"\r\n"


def json_of(question: Question, **fields: object) -> bytes:
    return json.dumps({"request_id": question.request_id, "token": question.token, **fields}).encode()
