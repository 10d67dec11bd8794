"""An answer asked for at the terminal, one field after the other, as the form asks for it.

What is in brackets counts when nothing is typed. A fault is told at its field, and the field is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from pydantic import JsonValue

from hitl.core.asked import Asked
from hitl.core.forms import MISSING, ROOT, Maybe, filled, plan, read
from hitl.core.forms.hints import hint_of
from hitl.core.forms.offers import offered
from hitl.core.forms.parts import (
    YES_NO,
    Choice,
    Constant,
    Fixed,
    Flag,
    Group,
    Line,
    LineKind,
    OneOf,
    Part,
    Raw,
    Rows,
    Several,
    parts_inside,
)
from hitl.core.forms.rules import list_faults
from hitl.core.forms.sent import branch_of, same, sends_back, value_inside
from hitl.core.forms.texts import text_of
from hitl.core.text import is_blank
from hitl.core.values import DataType, format_value, parse_text
from hitl.errors import InvalidValue, one_line

Places: TypeAlias = tuple[str, ...]

_SHOWN_CHARS: Final = 60
_KINDS: Final[dict[DataType, LineKind]] = {"int": "int", "float": "number", "str": "long"}
_YES: Final = ("y", "yes")
_NO: Final = ("n", "no")
_SPLIT: Final = re.compile(r"[\s,;]+")
_COMPOSITE: Final = (Group, Fixed, Rows, OneOf)


@dataclass(frozen=True)
class Terminal:
    """Where the fields are asked for.

    Args:
        line: Shows a text and returns the line that is typed behind it.
        say: Shows a text on lines of its own.
    """

    line: Callable[[str], str]
    say: Callable[[str], None]


@dataclass
class Walk:
    """One way through the fields.

    Args:
        terminal: Where they are asked for.
        given: What was given so far: each field by its label, as people read it.
    """

    terminal: Terminal
    given: list[tuple[str, str]] = field(default_factory=list)

    def value(self, part: Part, start: Maybe, places: Places = ()) -> Maybe:
        """Ask for a part and return its value; `MISSING` for one that is left out.

        Args:
            part: The part.
            start: What counts when nothing is typed; `MISSING` for nothing.
            places: The labels of the parts around it, and its own.
        """
        if start is MISSING:
            start = part.default
        if isinstance(part, Constant):
            return part.value
        self._help(part, places)
        there = start not in (MISSING, None)
        may_go = part.optional and (there or isinstance(part, _COMPOSITE))
        if may_go and not self.yes(f"{_label(places)}: give it?", default=there):
            return self._nothing(part, places)
        match part:
            case Group() | Fixed():
                return self._inside(part, start, places)
            case Rows():
                return self._rows(part, start, places)
            case OneOf():
                return self._one_of(part, start, places)
            case Several():
                return self._several(part, start, places)
            case Flag():
                return self._flag(part, start, places)
            case Choice():
                return self._choice(part, part.options, start, places)
            case _:
                return self._line(part, start, places)

    def yes(self, question: str, *, default: bool | None = None) -> bool:
        """Ask for yes or no; without a default one of them must be typed."""
        shown = {True: " [y]", False: " [n]", None: ""}[default]
        while True:
            text = self.terminal.line(f"{question} y or n{shown}: ").strip().lower()
            if text in _YES or text in _NO:
                return text in _YES
            if not text and default is not None:
                return default
            self.terminal.say("  Type y for yes or n for no.")

    def _inside(self, part: Group | Fixed, start: Maybe, places: Places) -> Maybe:
        found: list[tuple[str, JsonValue]] = []
        for key, inside in parts_inside(part):
            value = self.value(inside, value_inside(start, key), (*places, inside.label or str(key)))
            if value is not MISSING:
                found.append((str(key), value))
        return dict(found) if isinstance(part, Group) else [value for _, value in found]

    def _rows(self, part: Rows, start: Maybe, places: Places) -> Maybe:
        before = start if isinstance(start, list) else []
        told = len(self.given)
        while self._refused(part, found := self._all_rows(part, before, places)):
            before = found
            del self.given[told:]
        if not found:
            self.given.append((_label(places), "(none)"))
        return found

    def _all_rows(self, part: Rows, before: list[JsonValue], places: Places) -> list[JsonValue]:
        found: list[JsonValue] = []
        for row in before:
            label = _label((*places, str(len(found) + 1)))
            if len(before) > part.least and not self.yes(f"{label}: {_shown(row)}: keep it?", default=True):
                continue
            self._row(part, row, found, places)
        while len(found) < part.most:
            another = "another" if found else "one"
            if len(found) >= part.least and not self.yes(f"{_label(places)}: add {another}?", default=False):
                break
            self._row(part, MISSING, found, places)
        return found

    def _refused(self, part: Rows | Several, values: list[JsonValue]) -> bool:
        """Tell what is wrong with a list as a whole, if anything is."""
        faults = list(list_faults(part, ROOT, list(values)))
        for fault in faults[:1]:
            number = fault.name.removeprefix(ROOT).strip("/")
            row = f"Number {int(number) + 1}: " if number else ""
            self.terminal.say(f"  {row}{fault.why}")
        return bool(faults)

    def _row(self, part: Rows, start: Maybe, found: list[JsonValue], places: Places) -> None:
        value = self.value(part.item, start, (*places, str(len(found) + 1)))
        if value is not MISSING:
            found.append(value)

    def _one_of(self, part: OneOf, start: Maybe, places: Places) -> Maybe:
        before = branch_of(part, start)
        kinds = [(label, number) for number, (label, _) in enumerate(part.branches)]
        chosen = self._choice(
            replace(part, nullable=False, required=True), kinds, MISSING if before is None else before, places
        )
        assert isinstance(chosen, int)
        return self.value(part.branches[chosen][1], start if before == chosen else MISSING, places)

    def _choice(self, part: Part, options: Sequence[tuple[str, JsonValue]], start: Maybe, places: Places) -> Maybe:
        self._offer(options)
        before = [number for number, (_, each) in enumerate(options, 1) if same(each, start)][:1]
        while True:
            text = self._asked(places, f"1 to {len(options)}", str(before[0]) if before else "", part)
            if not text and part.optional and not before:
                return self._nothing(part, places)
            number = _numbered(text, options) if text else (before[0] if before else None)
            if number is not None:
                label, value = options[number - 1]
                self.given.append((_label(places), label))
                return value
            self.terminal.say("  Choose one: type its number.")

    def _several(self, part: Several, start: Maybe, places: Places) -> Maybe:
        self._offer(part.options)
        chosen = start if isinstance(start, list) else []
        before = [n for n, (_, each) in enumerate(part.options, 1) if any(same(each, value) for value in chosen)]
        while True:
            shown = " ".join(map(str, before)) or "none"
            text = self._asked(places, "numbers with blanks between them, 0 for none", shown, part)
            words = [word for word in _SPLIT.split(text) if word] or [str(each) for each in before]
            numbers = [_numbered(word, part.options) for word in words if word != "0"]
            if None not in numbers and (len(words) < 2 or "0" not in words):
                some = [part.options[number - 1] for number in dict.fromkeys(numbers) if number is not None]
                if self._refused(part, [value for _, value in some]):
                    continue
                self.given.append((_label(places), ", ".join(label for label, _ in some) or "(none)"))
                return [value for _, value in some]
            self.terminal.say("  Choose any of them: type their numbers, or 0 for none.")

    def _flag(self, part: Flag, start: Maybe, places: Places) -> Maybe:
        if part.optional and start in (MISSING, None):
            return self._choice(part, YES_NO, start, places)
        value = self.yes(f"{_label(places)}:", default=start if isinstance(start, bool) else None)
        self.given.append((_label(places), "Yes" if value else "No"))
        return value

    def _line(self, part: Part, start: Maybe, places: Places) -> Maybe:
        has_start = start is not MISSING and not (start is None and part.nullable)
        before = "" if start is MISSING else text_of(start)
        if isinstance(part, Raw) and has_start and start is not MISSING:
            before = format_value("json", start)
        while True:
            text = self._asked(places, "JSON" if isinstance(part, Raw) else "", before, part, has_start=has_start)
            if is_blank(text) and has_start:
                value: Maybe = start
            elif is_blank(text) and part.optional:
                return self._nothing(part, places)
            else:
                value, faults = read(replace(part, default=MISSING), {ROOT: ["" if is_blank(text) else text]})
                if faults:
                    self.terminal.say(f"  {faults[0].why}")
                    continue
            self.given.append((_label(places), _shown(value)))
            return value

    def _asked(
        self, places: Places, wanted: str, before: str, part: Part, *, has_start: bool | None = None
    ) -> str:
        shown = before or ("empty" if has_start else "")
        optional = "optional" if part.optional and not shown else ""
        notes = ", ".join(each for each in (wanted, optional) if each)
        bracket = f" [{_cut(shown)}]" if shown else ""
        return self.terminal.line(f"{_label(places)}{f' ({notes})' if notes else ''}{bracket}: ")

    def _offer(self, options: Sequence[tuple[str, JsonValue]]) -> None:
        width = len(str(len(options)))
        self.terminal.say(
            "\n".join(f"  {n:>{width}}  {one_line(label)}" for n, (label, _) in enumerate(options, 1))
        )

    def _help(self, part: Part, places: Places) -> None:
        if part.help:
            # A part that is made of others asks for none itself.
            label = f"{_label(places)}: " if isinstance(part, _COMPOSITE) else ""
            self.terminal.say(f"  {label}{one_line(part.help)}")
        if isinstance(part, Line) and (hint := hint_of(replace(part, default=MISSING))):
            self.terminal.say(f"  {one_line(hint)}")

    def _nothing(self, part: Part, places: Places) -> Maybe:
        self.given.append((_label(places), "(none)"))
        return None if part.nullable else MISSING


def part_of(asked: Asked) -> Part:
    """Return what a question asks for as a part, whatever its type is."""
    if asked.choices:
        options = tuple((label, parse_text(asked.data_type, text)) for text, label in offered(asked))
        return Choice(options=options, schema=dict(asked.json_schema or {}))
    schema = dict(asked.json_schema or {})
    planned = plan(schema) if schema else Raw()
    if asked.data_type == "json" or isinstance(planned, Line | Choice | Flag):
        return planned
    if asked.data_type == "bool":
        return Flag(help=planned.help, schema=schema)
    return Line(kind=_KINDS[asked.data_type], label=planned.label, help=planned.help, schema=schema)


def part_showing(part: Part, value: Maybe) -> Part:
    """Return a part whose fields show the whole value, which is kept as it is if nothing is typed: else JSON.

    Args:
        part: What is asked for.
        value: What the fields hold at first; `MISSING` for nothing.
    """
    if value is MISSING or not isinstance(part, _COMPOSITE):
        return part
    try:
        shown = sends_back(part, filled(part, value), value)
    except InvalidValue:
        # It takes too long to find out.
        shown = False
    return part if shown else Raw()


def _numbered(text: str, options: Sequence[tuple[str, JsonValue]]) -> int | None:
    """Return the number, from 1, of what was typed: a number, or a label that is none."""
    word = text.strip()
    if word.isascii() and word.isdecimal():
        return int(word) if len(word) < 5 and 1 <= int(word) <= len(options) else None
    named = [number for number, (label, _) in enumerate(options, 1) if label == word]
    return named[0] if len(named) == 1 else None


def _label(places: Places) -> str:
    return " › ".join(map(one_line, places)) or "Answer"


def _shown(value: Maybe) -> str:
    if value is MISSING or value is None:
        return "(none)"
    return _cut((value or "(empty)") if isinstance(value, str) else format_value("json", value))


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"
