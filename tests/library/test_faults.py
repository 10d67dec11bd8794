"""What pydantic found wrong is told in one way: the place, then what is wrong there."""

import os
import re
import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from hitl.core.faults import Fault, faults, sentence, settings_sentences


class Part(BaseModel):
    number: int


class Whole(BaseModel):
    parts: list[Part]
    word: str = ""

    @model_validator(mode="after")
    def _no_secrets(self) -> "Whole":
        if self.word == "secret-word":
            raise ValueError("that word is not for here")
        if self.word == "other":
            raise AssertionError("nor is that one")
        return self


def refused(content: object) -> ValidationError:
    with pytest.raises(ValidationError) as error:
        Whole.model_validate(content)
    return error.value


def test_the_place_is_named_by_its_path() -> None:
    error = refused({"parts": [{"number": 1}, {"number": "secret"}], "word": 5})

    assert [fault.place for fault in faults(error)] == ["parts.1.number", "word"]
    assert sentence(error).startswith("parts.1.number: give a whole number")
    assert sentence(error, "the whole").startswith("parts.1.number: ")
    assert "secret" not in " ".join(map(str, faults(error))), "what was given is not repeated"


@pytest.mark.parametrize(
    ("word", "why"), [("secret-word", "that word is not for here"), ("other", "nor is that one")]
)
def test_a_fault_of_the_whole_has_no_place(word: str, why: str) -> None:
    error = refused({"parts": [], "word": word})

    assert faults(error) == [Fault("", why)]
    assert sentence(error) == why
    assert sentence(error, "the document") == f"the document: {why}"


def test_what_is_no_object_at_all_is_a_fault_of_the_whole() -> None:
    assert sentence(refused("text"), "the document").startswith("the document: Input should be")


class Root(BaseModel):
    url: str


class Demo(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HITL_")

    port: int = 80
    demo_secret: Annotated[str, Field(max_length=3)] = ""
    roots: list[Root] = []


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("HITL_PORT", "eighty", r"HITL_PORT is 'eighty': give a whole number"),
        ("HITL_DEMO_SECRET", "s3cr3t", r"HITL_DEMO_SECRET: String should have at most 3 characters"),
        ("HITL_ROOTS", '[{"url": "s3://a"}, {"uri": "s3cr3t"}]', r"HITL_ROOTS, 1\.url: Field required"),
        ("HITL_ROOTS", '["s3cr3t"]', r"HITL_ROOTS, 0: Input should be .*"),
        ("HITL_ROOTS", '["s3cr3t"', r"HITL_ROOTS is not JSON: correct or unset it"),
    ],
)
def test_a_setting_is_named_as_it_was_set(
    name: str, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises((ValidationError, SettingsError)) as error:
        Demo()

    [told] = settings_sentences(error.value)
    assert re.fullmatch(sentence, told)
    assert "s3cr3t" not in told


@pytest.mark.parametrize("module", ["hitl_webapp", "hitl_operator"])
@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("HITL_AUTH", "prxy", "HITL_AUTH is 'prxy': Input should be 'link', 'proxy' or 'kubernetes'"),
        ("HITL_STORAGE_OPTIONS", '["s3cr3t"]', "HITL_STORAGE_OPTIONS: Input should be a valid dictionary"),
        ("HITL_STORAGE_OPTIONS", '{"s3cr3t"', "HITL_STORAGE_OPTIONS is not JSON: correct or unset it"),
    ],
)
def test_a_service_that_is_set_wrongly_says_so_in_a_sentence(
    module: str, name: str, text: str, sentence: str
) -> None:
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, env={**os.environ, name: text}, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cr3t" not in done.stderr
