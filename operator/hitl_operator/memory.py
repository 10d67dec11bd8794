"""Objects and questions that the operator keeps in memory, within bounds: all of it can be read again."""

from __future__ import annotations

from contextlib import suppress
from operator import itemgetter
from sys import getsizeof
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.records.requests import StoredRequest

T = TypeVar("T", HumanInput, HumanInputResponse)

Key = tuple[str, str]
"""Namespace and name of an object; root and id of a request."""

_FRESH_BYTES: Final = 24 * 2**20
_REQUEST_BYTES: Final = 24 * 2**20
# What an object takes beside its own texts.
_BASE_BYTES: Final = 4_096
# Of less JSON, without a JSON Schema, the texts take about twice as much. An answered HumanInput has about 4 KiB.
_SMALL_BYTES: Final = 8_192


class Fresh(Generic[T]):
    """Objects as the watch brought them, until somebody looks at them: saves a GET for each change.

    Each is taken once. Its `resourceVersion` guards what is written by it, so an old one does no harm.

    Args:
        most: How many bytes they take at most.
    """

    def __init__(self, most: int = _FRESH_BYTES) -> None:
        # Each with its size, which is computed once.
        self._objects: LRUCache[Key, tuple[T, int]] = LRUCache(most, getsizeof=itemgetter(1))

    def put(self, content: T) -> None:
        """Keep an object, unless it is larger than all that may be kept."""
        key, most = (content.metadata.namespace, content.metadata.name), int(self._objects.maxsize)
        schema = content.spec.json_schema if isinstance(content, HumanInput) else None
        size = _bytes_of(content, schema, most)
        self._objects.pop(key, None)
        if size <= most:
            self._objects[key] = content, size

    def take(self, key: Key) -> T | None:
        """Return an object that nobody took yet."""
        found = self._objects.pop(key, None)
        return None if found is None else found[0]

    def drop(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._objects.pop(key, None)

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._objects)


class KnownRequests:
    """Questions that this process read or stored. A question never changes, though it may be deleted.

    Args:
        most: How many bytes they take at most.
    """

    def __init__(self, most: int = _REQUEST_BYTES) -> None:
        self._requests: LRUCache[Key, tuple[StoredRequest, int]] = LRUCache(most, getsizeof=itemgetter(1))

    def put(self, root: str, request: StoredRequest) -> None:
        """Keep a question."""
        asked, most = request.document, int(self._requests.maxsize)
        size = _bytes_of(asked, asked.json_schema, most)
        if size <= most:
            self._requests[root, request.request_id] = request, size

    def get(self, root: str, request_id: str) -> StoredRequest | None:
        """Return a question, if it is kept."""
        found = self._requests.get((root, request_id))
        return None if found is None else found[0]

    def drop(self, root: str, request_id: str) -> None:
        """Forget a question, as storage holds it no more or another one."""
        self._requests.pop((root, request_id), None)


def _bytes_of(content: BaseModel, schema: object, most: int) -> int:
    """Return about how many bytes of memory an object takes; more than `most`, if it is surely more.

    The person who asks chooses each of its texts, and how a JSON Schema is nested: 1 MiB of that takes up to 28.
    """
    if not schema:
        # Half a character cannot be written.
        with suppress(PydanticSerializationError):
            written = len(to_json(content))
            if written <= _SMALL_BYTES:
                return _BASE_BYTES + 2 * written
    size, left = _BASE_BYTES, list[object](content.__dict__.values())
    while left and size <= most:
        each = left.pop()
        if isinstance(each, BaseModel):
            left += filter(None, each.__dict__.values())
            continue
        size += getsizeof(each)
        if isinstance(each, dict):
            left += each
            left += each.values()
        elif isinstance(each, list | tuple):
            left += each
    return size
