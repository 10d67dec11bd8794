"""What the web app remembers, bounded by its size: questions, outcomes, links and pages."""

from typing import Final, Generic, NamedTuple, TypeVar

from cachetools import LRUCache

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.escalation import may_ever_answer
from hitl.core.values import format_value

_MOST_BYTES: Final = 32 * 1024 * 1024
_LEAST_BYTES: Final = 256
# About what JSON takes in memory for each character of its text: a list of empty ones takes more, a schema less.
_JSON_BYTES_PER_CHAR: Final = 16
_TEXT_BYTES_PER_CHAR: Final = 4

_V = TypeVar("_V")


class Read(NamedTuple, Generic[_V]):
    """A value, and when its reading began.

    Args:
        value: The value.
        at: What `hitl.storage.ticks` said then, in seconds.
        size: About how many bytes of memory the value takes.
    """

    value: _V
    at: float
    size: int = _LEAST_BYTES


class Memory(Generic[_V]):
    """The values used last, bounded by their size in bytes together."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, Read[_V]] = LRUCache(_MOST_BYTES, getsizeof=lambda read: read.size)

    @property
    def bytes(self) -> float:
        """The size of all values."""
        return self._kept.currsize

    def get(self, key: str) -> Read[_V] | None:
        """Return a value, and count it as used."""
        return self._kept.get(key)

    def put(self, key: str, read: Read[_V]) -> None:
        """Keep a value, unless it is too large for that, and let go of what was used least recently."""
        self._kept.pop(key, None)
        if read.size <= _MOST_BYTES:
            self._kept[key] = read

    def drop(self, key: str) -> None:
        """Let go of a value, if it is kept."""
        self._kept.pop(key, None)


def size_of_request(question: RequestDocument) -> int:
    """Return about how many bytes a question takes in memory."""
    named = may_ever_answer(question)
    names = [*named.users, *named.groups]
    texts = [question.prompt, question.default or "", question.proposed or "", *question.choices, *names]
    texts += [*question.choice_labels, *question.choice_labels.values(), *question.refused]
    schema = 0 if question.json_schema is None else len(format_value("json", question.json_schema))
    # A text has some bytes besides its characters.
    chars = sum(len(each) + 16 for each in texts)
    return 2_048 + _TEXT_BYTES_PER_CHAR * chars + _JSON_BYTES_PER_CHAR * schema


def size_of_outcome(outcome: OutcomeDocument) -> int:
    """Return about how many bytes an outcome takes in memory."""
    per_char = _JSON_BYTES_PER_CHAR if outcome.data_type == "json" else _TEXT_BYTES_PER_CHAR
    texts = [outcome.comment, outcome.reason, *outcome.respondent.groups]
    chars = sum(len(each) + 16 for each in texts)
    return 2_048 + per_char * len(outcome.value_text() or "") + _TEXT_BYTES_PER_CHAR * chars
