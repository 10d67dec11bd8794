"""Regular expressions of a schema: matched in linear time, and priced before they are used.

The Rust engine inside pydantic matches them, as Python's own takes exponential time for some. Linear still means
the pattern's states times the text's characters, and an engine of many states is slow to make and large. So each
pattern has a size, read off its text; what it costs to make and to match follows from that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from hitl.core.schema.work import Work, shown
from hitl.errors import InvalidRequest, one_line

MAX_PATTERN_CHARS: Final = 1_024

# What all engines may hold before all are dropped.
_MAX_BYTES = 40 * 2**20
# Measured: an engine holds up to 240 bytes for each microsecond that making it took.
_BYTES_PER_UNIT = 260
# What an engine remembers while it matches: at most a cache of 2 MiB.
_MAX_CACHE_BYTES = 2 * 2**20
# What making the smallest engine takes, and the largest: it is given up at 10 MiB.
_MAKING_UNITS = 100
_MAX_UNITS = 50_000
# Pydantic keeps the engines of the last 50 patterns that it was given, however large they are.
_MORE_THAN_PYDANTIC_KEEPS = 64

# What one character class costs to make, in microseconds. Unicode's letters are hundreds of ranges.
_CLASS_UNITS: Final = {"w": 250, "W": 250, "p": 250, "P": 250, "d": 20, "D": 40, "s": 10, "S": 10}
_OTHER_CLASS_UNITS = 10
_REPEAT = re.compile(r"\{\s*([0-9]*)\s*(?:,\s*([0-9]*)\s*)?\}", re.ASCII)
_BRACED = re.compile(r"\{[^}]*\}")
_FLAGS = re.compile(r"\?([a-zA-Z]*)(-[a-zA-Z]*)?[:)]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression and what it costs: a bound of its states, and the microseconds to make an engine."""

    text: str
    states: int
    units: int

    @classmethod
    def of(cls, text: str, work: Work) -> Pattern:
        """Return a pattern that can be used.

        Raises:
            InvalidRequest: when it cannot be.
            TooMuchWork: when making it takes more than is left.
        """
        if len(text) > MAX_PATTERN_CHARS:
            raise InvalidRequest(
                f"a pattern of the schema has {len(text):,} characters: at most {MAX_PATTERN_CHARS:,} are allowed"
            )
        work.spend(len(text) // 2)
        states, units = pattern_size(text)
        pattern = cls(text, states, min(units, _MAX_UNITS))
        _engines.of(pattern, 0, work)
        return pattern

    def found(self, text: str, work: Work) -> bool:
        """Tell whether the pattern is found in a text.

        Raises:
            TooMuchWork: when matching may take more than is left.
        """
        # Measured: 3 to 14 nanoseconds for each state and character.
        work.spend(1 + len(text) * (self.states + 20) // 128)
        engine = _engines.of(self, len(text) * (1_024 + 8 * self.states), work)
        try:
            engine.validate_python(text)
        except ValidationError:
            return False
        return True


class _Engines:
    """The engines of all schemas, bounded in what they hold: when it is too much, all are dropped.

    What is dropped must not stay in pydantic's own cache, so that is filled with small ones.
    https://github.com/pydantic/pydantic/pull/12549
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[SchemaValidator, int]] = {}
        self._bytes = 0

    def of(self, pattern: Pattern, cache_bytes: int, work: Work) -> SchemaValidator:
        """Return a pattern's engine, which is to remember at most so many bytes more while it matches."""
        made_bytes = 1_024 + pattern.units * _BYTES_PER_UNIT
        engine, before = self._made.get(pattern.text) or (None, 0)
        if engine is None:
            work.spend(_MAKING_UNITS + pattern.units)
            engine = _made(pattern.text)
        used = min(max(before, made_bytes) + cache_bytes, made_bytes + _MAX_CACHE_BYTES)
        # Another thread may do the same: then more is counted than is held, and all are dropped earlier.
        self._bytes += used - before
        if self._bytes > _MAX_BYTES:
            self._made.clear()
            self._bytes = used
            work.spend(_MORE_THAN_PYDANTIC_KEEPS * 8)
            for number in range(_MORE_THAN_PYDANTIC_KEEPS):
                _made(f"drop {number}")
        self._made[pattern.text] = (engine, used)
        return engine


_engines: Final = _Engines()


def pattern_size(pattern: str) -> tuple[int, int]:
    """Return a bound of a pattern's states, and of the microseconds that making an engine of it takes.

    Repetitions count as often as they may repeat: ``(a{10}){10}`` has 100 states. The bound is rough, as what the
    engine refuses is refused by itself.
    """
    if any("x" in found[1] for found in _FLAGS.finditer(pattern)):
        # Blanks and comments mean nothing then, so the brackets cannot be told: every repetition counts for all.
        return _flat_size(pattern)
    done, last = (0, 0), (0, 0)
    around: list[tuple[int, int]] = []
    at = 0
    while at < len(pattern):
        start, char = at, pattern[at]
        at += 1
        if char == "{" and (repeat := _REPEAT.match(pattern, start)):
            at = repeat.end()
            last = _plus(_times(last, _repeats(repeat)), (1, 1))
            continue
        if char == ")" and around:
            last = _plus(_plus(done, last), (1, 1))
            done = around.pop()
            continue
        done, last = _plus(done, last), (1, 1)
        if char == "(":
            around.append(done)
            done = (0, 0)
        elif char == "[":
            at, units = _class_end(pattern, at)
            last = (1, units)
        elif char == ".":
            last = (1, _OTHER_CLASS_UNITS)
        elif char == "\\" and at < len(pattern):
            escaped = pattern[at]
            at += 1
            last = (1, _CLASS_UNITS.get(escaped, 1))
            if escaped in "pPxuU" and (braced := _BRACED.match(pattern, at)):
                at = braced.end()
            elif escaped in "pP":
                at += 1
        else:
            last = (1, len(char.encode(errors="replace")))
    return _flat_size(pattern) if around else _plus(done, last)


def _class_end(pattern: str, at: int) -> tuple[int, int]:
    depth, units, first = 1, _OTHER_CLASS_UNITS, True
    while at < len(pattern) and depth:
        char = pattern[at]
        at += 1
        if char == "\\" and at < len(pattern):
            units += _CLASS_UNITS.get(pattern[at], 1)
            at += 1
        elif char == "[":
            depth += 1
            units += _OTHER_CLASS_UNITS
            first = True
            continue
        elif char == "]" and not first:
            depth -= 1
        else:
            units += 1
        first = first and char == "^"
    return at, units


def _flat_size(pattern: str) -> tuple[int, int]:
    times = 1
    for repeat in _REPEAT.finditer(pattern):
        times *= max(_repeats(repeat), 1)
    classes = sum(_CLASS_UNITS.get(found[1], 1) for found in re.finditer(r"\\(.)", pattern))
    return len(pattern) * times, (len(pattern) * _OTHER_CLASS_UNITS + classes) * times


def _repeats(repeat: re.Match[str]) -> int:
    # What is open to the right has one more: a{9,} is nine and a loop.
    least, most = repeat.groups()
    return max(int(least or 0) + (most == ""), int(most or 0))


def _times(size: tuple[int, int], times: int) -> tuple[int, int]:
    return size[0] * times, size[1] * times


def _plus(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


def _made(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError as error:
        # The last of several lines; or all in one, after whose error it is.
        why = one_line(str(error).strip().splitlines()[-1]).split("rror: ")[-1]
        raise InvalidRequest(f"the schema's pattern {shown(pattern)} cannot be used: {why}") from error
    except UnicodeEncodeError as error:
        raise InvalidRequest("a pattern of the schema holds half a character (a lone surrogate)") from error
