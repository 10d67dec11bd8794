"""What may lie between a store and its storage: wires that lose messages, and servers that only look like S3."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal
from urllib.parse import urlsplit

Fate = Literal[
    "pass", "lose the request", "lose the reply", "conflict", "precondition failed", "forbidden", "internal error"
]
# Decides from a request's first line, such as "PUT /bucket/key HTTP/1.1".
Decision = Callable[[str], Fate]
_REFUSALS: dict[Fate, tuple[str, str]] = {
    "conflict": ("409 Conflict", "<Error><Code>ConditionalRequestConflict</Code></Error>"),
    "precondition failed": ("412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>"),
    "forbidden": ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>"),
    "internal error": ("500 Internal Server Error", "<Error><Code>InternalError</Code></Error>"),
}
_NOTHING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_FIRST_LINE = re.compile(rb"^(?:GET|PUT|HEAD|POST|DELETE) [^\r\n]+ HTTP/1\.1\r\n", re.MULTILINE)


@asynccontextmanager
async def lossy_wire(endpoint: str, decide: Decision) -> AsyncIterator[str]:
    """Serve a proxy to a real server, and yield its endpoint.

    Its losses end the connection, as a crash would. Its refusals are its own, and the server hears nothing.
    """
    target = urlsplit(endpoint)
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.create_task(connect(reader, writer))] = writer

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Shielded: whoever is ended in the middle of it would leave the connection open.
        opening = asyncio.ensure_future(asyncio.open_connection(target.hostname, target.port))
        try:
            far_reader, far_writer = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening)[1].close()
            raise
        losing = False

        async def forth() -> None:
            nonlocal losing
            while data := await reader.read(65_536):
                first = _FIRST_LINE.search(data)
                fate = decide(first.group().decode().strip()) if first else "pass"
                if fate in _REFUSALS:
                    writer.write(_refusal(*_REFUSALS[fate]))
                    break
                if fate == "lose the request":
                    break
                losing = losing or fate == "lose the reply"
                far_writer.write(data)

        async def back() -> None:
            while (data := await far_reader.read(65_536)) and not losing:
                writer.write(data)

        both = [asyncio.create_task(forth()), asyncio.create_task(back())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First of all, as whoever ends this interrupts what is waited for.
            writer.close()
            far_writer.close()
            for task in both:
                task.cancel()
            await asyncio.gather(*both, writer.wait_closed(), far_writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        # Some were ended before they began, and some come while others are ended.
        while connections:
            task, writer = connections.popitem()
            task.cancel()
            writer.close()
            await asyncio.gather(task, writer.wait_closed(), return_exceptions=True)
            await asyncio.sleep(0.01)


def _refusal(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return f"{head}{body}".encode()


Behaviour = Literal[
    "honours conditions",
    "ignores conditions",
    "looks, then writes",
    "knows no conditions",
    "refuses everybody",
    "refuses every creation",
]


@contextmanager
def fake_s3(behaviour: Behaviour, written_at: str = "Tue, 06 May 2031 07:08:09 GMT") -> Iterator[str]:
    """Serve what only looks like S3, and yield its endpoint. No real server of such a kind can be had.

    All of its objects were written at one moment, that of the tests' samples unless another is given.
    """
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if behaviour == "refuses everybody":
                self._reply(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
            elif behaviour == "knows no conditions" and "If-None-Match" in self.headers:
                self._reply(501, b"<Error><Code>NotImplemented</Code></Error>")
            elif "If-None-Match" in self.headers and self._refused(body):
                self._reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            else:
                objects[self.path] = body
                self._reply(200)

        def _refused(self, body: bytes) -> bool:
            if behaviour == "honours conditions":
                return objects.setdefault(self.path, body) is not body
            if behaviour == "looks, then writes":
                found = self.path in objects
                # Whoever creates at once with others has looked too by then.
                time.sleep(0.3)
                return found
            return behaviour == "refuses every creation"

        def do_GET(self) -> None:
            found = _NOTHING if "list-type=2" in self.path else objects.get(self.path)
            self._reply(404 if found is None else 200, found or b"")

        def do_HEAD(self) -> None:
            self._reply(200 if self.path in objects else 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            gone = re.findall("<Key>(.*?)</Key>", body)
            for key in gone:
                objects.pop(f"{urlsplit(self.path).path}/{key}", None)
            told = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in gone)
            self._reply(200, f"<DeleteResult>{told}</DeleteResult>".encode())

        def _reply(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", written_at)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing: the tests' output is read by people."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
