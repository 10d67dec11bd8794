"""Values given to the command are read as strictly as those of the form and of the JSON API."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.cli.storage_backend import me
from hitl.core.pythontypes import as_json, typed
from hitl.core.values import format_value
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.samples import asked
from tests.library.typed_samples import TYPED, same, several_of_each


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    return Store(str(tmp_path / "root"))


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def recorded(root: Store) -> Any:
    outcome = asyncio.run(read_outcome(root, "a-question"))
    return None if outcome is None else outcome.value


@pytest.mark.parametrize(
    ("data_type", "options", "value"),
    [
        ("json", ["--json-value", '{"a": 1, "a": 2}'], '"a" twice'),
        ("json", ["--json-value", '{"a": [1e-400]}'], "too close to zero"),
        ("float", ["--json-value", "1e-400"], "too close to zero"),
        ("float", ["--json-value", "NaN"], "NaN is not JSON"),
        ("json", ["--json-value", "{'a': 1}"], "Leave out --json-value to give it as text"),
        ("json", ["--json-value", '"\\ud800"'], "half a character"),
        ("float", ["0,42"], "write 0.42 with a point"),
        ("int", ["1,000"], "without separators"),
        (list[str], ["[1]"], "does not fit"),
        (list[str], ["--json-value", '{"a": 1}'], "does not fit"),
        (dict[str, int], ['{"a": "b"}'], "does not fit"),
    ],
    ids=str,
)
def test_a_value_that_is_not_exactly_one_of_the_type_is_refused(
    root: Store, data_type: Any, options: list[str], value: str
) -> None:
    asyncio.run(asked(root, "a-question", data_type=data_type, now=datetime.now(UTC)))

    done = hitl_("answer", "a-question", *options)

    assert done.exit_code == 2
    assert value in done.stderr
    assert recorded(root) is None


@pytest.mark.parametrize("options", [["[1, 2]"], ["--json-value", "[1, 2]"]])
def test_a_value_of_the_type_is_recorded(root: Store, options: list[str]) -> None:
    asyncio.run(asked(root, "a-question", data_type=list[int], now=datetime.now(UTC)))

    assert hitl_("answer", "a-question", *options).exit_code == 0
    assert recorded(root) == [1, 2]


def test_a_pasted_minus_sign_is_a_minus(root: Store) -> None:
    asyncio.run(asked(root, "a-question", now=datetime.now(UTC)))

    assert hitl_("answer", "a-question", "\u22125").exit_code == 0
    assert recorded(root) == -5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"minimum": 1, "minimum": 5}', '"minimum" twice'),
        ('{"minimum": 5}'.encode("utf-16"), "not UTF-8"),
        (b"{minimum: 5}", "cannot be read as JSON"),
        (b"[]", "schema is of type list"),
    ],
)
def test_a_schema_file_is_read_strictly(root: Store, tmp_path: Path, content: bytes, sentence: str) -> None:
    schema = tmp_path / "schema.json"
    schema.write_bytes(content)

    done = hitl_("ask", "How many?", "--type", "int", "--schema", str(schema), "--timeout", "1s")

    assert done.exit_code == 2
    assert sentence in done.stderr


def test_a_schema_file_may_begin_with_a_byte_order_mark(root: Store, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_bytes(b"\xef\xbb\xbf" + json.dumps({"minimum": 5}).encode())

    done = hitl_("ask", "How many?", "--type", "int", "--schema", str(schema), "--default", "3", "--timeout", "1s")

    assert done.exit_code == 2
    assert "less than the minimum of 5" in done.stderr


def test_a_user_name_that_is_no_utf_8_is_recorded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann\udcff")

    assert me().name == "ann?"


def test_an_optional_answer_is_left_out_by_null_or_by_an_empty_text(root: Store) -> None:
    for request_id, data_type, given in (("a-null", int | None, "null"), ("a-value", int | None, "7")):
        asyncio.run(asked(root, request_id, data_type=data_type, now=datetime.now(UTC)))
        assert hitl_("answer", request_id, given).exit_code == 0
    outcome = asyncio.run(read_outcome(root, "a-null"))
    assert outcome is not None
    assert (outcome.outcome, outcome.value) == ("answered", None)

    asyncio.run(asked(root, "a-question", data_type=str, default="", now=datetime.now(UTC)))
    assert hitl_("answer", "a-question", "").exit_code == 0
    assert recorded(root) == ""


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "json"])
def test_the_same_value_of_each_type_comes_back_over_the_command(root: Store, as_text: bool) -> None:
    for number, (name, [value]) in enumerate(several_of_each(1).items()):
        data_type = TYPED[name][0]
        question = asyncio.run(asked(root, f"q-{number}", data_type=data_type, now=datetime.now(UTC))).document
        sent = json.loads(json.dumps(as_json(data_type, value)))
        text = format_value(question.data_type, sent) if as_text else json.dumps(sent)
        options = [] if as_text else ["--json-value"]

        assert hitl_("answer", f"q-{number}", *options, "--", text).exit_code == 0

        outcome = asyncio.run(read_outcome(root, f"q-{number}"))
        assert outcome is not None
        assert same(typed(data_type, outcome.value), value), name
