"""The keys of votes, and of what was handed over, beside those of `hitl.core.keys`."""

import re
from typing import Final, NamedTuple

from hitl.core.keys import PREFIX, is_request_id, question_prefix
from hitl.errors import RequestNotFound

VOTER_CHARS: Final = 32
HANDED: Final = f"{PREFIX}/_handed"

_VOTER = re.compile(f"[0-9a-f]{{{VOTER_CHARS}}}", re.ASCII)
_VOTE = re.compile(rf"([0-9a-f]{{{VOTER_CHARS}}})(?:\.([1-9][0-9]{{0,2}}))?(\.end)?\.json", re.ASCII)


def votes_prefix(request_id: str) -> str:
    """Return the prefix of the votes on a question."""
    return f"{question_prefix(request_id)}/votes"


def handed_marker(request_id: str) -> str:
    """Return the key of the marker that says when a question was last handed over, or taken back."""
    if not is_request_id(request_id):
        raise RequestNotFound("this is not a question's id")
    return f"{HANDED}/{request_id}"


class VoteKey(NamedTuple):
    """The name of a vote among those on its question.

    Args:
        voter: The hash that stands for a person: 32 hexadecimal characters.
        number: 0 for their first vote. Who withdraws a vote may cast another one.
    """

    voter: str
    number: int = 0

    def of(self, request_id: str) -> str:
        """Return the key of the vote."""
        return f"{self._stem(request_id)}.json"

    def end_of(self, request_id: str) -> str:
        """Return the key of what ended the vote: it was withdrawn, or an outcome rests on it."""
        return f"{self._stem(request_id)}.end.json"

    @classmethod
    def of_key(cls, key: str) -> "tuple[VoteKey, bool] | None":
        """Return the vote that a key is of, and whether it is the key of its end; None for any other key."""
        found = _VOTE.fullmatch(key.rpartition("/")[2])
        return None if found is None else (cls(found[1], int(found[2] or 0)), found[3] is not None)

    def _stem(self, request_id: str) -> str:
        if not _VOTER.fullmatch(self.voter):
            raise RequestNotFound(f"this is not the hash of a voter: it has {VOTER_CHARS} hexadecimal characters")
        return f"{votes_prefix(request_id)}/{self.voter}" + (f".{self.number}" if self.number else "")
