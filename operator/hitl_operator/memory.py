"""Objects and questions that the operator keeps in memory, within bounds: all of it can be read again."""

from __future__ import annotations

from operator import itemgetter
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from pydantic_core import PydanticSerializationError, to_json

from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.v1alpha1 import HumanInput
from hitl.records.requests import StoredRequest

T = TypeVar("T", HumanInput, HumanInputResponse)

Key = tuple[str, str]
"""Namespace and name of an object; root and id of a request."""

# In characters, about the bytes of a Python string.
_FRESH_CHARS: Final = 16 * 2**20
_REQUEST_CHARS: Final = 16 * 2**20
# What an object takes beside its own texts.
_BASE_CHARS: Final = 4_096


class Fresh(Generic[T]):
    """Objects as the watch brought them, until somebody looks at them: saves a GET for each change.

    Each is taken once. Its `resourceVersion` guards what is written by it, so an old one does no harm.
    """

    def __init__(self, chars: int = _FRESH_CHARS) -> None:
        # Each with its size, which is computed once.
        self._objects: LRUCache[Key, tuple[T, int]] = LRUCache(chars, getsizeof=itemgetter(1))

    def put(self, content: T) -> None:
        """Keep an object, unless it is larger than all that may be kept."""
        key, chars = (content.metadata.namespace, content.metadata.name), _chars_of_object(content)
        self._objects.pop(key, None)
        if chars <= self._objects.maxsize:
            self._objects[key] = content, chars

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
    """Questions that this process read or stored. A question never changes, though it may be deleted."""

    def __init__(self, chars: int = _REQUEST_CHARS) -> None:
        self._requests: LRUCache[Key, tuple[StoredRequest, int]] = LRUCache(chars, getsizeof=itemgetter(1))

    def put(self, root: str, request: StoredRequest) -> None:
        """Keep a question."""
        chars = _chars_of_request(request)
        if chars <= self._requests.maxsize:
            self._requests[root, request.request_id] = request, chars

    def get(self, root: str, request_id: str) -> StoredRequest | None:
        """Return a question, if it is kept."""
        found = self._requests.get((root, request_id))
        return None if found is None else found[0]

    def drop(self, root: str, request_id: str) -> None:
        """Forget a question, as storage holds it no more or another one."""
        self._requests.pop((root, request_id), None)


def _chars_of_object(content: HumanInput | HumanInputResponse) -> int:
    chars = _BASE_CHARS + sum(len(key) + len(text) for key, text in content.metadata.annotations.items())
    chars += _chars_of(content.metadata.managed_fields)
    if isinstance(content, HumanInputResponse):
        return chars + len(content.spec.value or "") + len(content.spec.comment)
    spec, response = content.spec, content.spec.response
    chars += len(spec.prompt) + len(spec.default or "") + sum(map(len, spec.choices))
    chars += _chars_of(spec.json_schema) if spec.json_schema else 0
    chars += len(response.value or "") + len(response.comment) if response else 0
    return chars + len(content.status.value or "") + len(content.status.comment or "")


def _chars_of_request(request: StoredRequest) -> int:
    asked = request.document
    chars = _BASE_CHARS + len(asked.prompt) + len(asked.default or "") + sum(map(len, asked.choices))
    return chars + (_chars_of(asked.json_schema) if asked.json_schema else 0)


def _chars_of(content: object) -> int:
    try:
        return len(to_json(content))
    except PydanticSerializationError:
        # Half a character.
        return len(repr(content))
