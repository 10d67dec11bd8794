"""A small HTTP/1.1 load generator: keep-alive connections, one request at a time on each, latencies kept.

A client that parses as much as a browser library does would be slower than the server it measures, so this one
reads a response's status and length and nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class Load:
    """What a run of requests gave: rate in requests a second, latencies in milliseconds, and failures."""

    rate: float
    p50: float
    p99: float
    failures: int


def get(url: str) -> bytes:
    """Return a GET request for a URL, ready to be sent."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()


def post_json(url: str, body: bytes) -> bytes:
    """Return a POST request with a JSON body, ready to be sent."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(host: str, port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send all requests over so many connections and measure."""
    return uvloop.run(_run(host, port, requests, connections))


async def _run(host: str, port: int, requests: Sequence[bytes], connections: int) -> Load:
    left = iter(requests)
    latencies: list[float] = []
    began = time.perf_counter()
    failures = await asyncio.gather(*(_worker(host, port, left, latencies) for _ in range(connections)))
    elapsed = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100)
    return Load(len(latencies) / elapsed, cuts[49] * 1000, cuts[98] * 1000, sum(failures))


async def _worker(host: str, port: int, requests: Iterator[bytes], latencies: list[float]) -> int:
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    failures = 0
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        at = lowered.index(b"content-length:") + len(b"content-length:")
        await reader.readexactly(int(lowered[at : lowered.index(b"\r\n", at)]))
        latencies.append(time.perf_counter() - began)
        failures += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return failures
