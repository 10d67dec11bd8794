"""The lines of the audit: who tried what, by which right, what was shown, and the result.

Each line holds the hash of the line before it, and ends with its own: the SHA-256 of all its bytes but for that
hash. A segment is some lines of one writer, and begins with a header that names where it lies. So a line that is
changed, removed, added or moved no longer fits its neighbours.
"""

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from functools import cache
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hitl.core.keys import SegmentName

FIRST: Final = "0" * 64
"""The hash that the first line names as the one before it."""

Component: TypeAlias = Literal["web", "operator", "cli", "program"]
# What a submission may come to.
Kind: TypeAlias = Literal[
    "recorded",
    "already_yours",
    "lost",
    "refused",
    "too_late",
    "gone",
    "voted",
    "voted_before",
    "not_allowed",
    "withdrawn",
    "delegated",
]
Result: TypeAlias = Kind | Literal["failed"]
Right: TypeAlias = Literal["", "link", "proxy", "kubernetes", "slack", "storage", "deadline", "operator"]

# Half of what an object of a root may have, and more than the longest line has.
_MOST_BYTES: Final = 2 * 1024 * 1024
# What a database takes, and more lines than any writer writes.
_MOST_LINES: Final = 2**53
_HASH: Final = r"^[0-9a-f]{64}$"
_SEALED: Final = re.compile(rb'(\{.*),"hash":"([0-9a-f]{64})"\}', re.DOTALL)


class _Written(BaseModel):
    # Later releases may write more. A start writes none.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    n: int = 0
    previous: str = ""


class Header(_Written):
    """The first line of each segment.

    Args:
        writer: Who writes: a random id for each process.
        segment: Which of the writer's segments this is, counted from 1.
        day: The day of its folder.
        component: What kind of process writes.
    """

    kind: Literal["segment"] = "segment"
    writer: str
    segment: int
    day: date
    component: str


class Attempt(_Written):
    """One attempt to end a question, or its deadline, and its result.

    Args:
        at: When; for what was recorded, the time in the outcome.
        request_id: The question, as the client named it.
        namespace: Its namespace.
        attempt: What it would become; empty: its sender was refused before that was read.
        result: Its result.
        reason: The outcome's reason, or why the attempt was refused.
        lost_to: For ``lost`` and ``already_yours``: the submission that stands.
        name: Who.
        verified: Whether the name is verified.
        on_behalf_of: Who had handed the question over to them; empty: nobody, they acted for themselves.
        to: For ``delegated``, and what was refused of that: who the question was handed over to.
        link: The hash of the link that was used.
        right: By which right: the link, the sign-in of a trusted proxy, the rights in Kubernetes, the sign-in of
            Slack, the rights to the storage, the deadline, or the operator's own work. Empty: not known.
        named: How the question names who answers: ``user``, or ``group`` and the group; empty: it names nobody.
        via: Over which channel.
        commit: The commit that it came by.
        submission_id: The submission.
        request_sha256: The digest of ``request.json``: of what was asked.
        evidence: The digests of what was shown beside the question.
        value: What was answered, as text; None: see `value_sha256`.
        value_sha256: The digest of what was answered, where that is long or looks like a secret.
        comment: The words for the record.
        outcome_sha256: For what was recorded, the digest of ``response.json``.
    """

    kind: Literal["attempt"] = "attempt"
    at: AwareDatetime
    request_id: str
    namespace: str = ""
    attempt: str = ""
    result: Result
    reason: str = ""
    lost_to: str = ""
    name: str = ""
    verified: bool = False
    on_behalf_of: str = ""
    to: str = ""
    link: str = ""
    right: Right = ""
    named: str = ""
    via: str = ""
    commit: str = ""
    submission_id: str = ""
    request_sha256: str = ""
    evidence: tuple[str, ...] = ()
    value: str | None = None
    value_sha256: str = ""
    comment: str = ""
    outcome_sha256: str = ""


class Omitted(_Written):
    """Lines that were not written one by one.

    Args:
        at: When the last of them was due.
        refused: Refused attempts, of which only so many a second have a line of their own.
        others: All others, when the storage did not answer for longer than they could be kept.
    """

    kind: Literal["omitted"] = "omitted"
    at: AwareDatetime
    refused: int = 0
    others: int = 0


