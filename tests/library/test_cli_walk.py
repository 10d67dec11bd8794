"""`hitl answer ID` without a value asks for each field at a terminal, and records nothing before the end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from hitl.cli.answering import ask_for
from hitl.cli.app import app
from hitl.cli.walk import Terminal, Walk, part_of
from hitl.core.forms import MISSING, Maybe, filled
from hitl.core.forms.held import start_of
from hitl.core.forms.names import one
from hitl.core.forms.parts import Choice, Constant, Fixed, Flag, Group, OneOf, Part, Raw, Rows, Several
from hitl.core.forms.texts import text_of
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question
from hitl.core.values import format_value
from hitl.storage import Store
from tests.library.test_cli import ask, outcome_of
from tests.library.typed_samples import TYPED, Address, Deploy, Drawing, Person, Team, same

HITL = Path(sys.executable).with_name("hitl")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


class Script:
    """A person who types prepared lines, and what they were asked."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.asked: list[str] = []
        self.said: list[str] = []

    @property
    def terminal(self) -> Terminal:
        return Terminal(line=self._line, say=self.said.append)

    def _line(self, shown: str) -> str:
        self.asked.append(shown)
        return self._lines.pop(0)

    def done(self) -> bool:
        return not self._lines


def question(data_type: Any, **more: Any) -> Question:
    return Question.of("typed", data_type, "Which one?", 60, **more)


def walked(asked: Question, *lines: str) -> tuple[Maybe, Script]:
    script = Script(*lines)
    value = Walk(script.terminal).value(part_of(asked), start_of(asked))
    assert script.done(), "not every line was asked for"
    return value, script


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
@settings(max_examples=15)
def test_enter_alone_keeps_what_is_proposed(name: str, data: st.DataObject) -> None:
    data_type, values = TYPED[name]
    value = data.draw(values.filter(lambda each: each is not None))
    asked = question(data_type, proposed=value)

    # A name that is left empty, as the text of a title may be, is asked for like any other.
    script = Script(*[""] * 200)
    again = Walk(script.terminal).value(part_of(asked), start_of(asked))

    assert again is not MISSING
    assert same(typed(data_type, again), value)


def lines_for(part: Part, value: Maybe) -> Iterator[str]:
    """Yield what a person types, from nothing, to give a value."""
    if isinstance(part, Constant):
        return
    gone = value is MISSING or (value is None and part.nullable)
    start = part.default
    if part.optional and (isinstance(part, Group | Fixed | Rows | OneOf) or start not in (MISSING, None)):
        yield "n" if gone else "y"
    elif gone:
        yield ""
    if gone or value is MISSING:
        return
    match part:
        case Group():
            assert isinstance(value, dict)
            for name, inside in part.fields:
                yield from lines_for(inside, value.get(name, MISSING))
        case Fixed():
            assert isinstance(value, list)
            for inside, each in zip(part.items, value, strict=True):
                yield from lines_for(inside, each)
        case Rows():
            assert isinstance(value, list)
            for number, each in enumerate(value):
                if number >= part.least:
                    yield "y"
                yield from lines_for(part.item, each)
            if part.least <= len(value) < part.most:
                yield "n"
        case OneOf():
            chosen = int(one(filled(part, value), "v~of"))
            yield str(chosen + 1)
            yield from lines_for(part.branches[chosen][1], value)
        case Several():
            assert isinstance(value, list)
            values = [each for _, each in part.options]
            yield " ".join(str(values.index(each) + 1) for each in value) or "0"
        case Choice():
            yield str([each for _, each in part.options].index(value) + 1)
        case Flag():
            yield "yes" if value else "no"
        case Raw():
            yield format_value("json", value)
        case _:
            yield text_of(value)


