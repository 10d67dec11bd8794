"""What each kind of storage does for a `Store`."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple, Protocol, TypeAlias

from hitl.errors import DocumentDamaged, HITLError, StorageUnavailable, StorageUnsuitable

# A key, and when its object was last written.
Entry: TypeAlias = tuple[str, datetime]

MAX_OBJECT_BYTES: Final = 4 * 1024 * 1024

_QUERY: Final = re.compile(r"\?\S+")


class NoCredentials(PermissionError):
    """The storage could not be asked, as nobody gave credentials. Its text says where they are looked for."""


class Found(NamedTuple):
    """An object as it was read.

    Args:
        data: Its bytes.
        written_at: When it was last written, by the storage's own clock.
    """

    data: bytes
    written_at: datetime


class Objects(Protocol):
    """The objects of one root. Every method may raise StorageUnavailable and StorageUnsuitable besides."""

    refuses_without_cause: bool
    """Whether "there is one already" may be said while there is none, as S3 does by 409."""

    side_by_side: bool
    """Whether two calls at once are over sooner than one after the other."""

    racers: int
    """How many create one key at once when the root is proven."""
    rounds: int
    """How many keys they do that for, one after another."""

    async def create(self, key: str, data: bytes, *, durable: bool) -> None:
        """Create an object; FileExistsError when there is one."""
        ...

    async def overwrite(self, key: str, data: bytes) -> None:
        """Write an object, whether there is one or not."""
        ...

    @property
    def overwrite_many(self) -> Callable[[Sequence[str], bytes], Awaitable[None]] | None:
        """Writes objects as `overwrite` does, where one call costs less than many; None where it does not.

        What cannot be written stops no other, and is raised at the end.
        """
        ...

    async def read(self, key: str) -> Found:
        """Read an object; FileNotFoundError when there is none, DocumentDamaged when it cannot be ours."""
        ...

    async def size(self, key: str) -> int:
        """Return how many bytes an object has; FileNotFoundError when there is none."""
        ...

    async def read_part(self, key: str, start: int, length: int) -> bytes:
        """Read some of an object's bytes, which it has; FileNotFoundError when there is none."""
        ...

    async def look(self, key: str) -> None:
        """Do nothing; FileNotFoundError when there is no such object."""
        ...

    async def delete(self, key: str, *, durable: bool) -> None:
        """Delete an object; FileNotFoundError, or nothing, when there is none."""
        ...

    async def delete_many(self, keys: Sequence[str], *, durable: bool) -> None:
        """Delete objects, if they are there. What cannot be deleted stops no other, and is raised at the end."""
        ...

    def list_all(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield all keys under a prefix, some at a time."""
        ...

    async def list_page(self, prefix: str, after: str, most: int | None) -> list[Entry]:
        """Return the next keys under a prefix, in their order, and not more than so many."""
        ...

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right under a prefix."""
        ...

    async def drop_parts(self, before: datetime) -> list[str]:
        """Delete what writers that died left unfinished before a moment, and return its names."""
        ...


def check_size(key: str, size: int) -> None:
    """Refuse an object that is too large to be HITL's.

    Raises:
        DocumentDamaged: when it is.
    """
    if size > MAX_OBJECT_BYTES:
        raise DocumentDamaged(key, f"it has {size:,} bytes, which nothing of HITL's has")


def first_line(error: BaseException) -> str:
    """Return an error's first line, without what may grant access, such as the signature in an address."""
    return _QUERY.sub("?…", (str(error).splitlines() or [type(error).__name__])[0])[:300]


@contextmanager
def translating(
    url: str, what: str, *, place: str, unknown: type[Exception], failed: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Raise what another machine's storage raises as an error of ours; that an object is there, or not, stays.

    Args:
        url: The root's URL.
        what: What is done there, such as ``read a/request.json``.
        place: What has to be there: the bucket, or the root.
        unknown: How the storage says that it cannot do that at all.
        failed: What else it raises.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, HITLError):
        raise
    except TimeoutError as error:
        raise StorageUnavailable(f"{url} did not answer in time to {what}") from error
    except NoCredentials as error:
        raise StorageUnsuitable(f"{url}: could not {what}: {error}") from error
    except PermissionError as error:
        raise StorageUnsuitable(
            f"{url}: not permitted to {what}: check the credentials' rights, and that the {place} is there"
        ) from error
    except unknown as error:
        raise StorageUnsuitable(f"{url}: the storage knows no way to {what}: use another one") from error
    except failed as error:
        raise StorageUnavailable(f"{url}: could not {what}: {first_line(error)}") from error
