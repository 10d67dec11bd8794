"""The keys of notices, beside those of `hitl.core.keys`.

A notice to a target lies in ``{id}/notices/{notice}.{target}/``: ``{n}.try`` claims a try, ``{n}.failed.json``
says how it failed, and ``done.json`` or ``dead.json`` ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hitl.core.keys import question_prefix

TARGET_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"

# The operator puts up to two hyphens in front of a target's name.
_NAME: Final = re.compile(
    r"([a-z]+(?:-[0-9]+)?)[.]([a-z0-9-]{1,42})/(?:([0-9]{4,9})[.](try|failed[.]json)|(done|dead)[.]json)",
    re.ASCII,
)


def notices_prefix(request_id: str) -> str:
    """Return the prefix of the notices about a question."""
    return f"{question_prefix(request_id)}/notices"


@dataclass(frozen=True, slots=True)
class NoticeBox:
    """Where one notice to one target lies.

    Args:
        request_id: The question.
        notice: The notice's name.
        target: The target's name.
    """

    request_id: str
    notice: str
    target: str

    @property
    def prefix(self) -> str:
        """The prefix of its objects."""
        return f"{notices_prefix(self.request_id)}/{self.notice}.{self.target}"

    @property
    def done(self) -> str:
        """The key of the object that says that it was delivered."""
        return f"{self.prefix}/done.json"

    @property
    def dead(self) -> str:
        """The key of the object that says that it is given up."""
        return f"{self.prefix}/dead.json"

    def claim(self, number: int) -> str:
        """Return the key of the claim to the n-th try, counted from 1."""
        return f"{self.prefix}/{number:04d}.try"

    def failed(self, number: int) -> str:
        """Return the key of the object that says how the n-th try failed."""
        return f"{self.prefix}/{number:04d}.failed.json"


@dataclass(frozen=True, slots=True)
class NoticeKey:
    """What the key of an object of a notice says.

    Args:
        box: Where it belongs.
        kind: ``try``, ``failed``, ``done`` or ``dead``.
        number: Which try it is of; 0 for ``done`` and ``dead``.
    """

    box: NoticeBox
    kind: str
    number: int

    @classmethod
    def of(cls, request_id: str, key: str) -> NoticeKey | None:
        """Return what the key of an object of a question's notices says, if it is one."""
        found = _NAME.fullmatch(key.removeprefix(f"{notices_prefix(request_id)}/"))
        if found is None:
            return None
        box = NoticeBox(request_id, found[1], found[2])
        if found[3] is None:
            return cls(box, found[5], 0)
        return cls(box, found[4].removesuffix(".json"), int(found[3]))