def typable(value: Any) -> Any:
    """Return a value without what nobody types: a blank text, or two lines into one."""
    if isinstance(value, dict):
        return {name: typable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [typable(each) for each in value]
    return (value.replace("\n", " ") if value.strip() else "x") if isinstance(value, str) else value


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
@settings(max_examples=15)
def test_what_is_typed_from_nothing_is_the_value(name: str, data: st.DataObject) -> None:
    data_type, values = TYPED[name]
    sent = typable(json.loads(json.dumps(as_json(data_type, data.draw(values)))))
    asked = question(data_type)

    again, script = walked(asked, *lines_for(part_of(asked), sent))

    assert again is not MISSING
    assert same(typed(data_type, again), typed(data_type, sent)), script.asked


@pytest.mark.parametrize(
    ("schema", "proposed"),
    [
        ({"type": "object", "properties": {"replicas": {"type": "integer"}}}, {"replicas": 3, "zone": "b"}),
        (
            {"type": "object", "properties": {"at": {"type": "object", "properties": {"x": {"type": "integer"}}}}},
            {"at": {"x": 1, "y": 2}},
        ),
    ],
)
def test_what_is_proposed_and_has_no_field_is_shown_as_json_and_kept(schema: Any, proposed: Any) -> None:
    asked = question(dict, schema=schema, proposed=proposed)
    script = Script("", "y")
    assert json.loads(ask_for(asked, script.terminal)) == proposed
    assert json.dumps(proposed, separators=(",", ":")) in script.asked[0]
    assert script.done()


def test_labels_of_choices_are_offered_and_a_number_or_a_label_chooses() -> None:
    asked = question(str, choices={"eu-1": "Frankfurt", "us-1": "Ohio"}, proposed="us-1")
    value, script = walked(asked, "3", "frankfurt", "0", "1")
    assert value == "eu-1"
    assert "1  Frankfurt" in script.said[0]
    assert script.asked[0] == "Answer (1 to 2) [2]: "
    assert script.said.count("  Choose one: type its number.") == 3
    assert walked(asked, "Ohio")[0] == "us-1"
    # Numbers stand for the list's numbers, never for values that look like one.
    assert walked(question(int, choices=[2, 1]), "1")[0] == 2


def test_an_optional_scalar_is_left_empty_for_no_answer() -> None:
    assert walked(question(int | None), "")[0] is None
    assert walked(question(int | None), "7")[0] == 7
    assert walked(question(int | None, proposed=5), "n")[0] is None
    assert walked(question(bool | None), "")[0] is None
    assert walked(question(bool | None), "2")[0] is False


def test_a_fault_is_told_at_its_field_which_is_asked_again() -> None:
    value, script = walked(question(Deploy), "1", "12", "zero", "3", "1,50", "2.50", "", "", "")
    assert isinstance(value, dict)
    assert (value["replicas"], value["cost"]) == (3, "2.50")
    assert "  Enter a whole number from 1 to 9." in script.said
    assert any("1,50" in each for each in script.said)


class Noted(BaseModel):
    note: str
    more: str | None = None


def test_a_text_of_which_nobody_sees_anything_is_nothing_typed() -> None:
    value, script = walked(question(Noted), "\u200b", " ", "a", "\u2060")
    assert value == {"note": "a", "more": None}
    assert script.said.count("  Enter some text.") == 2
    kept = walked(question(Noted, proposed={"note": "b", "more": "c"}), "\u200b", "y", "\u200b")[0]
    assert kept == {"note": "b", "more": "c"}


def test_rows_that_are_there_are_kept_changed_or_taken_away_and_others_added() -> None:
    before = Team(
        name="Red", members=[Person(name=name, home=Address(street="A")) for name in ("Ann", "Ben", "Zoë")]
    )
    asked = question(Team, proposed=before)

    value, _ = walked(
        asked,
        *["", "y", "Anna", "", "", ""],
        *["n"],
        *["", "", "", "", ""],
        *["y", "Max", "B", "7", "n"],
        "n",
    )

    assert value is not MISSING
    names = [member.name for member in typed(Team, value).members]
    assert names == ["Anna", "Zoë", "Max"]


class Bounded(BaseModel):
    tags: Annotated[list[str], Field(min_length=2)]
    low: int
    high: int


def test_the_least_rows_are_asked_for_without_a_question() -> None:
    value, _ = walked(question(Bounded), "a", "b", "n", "1", "2")
    assert value == {"tags": ["a", "b"], "low": 1, "high": 2}


def test_what_is_wrong_as_a_whole_is_told_and_all_fields_keep_what_was_typed() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a"],
        "maxProperties": 1,
    }
    script = Script("x", "y", "", "n", "no", "", "", "yes")

    text = ask_for(question(dict, schema=schema), script.terminal)

    assert json.loads(text) == {"a": "x"}
    assert script.done()
    assert any("maximum of 1" in each or "at most 1" in each or "properties" in each for each in script.said)


