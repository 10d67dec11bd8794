"""What runs as a service writes one JSON object a line, and no token of a link in any of them."""

import io
import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitl.errors import printable
from hitl.logs import JsonLines, log_submission, show_logs


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(f"test-{secrets.token_hex(4)}")
    yield found
    for each in list(found.handlers):
        found.removeHandler(each)


def line(message: Any, *arguments: Any, error: BaseException | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(format_(message, *arguments, error=error))
    return found


def format_(message: Any, *arguments: Any, error: BaseException | None = None) -> str:
    caught = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("hitl.operator", logging.WARNING, "file.py", 1, message, arguments, caught)
    return JsonLines().format(record)


def test_a_line_says_when_who_how_bad_and_what() -> None:
    found = line("%s: %d left", "team-a", 3)

    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    assert found == {"logger": "hitl.operator", "level": "WARNING", "message": "team-a: 3 left"}


def test_a_dict_becomes_fields_of_the_line() -> None:
    assert line({"request_id": "a-b", "verified": False})["verified"] is False


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf"])))
@example("a\nb\r\x1b[2J\u202egnp.exe\ud800")
def test_any_text_stays_on_one_line_and_reaches_no_terminal_raw(text: str) -> None:
    written = format_(text)

    assert printable(written) == written
    assert "\n" not in written
    assert isinstance(json.loads(written)["message"], str)


@pytest.mark.parametrize(
    "value", [Path("a/b"), object(), b"\xff", "\ud800", {1: {2}}, float("nan"), [float("inf")]]
)
def test_a_value_that_is_no_json_does_not_lose_the_line(value: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(format_({"request_id": "a-b", "value": value}), parse_constant=refuse)

    assert found["request_id"] == "a-b"
    assert "value" in found


def test_a_traceback_is_a_field_and_has_no_token() -> None:
    token = secrets.token_urlsafe(32)
    try:
        raise ValueError(f"http://forms.test/form/a-b?token={token}")
    except ValueError as error:
        found = line("failed", error=error)

    assert "ValueError" in found["error"]
    assert token not in json.dumps(found)


def test_a_logger_that_has_a_handler_keeps_it(logger: logging.Logger) -> None:
    own = logging.StreamHandler(io.StringIO())
    logger.addHandler(own)

    show_logs(logger.name)

    assert logger.handlers == [own]


def test_a_logger_is_shown_once_however_often_it_is_asked_for(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    show_logs(logger.name)
    show_logs(logger.name)
    logger.info("once")

    assert [json.loads(each)["message"] for each in capsys.readouterr().out.splitlines()] == ["once"]


def test_the_line_of_a_submission_has_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    said = {"submission_id": "s", "attempt": "answered", "name": "ada", "verified": True, "via": "kubectl"}
    with caplog.at_level(logging.INFO, "hitl.audit"):
        log_submission("a-b", **said, result="Recorded")  # type: ignore[arg-type]  # mixed values of one dict
        log_submission("a-b", **said, result="Expired", commit="main@sha1:0")  # type: ignore[arg-type]  # as above

    assert [record.msg for record in caplog.records] == [
        {"request_id": "a-b", **said, "result": "Recorded"},
        {"request_id": "a-b", **said, "result": "Expired", "commit": "main@sha1:0"},
    ]


def test_the_operator_writes_json_from_its_first_line_on(tmp_path: Path) -> None:
    token = secrets.token_urlsafe(32)
    environment = {
        **os.environ,
        "HITL_STORAGE_ROOT": str(tmp_path / "root"),
        # Both are misspelt, which the log tells; a token has no business there, and may be there all the same.
        "HITL_SWEEP_SECOND": "3",
        f"HITL_ENDPOIN_{token.replace('-', '_')}": "x",
        "HITL_KUBECONFIG": str(tmp_path / "nowhere"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "hitl_operator"], env=environment, capture_output=True, text=True, timeout=60
    )

    lines = [json.loads(each) for each in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [each["message"] for each in lines if re.search("HITL_SWEEP_SECOND ", each["message"])]
    assert {"time", "logger", "level"} <= set.intersection(*(set(each) for each in lines))
    assert token not in done.stdout