class Head(BaseModel):
    """The last line of a writer that somebody saw.

    Args:
        day: The day of the folder of its segment.
        writer: The writer.
        segment: The segment's number.
        n: The line's number.
        hash: The line's hash.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    day: date
    writer: str = Field(pattern=r"^[0-9a-f]{16}$")
    segment: int = Field(ge=1, le=99_999_999)
    n: int = Field(ge=1, le=_MOST_LINES)
    hash: str = Field(pattern=_HASH)

    @property
    def name(self) -> SegmentName:
        """Where its segment lies."""
        return SegmentName(self.day, self.writer, self.segment)


class Heads(_Written):
    """What the operator saw of other writers, so that its own hash covers their lines.

    Args:
        at: When.
        heads: The writers whose last line is another one than before.
    """

    kind: Literal["heads"] = "heads"
    at: AwareDatetime
    heads: tuple[Head, ...]


class End(_Written):
    """The last line of a writer that was not killed.

    Args:
        at: When it ended.
    """

    kind: Literal["end"] = "end"
    at: AwareDatetime


class Anchor(Head):
    """The newest hash of the operator's lines: what is kept where nobody who writes the root may write.

    Args:
        at: When it was taken.
    """

    at: AwareDatetime


class Other(_Written):
    """A line that fits its hash, of a kind that this release does not know."""

    kind: str


Line: TypeAlias = Header | Attempt | Omitted | Heads | End | Other


@cache
def _known() -> TypeAdapter[Line]:
    # Only who reads the audit needs it, and every process that writes one would wait for it at its start.
    return TypeAdapter(Annotated[Header | Attempt | Omitted | Heads | End, Field(discriminator="kind")])


def seal(line: Line, n: int, previous: str) -> tuple[bytes, str]:
    """Return a line as it is stored, with its end, and its hash.

    Args:
        line: What it says.
        n: Its number among its writer's lines, counted from 1.
        previous: The hash of the line before it; `FIRST` for the first one.
    """
    said = line.model_dump_json(exclude_defaults=True).encode()
    content = b'{"n":%d,"previous":"%s","kind":"%s",%s' % (n, previous.encode(), line.kind.encode(), said[1:])
    own = hashlib.sha256(content).hexdigest()
    return b'%s,"hash":"%s"}\n' % (content[:-1], own.encode()), own


def unseal(stored: bytes) -> tuple[Line, str] | None:
    """Return what a stored line says, and its hash; None: it is not as it was written.

    Args:
        stored: The line, without its end.
    """
    found = _SEALED.fullmatch(stored)
    if found is None or hashlib.sha256(found[1] + b"}").hexdigest().encode() != found[2]:
        return None
    for read in (_known().validate_json, Other.model_validate_json):
        with suppress(ValidationError):
            line = read(stored)
            # Anybody may seal a line: one with another number is none of ours.
            return (line, found[2].decode()) if 1 <= line.n <= _MOST_LINES else None
    return None


class Segment(NamedTuple):
    """A segment as it is stored.

    Args:
        head: Where it lies, and its last line.
        data: Its bytes.
        lines: How many of the lines that were given are in it, beside its header.
    """

    head: Head
    data: bytes
    lines: int


def sealed_segment(
    name: SegmentName, component: Component, lines: Iterable[Line], before: Head | None = None
) -> Segment:
    """Return a segment with as many of some lines as it takes.

    Args:
        name: Where it will lie.
        component: What kind of process writes.
        lines: What follows the header; at least one.
        before: The writer's last line before it; None: it is the writer's first segment.
    """
    header = Header(writer=name.writer, segment=name.number, day=name.day, component=component)
    n, last = (0, FIRST) if before is None else (before.n, before.hash)
    stored, size = [], 0
    for line in (header, *lines):
        n += 1
        data, last = seal(line, n, last)
        stored.append(data)
        size += len(data)
        if size >= _MOST_BYTES:
            break
    head = Head(day=name.day, writer=name.writer, segment=name.number, n=n, hash=last)
    return Segment(head, b"".join(stored), len(stored) - 1)