def test_the_summary_shows_each_field_before_it_is_sent() -> None:
    asked = question(Drawing)
    script = Script("y", "1", "2.5", "y", "2", "3", "n", "n", "yes")

    text = ask_for(asked, script.terminal)

    assert typed(Drawing, json.loads(text)).shapes[1].side == 3
    shown = script.said[-1].splitlines()
    assert [line.split() for line in shown if line] == [
        ["Shapes", "›", "1:", "Circle"],
        ["Shapes", "›", "1", "›", "Radius:", "2.5"],
        ["Shapes", "›", "2:", "Square"],
        ["Shapes", "›", "2", "›", "Side:", "3"],
        ["Frame:", "(none)"],
    ]
    assert script.asked[-1] == "Send this answer? It cannot be changed afterwards. y or n: "


class Shell:
    """`hitl answer ID` at a terminal of its own."""

    def __init__(self, root: Store, *arguments: str, request_id: str = "a-question") -> None:
        self._leader, follower = pty.openpty()
        # The child has a session of its own, whose terminal this is: so Ctrl-C reaches it.
        self.process = subprocess.Popen(
            [HITL, "--root", root.url, "answer", request_id, *arguments],
            stdin=follower,
            stdout=subprocess.PIPE,
            stderr=follower,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(follower)

    def until(self, text: str) -> str:
        """Return what was shown since the last call, once it ends with a text."""
        shown = b""
        while not shown.endswith(text.encode()):
            shown += os.read(self._leader, 1)
        return shown.decode()

    def types(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def ended(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=60)
        os.close(self._leader)
        return self.process.returncode, out


def test_at_a_terminal_the_fields_are_asked_for_and_the_answer_recorded(root: Store) -> None:
    ask(root, data_type=Address, prompt="Where to?", proposed=Address(street="Main Street", number=3))
    shell = Shell(root, "--comment", "by hand")

    assert "Where to?" in shell.until("Street [Main Street]: ")
    shell.types("Kürze\n")
    shell.until("Number: give it? y or n [y]: ")
    shell.types("y\n")
    shell.until("Number [3]: ")
    shell.types("many\n")
    assert '"many" is not a whole number' in shell.until("Number [3]: ")
    shell.types("4\n")
    assert "Street: Kürze" in shell.until("y or n: ")
    assert outcome_of(root) is None
    shell.types("y\n")

    code, out = shell.ended()
    assert (code, out.startswith("a-question: answered")) == (0, True), out
    outcome = outcome_of(root)
    assert outcome is not None
    assert (outcome.value, outcome.comment) == ({"street": "Kürze", "number": 4}, "by hand")


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_the_end_of_input_record_nothing(root: Store, key: str) -> None:
    ask(root, data_type=Address)
    shell = Shell(root)
    shell.until("Street: ")
    shell.types("Main Street\n")
    shell.until("Number (optional): ")
    shell.types(key)

    assert "nothing was recorded" in shell.until("waits for an answer\r\n")
    assert shell.ended() == (130, "")
    assert outcome_of(root) is None


def test_without_a_terminal_the_value_must_be_given(root: Store) -> None:
    ask(root)
    done = CliRunner().invoke(app, ["answer", "a-question"])
    assert done.exit_code == 2
    assert "`hitl answer a-question 42`" in done.stderr
    assert outcome_of(root) is None


def test_a_question_that_cannot_be_answered_here_is_refused_before_anything_is_asked(root: Store) -> None:
    ask(root, respondents={"users": ["ann"]})
    shell = Shell(root)
    shell.until("names who may answer it")
    assert shell.ended()[0] == 1

    ask(root, "settled")
    assert CliRunner().invoke(app, ["answer", "settled", "1"]).exit_code == 0
    shell = Shell(root, request_id="settled")
    shell.until("already settled")
    assert shell.ended()[0] == 1


def test_the_value_of_json_value_must_be_given(root: Store) -> None:
    ask(root)
    done = CliRunner().invoke(app, ["answer", "a-question", "--json-value"])
    assert (done.exit_code, "VALUE, which is missing" in done.stderr) == (2, True)
