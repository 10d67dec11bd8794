"""What the words after a command mean: a dash begins an option, at any place.

A word that begins with a dash is an option or an error. It is never taken for a text, because an answer
that was recorded by mistake is permanent. Negative numbers are values, and so is everything after ``--``. A dash
alone, where a command reads a text, means the text on standard input.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand

from hitl.cli.codes import Code
from hitl.cli.output import fail
from hitl.cli.streams import BOM, read_input
from hitl.core.faults import plain_message
from hitl.errors import InvalidRequest, one_line

# With the minus sign of word processors too: in front of a number it can mean nothing else.
_NUMBER: Final = re.compile(r"[-\u2212](?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_ENDS: Final = "--"
_INPUT: Final = "-"
# So begins what pydantic says of a value, which does not repeat it.
_NO_INPUT: Final = ("Input ", "give ")
# What these take may be a secret, so no error repeats it.
_SECRET: Final = ("--revoke",)
_TOKEN: Final = re.compile(r"-[\w-]{31,}", re.ASCII)
# Blanks and characters that nobody sees: what was copied from a page may begin with them.
_UNSEEN: Final = ("Z", "Cc", "Cf")
# Word processors write these for the keyboard's dash; Unicode counts them among other signs.
_LIKE_DASHES: Final = "\u2212\u02d7\u207b\u208b\u2796"


class NotUnderstood(ValueError):
    """The words after the command are not clear; the message says why and what to do."""


class NotKnown(NotUnderstood):
    """The command has no such option; `name` is what was typed, without a value."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Args:
        names: All its names, such as ``-n`` and ``--namespace``.
        valued: It takes a value.
        repeated: It may be given more than once.
    """

    names: tuple[str, ...]
    valued: bool = False
    repeated: bool = False

    @property
    def name(self) -> str:
        """Its longest name, which is the one to print."""
        return max(self.names, key=len)


class Command(TyperCommand):
    """A command in which a word that begins with a dash is an option or an error."""

    reads_input: ClassVar = False
    """Whether a dash alone means the text on standard input."""

    def get_short_help_str(self, _limit: int = 0) -> str:
        """Return its summary, whole: it is wrapped where it is shown."""
        return super().get_short_help_str(sys.maxsize)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Sort the words into options and values, then let typer read them."""
        # While the shell asks for completions, the words are not complete.
        if not ctx.resilient_parsing:
            try:
                args = arranged(args, _options(self, ctx), read_input if self.reads_input else None)
            except NotKnown as error:
                fail(_in_front(ctx, error) or f"{error}\nTry '{ctx.command_path} --help' for help.", Code.USAGE)
            except (NotUnderstood, InvalidRequest) as error:
                fail(f"{error}\nTry '{ctx.command_path} --help' for help.", Code.USAGE)
        try:
            # typer takes the words out of the list that it reads.
            return super().parse_args(ctx, [*args])
        except typer.BadParameter as error:
            # typer hands on what pydantic says of a value.
            error.message = plain_message(error.message)
            if error.message.startswith(_NO_INPUT) and (text := _given_to(error.param, args)) is not None:
                error.message = f"{text!r}: {error.message}"
            raise


class ReadingCommand(Command):
    """A command that takes a text, as a word or on standard input."""

    reads_input = True


def arranged(words: Sequence[str], options: Sequence[Option], read: Callable[[], str] | None = None) -> list[str]:
    """Return a command's words with its options in front, and its values behind ``--``.

    Args:
        words: What was typed behind the command's name.
        options: The options that it has.
        read: Returns the text that a dash alone stands for; None where it stands for none.

    Raises:
        NotUnderstood: for an option that it does not have, a missing value, or an option given twice.
    """
    given: list[str] = []
    values: list[str] = []
    seen: set[Option] = set()
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word == _ENDS:
            values += rest
            break
        if word == _INPUT and read is not None:
            values.append(read())
            continue
        if not looks_like_an_option(word):
            # What a shell takes from a file may begin with its byte order mark, which nobody types.
            values.append(word.removeprefix(BOM))
            continue
        for option, text in _read(word, rest, options):
            if option in seen and option.valued and not option.repeated:
                raise NotUnderstood(f"{option.name} is given twice: give it once")
            seen.add(option)
            given.append(text)
    return [*given, _ENDS, *values] if values else given


