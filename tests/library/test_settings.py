"""A misspelt setting is said in the log: without `HITL_AUTH` whoever holds a link may answer."""

import logging
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from hitl.author.context import find_context
from hitl.core.faults import settings_sentences
from hitl.errors import ServeError
from hitl.settings import Settings, misspelt
from hitl_operator.settings import OperatorSettings
from hitl_webapp.settings import WebSettings

DOCUMENTED = set(re.findall(r"`(HITL_[A-Z_]+)`", Path("docs/settings.md").read_text()))


@pytest.mark.parametrize("settings", [Settings, WebSettings, OperatorSettings])
def test_no_documented_setting_is_taken_for_a_misspelt_one(settings: type[Settings]) -> None:
    assert len(DOCUMENTED) > 30
    assert misspelt(DOCUMENTED | {"HITL_BIN", "PATH", "AWS_REGION"}, settings.model_fields) == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HITL_AUHT", "HITL_AUTH"),
        ("HITL_PROXY_SECRETS", "HITL_PROXY_SECRET"),
        ("HITL_STORGE_ROOT", "HITL_STORAGE_ROOT"),
        ("HITL_STORAGE_OPTION", "HITL_STORAGE_OPTIONS"),
        ("HITL_ENDPOINT_URL", "HITL_ENDPOINT"),
        ("HITL_MARKER", "HITL_MARKERS"),
    ],
)
def test_a_misspelt_setting_is_found(name: str, meant: str) -> None:
    assert misspelt([name], WebSettings.model_fields) == {name: meant}


def test_it_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("HITL_AUHT", "proxy")

    with caplog.at_level(logging.WARNING, "hitl"):
        for _ in range(2):
            WebSettings()

    said = [record.getMessage() for record in caplog.records]
    assert said == ["HITL_AUHT is set and is no setting: did you mean HITL_AUTH?"]


@pytest.mark.parametrize("settings", [Settings, WebSettings])
@pytest.mark.parametrize("address", ["hitl.example.org", "//hitl.example.org", "localhost:8080"])
def test_an_address_without_a_scheme_is_refused(settings: type[Settings], address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(endpoint=address)

    assert settings_sentences(refused.value) == [
        f"HITL_ENDPOINT is {address!r}: write the web app's whole address, with https:// or http://"
    ]


@pytest.mark.parametrize("address", ["", "https://hitl.example.org/hitl", "HTTP://127.0.0.1:8080"])
def test_an_address_with_a_scheme_is_kept(address: str) -> None:
    assert WebSettings(endpoint=address).endpoint == address


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "HITL_ENDPOINT",
            "hitl.example.org",
            "HITL_ENDPOINT is 'hitl.example.org': write the web app's whole address",
        ),
        ("HITL_NOTIFY_REMINDERS", "soon", "HITL_NOTIFY_REMINDERS is not JSON"),
    ],
)
async def test_a_program_is_told_which_setting_is_invalid(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ServeError, match=re.escape(sentence)):
        await find_context()
