"""What pydantic found wrong is told in one way: the place, then what is wrong there."""

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from hitl.core.faults import Fault, faults, sentence


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
    assert sentence(error).startswith("parts.1.number: Input should be a valid integer")
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