def looks_like_an_option(word: str) -> bool:
    """Tell whether a word begins with a dash of any kind and is not a negative number."""
    text = _seen(word)
    return _is_dash(text[:1]) and not _NUMBER.fullmatch(text.rstrip())


def _read(word: str, rest: deque[str], options: Sequence[Option]) -> Iterator[tuple[Option, str]]:
    by_name = {name: option for option in options for name in option.names}
    if word.startswith("--"):
        name, equals, attached = word.partition("=")
        if (option := by_name.get(name)) is None:
            raise _unknown(word, name, by_name)
        if option.valued:
            yield option, f"{option.name}={attached if equals else _value_of(name, rest)}"
        elif equals:
            raise NotUnderstood(f"{name} takes no value: write {name} alone")
        else:
            yield option, name
        return
    letters = word[1:]
    while letters or word == "-":
        name, letters = f"-{letters[:1]}", letters[1:]
        if not word.startswith("-") or (option := by_name.get(name)) is None:
            raise _unknown(word, word, by_name)
        if option.valued:
            yield option, f"{option.name}={letters.removeprefix('=') or _value_of(name, rest)}"
            return
        yield option, name


def _value_of(name: str, rest: deque[str]) -> str:
    if not rest:
        raise NotUnderstood(f"{name} needs a value")
    if looks_like_an_option(rest[0]):
        # The option that follows would be recorded as a comment, or as a label.
        if name in _SECRET:
            raise NotUnderstood(
                f"{name} needs a value, and what follows begins like an option: write {name}=VALUE"
            )
        shown = one_line(rest[0])
        raise NotUnderstood(
            f"{name} needs a value, and {shown!r} begins like an option: if it is the value, write {name}={shown}"
        )
    return rest.popleft()


def _in_front(ctx: Any, error: NotKnown) -> str:
    """Return what to do about an option of `hitl` itself that stands behind the command; empty: it is none."""
    program = ctx.find_root()
    for option in _options(program.command, program):
        if error.name in option.names:
            behind = f" URL{ctx.command_path.removeprefix(program.command_path)} …" if option.valued else ""
            return f"{error.name} comes before the command: write `{program.command_path} {error.name}{behind}`"
    return ""


def _given_to(parameter: Any, args: Sequence[str]) -> str | None:
    """Return the last text given to an option; None: there is none."""
    names = [f"{name}=" for name in getattr(parameter, "opts", ())]
    return next((each[len(name) :] for each in reversed(args) for name in names if each.startswith(name)), None)


def _unknown(word: str, name: str, known: Iterable[str]) -> NotUnderstood:
    near = get_close_matches(f"--{_undashed(name)}", [each for each in known if each.startswith("--")], n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    # A link's token may begin with a dash, and errors go to logs.
    shown = f"a word of {len(word)} characters" if _TOKEN.fullmatch(word) else one_line(word)
    return NotKnown(
        f"no such option: {shown}.{meant} What begins with a dash is an option; to give {shown!r} as it is, "
        "put -- in front of it",
        name,
    )


def _undashed(text: str) -> str:
    text = _seen(text)
    while _is_dash(text[:1]):
        text = text[1:]
    return text


def _seen(text: str) -> str:
    start = 0
    while start < len(text) and unicodedata.category(text[start]).startswith(_UNSEEN):
        start += 1
    return text[start:]


def _is_dash(character: str) -> bool:
    return bool(character) and (unicodedata.category(character) == "Pd" or character in _LIKE_DASHES)


def _options(command: Any, ctx: Any) -> list[Option]:
    return [
        Option((*each.opts, *each.secondary_opts), not (each.is_flag or each.count), each.multiple or each.count)
        for each in command.get_params(ctx)
        if each.param_type_name == "option"
    ]
