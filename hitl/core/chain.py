"""Checks the lines of one writer of the audit, segment by segment: each must continue the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hitl.core.audit import FIRST, End, Head, Header, Line, unseal
from hitl.core.keys import SegmentName

Kind: TypeAlias = Literal["changed", "missing", "repeated", "moved", "unreadable", "outcome", "cut", "unlisted"]

NO_FAULTS: frozenset[Kind] = frozenset({"cut", "unlisted"})
"""What a writer that was killed leaves."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written, or that a kill left.

    Args:
        kind: What it is.
        file: The object's key.
        line: The line in it, counted from 1; None: the whole object.
        text: A sentence about it.
    """

    kind: Kind
    file: str
    line: int | None
    text: str

    @property
    def fault(self) -> bool:
        """Whether somebody must have changed something: a kill alone does not do it."""
        return self.kind not in NO_FAULTS


@dataclass(frozen=True)
class Read:
    """A line that is as it was written.

    Args:
        name: The segment.
        number: The line in it, counted from 1.
        line: What it says.
        hash: Its hash.
    """

    name: SegmentName
    number: int
    line: Line
    hash: str


class Chain:
    """The lines of one writer.

    Args:
        from_first: Whether its first segment must be there.

    Attributes:
        head: The last line that is as it was written, in the segment that was looked at last.
        ended: Whether the writer said that it ended.
    """

    def __init__(self, *, from_first: bool = True) -> None:
        self.head: Head | None = None
        self.ended = False
        self._number: int | None = 0 if from_first else None
        self._n: int | None = 0 if from_first else None
        self._hash: str | None = FIRST

    def look(self, name: SegmentName, data: bytes, *, last: bool) -> Iterator[Read | Finding]:
        """Yield the lines of the next segment, and what is wrong with them.

        Args:
            name: Where it lies.
            data: Its bytes.
            last: Whether the writer has no segment after it.
        """
        self.head = None
        yield from self._place(name)
        *whole, rest = data.split(b"\n")
        for number, stored in enumerate(whole, 1):
            yield from self._line(name, number, stored)
        if rest or not whole:
            number = len(whole) + 1
            if last:
                yield Finding("cut", name.key, number, "the last line of this writer is cut off")
            else:
                yield self._changed(name, number)

    def unreadable(self, name: SegmentName, why: str) -> Iterator[Finding]:
        """Yield what is wrong with a segment that cannot be read."""
        self.head = None
        yield from self._place(name)
        self._n = self._hash = None
        yield Finding("unreadable", name.key, None, why)

    def _place(self, name: SegmentName) -> Iterator[Finding]:
        expected = name.number if self._number is None else self._number + 1
        self._number = name.number
        if name.number < expected:
            yield Finding("repeated", name.key, None, "there is another segment with this number")
            self._n = self._hash = None
        elif name.number > expected:
            first, last = f"{expected:08d}.jsonl", f"{name.number - 1:08d}.jsonl"
            what = f"segment {first} is" if first == last else f"segments {first} to {last} are"
            yield Finding("missing", name.key, None, f"{what} missing before this one")
            self._n = self._hash = None

    def _line(self, name: SegmentName, number: int, stored: bytes) -> Iterator[Read | Finding]:
        found = unseal(stored)
        if found is None:
            yield self._changed(name, number)
            return
        line, own = found
        begins = isinstance(line, Header)
        if begins != (number == 1):
            yield Finding("moved", name.key, number, "a segment begins with its header, and has one only")
        if isinstance(line, Header) and (line.writer, line.segment, line.day) != (
            name.writer,
            name.number,
            name.day,
        ):
            yield Finding("moved", name.key, number, f"this begins segment {_name_of(line).key}")
            self._n = self._hash = None
        yield from self._continues(name, number, line)
        if self._n is None or line.n > self._n:
            self._n, self._hash = line.n, own
            self.head = Head(day=name.day, writer=name.writer, segment=name.number, n=line.n, hash=own)
        self.ended = isinstance(line, End)
        yield Read(name, number, line, own)

    def _continues(self, name: SegmentName, number: int, line: Line) -> Iterator[Finding]:
        """Yield what is wrong with the place of a line that is as it was written."""
        if self._n is None:
            return
        if line.n <= self._n:
            yield Finding(
                "repeated", name.key, number, f"line {line.n} of this writer is here, after its line {self._n}"
            )
        elif line.n > self._n + 1:
            first, last = self._n + 1, line.n - 1
            what = f"line {first} of this writer is" if first == last else f"lines {first} to {last} are"
            yield Finding("missing", name.key, number, f"{what} missing before this one")
        elif self._hash is not None and line.previous != self._hash:
            yield Finding("changed", name.key, number, "it does not continue the line before it")

    def _changed(self, name: SegmentName, number: int) -> Finding:
        self._n = None if self._n is None else self._n + 1
        self._hash = None
        return Finding("changed", name.key, number, "it is not as it was written")


def _name_of(header: Header) -> SegmentName:
    return SegmentName(header.day, header.writer, header.segment)
