"""Files that a program shows beside a question: a local path, or any URL that fsspec or HTTP reads."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from hitl.errors import HITLError, InvalidRequest
from hitl.storage.objects import first_line

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::)")
_BUCKETS: Final = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
_HTTP_SECONDS: Final = 30.0
_PART_BYTES: Final = 256 * 1024


def shown_place(place: str) -> str:
    """Return a path or a URL without what may grant access to it: a user, a query and a fragment."""
    return re.sub(r"(?<=://)[^/@]*@", "", re.split(r"[?#]", place, maxsplit=1)[0]) if _URL.match(place) else place


def read_source(place: str, most: int, filesystem: Any = None) -> bytes:
    """Return the bytes of a file, wherever it lies.

    Args:
        place: A local path or a URL.
        most: How many bytes it may have.
        filesystem: fsspec's filesystem that knows the place. None: the one of the URL's scheme.

    Raises:
        InvalidRequest: saying why it cannot be read, or that it is larger.
    """
    with open_source(place, most, filesystem) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InvalidRequest(f"{shown_place(place)} has more than {most:,} bytes")
    return bytes(data)


@contextmanager
def open_source(place: str, most: int, filesystem: Any = None) -> Iterator[IO[bytes]]:
    """Open a file for reading, wherever it lies. It can be read from any position.

    Args:
        place: A local path or a URL.
        most: How many bytes are read at most where a place can only be read from the beginning, as by HTTP.
        filesystem: fsspec's filesystem that knows the place. None: the one of the URL's scheme.

    Raises:
        InvalidRequest: saying why it cannot be read. What the block raises by reading becomes one as well.
    """
    try:
        with _opened(place, most, filesystem) as file:
            yield file
    except HITLError:
        raise
    except FileNotFoundError as error:
        raise InvalidRequest(f"there is no file {shown_place(place)}") from error
    except IsADirectoryError as error:
        raise InvalidRequest(f"{shown_place(place)} is a folder: give a file") from error
    except ImportError as error:
        raise InvalidRequest(f"{shown_place(place)} cannot be read: {first_line(error)}") from error
    except Exception as error:  # each filesystem has errors of its own
        raise InvalidRequest(f"{shown_place(place)} cannot be read: {first_line(error)}") from error


def files_of(place: str, filesystem: Any) -> list[str]:
    """Return the files right in a folder, in their order; of a file, the place itself.

    Args:
        place: A local path or a URL, of a folder or of a file.
        filesystem: fsspec's filesystem that knows it.
    """
    path = filesystem._strip_protocol(place)
    if not filesystem.isdir(path):
        return [place]
    names = [str(each) for each in filesystem.ls(path, detail=False)]
    return sorted(each for each in names if not each.rpartition("/")[2].startswith((".", "_")))


@contextmanager
def _opened(place: str, most: int, filesystem: Any) -> Iterator[IO[bytes]]:
    scheme = _URL.match(place)
    if filesystem is not None:
        with filesystem.open(filesystem._strip_protocol(place), "rb") as file:
            yield file
    elif scheme is None or scheme[1].lower() == "file":
        yield from _local(place.removeprefix("file://"))
    elif scheme[1].lower() in ("http", "https"):
        yield io.BytesIO(_fetched(place, most))
    else:
        with _filesystem_of(place, scheme[1].lower()) as file:
            yield file


def _local(path: str) -> Iterator[IO[bytes]]:
    kind = os.stat(path).st_mode  # noqa: PTH116 - a text, as it was given
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(kind):
        # A named pipe would be waited for without end.
        raise InvalidRequest(f"{path} is no regular file")
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        yield file


def _fetched(url: str, most: int) -> bytes:
    import httpx  # few programs need it, and it takes its time

    data = bytearray()
    with httpx.stream("GET", url, timeout=_HTTP_SECONDS, follow_redirects=True) as response:
        if not response.is_success:
            raise InvalidRequest(f"{shown_place(url)} cannot be read: the server said {response.status_code}")
        for part in response.iter_bytes(_PART_BYTES):
            data += part
            if len(data) > most:
                raise InvalidRequest(f"{shown_place(url)} has more than {most:,} bytes")
    return bytes(data)


@contextmanager
def _filesystem_of(url: str, scheme: str) -> Iterator[IO[bytes]]:
    if scheme in _BUCKETS and "::" not in url:
        from hitl.storage.objectstores import open_for_reading

        found = open_for_reading(scheme)
        # obstore's file of nothing fails once more when it is let go.
        found.info(url)
        with found.open(url, "rb") as file:
            yield file
        return
    from fsspec.core import url_to_fs

    filesystem, path = url_to_fs(url)
    with filesystem.open(path, "rb") as file:
        yield file
