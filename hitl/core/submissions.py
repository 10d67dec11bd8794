"""What a program sends to `POST /submit/json`, as the old plugin's clients know it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.respondents import MAX_PERSON_CHARS
from hitl.core.strictjson import show


class HITLSubmissionTyped(BaseModel):
    """One attempt to answer or reject a request over the JSON API, or to hand it over to somebody else.

    Unknown names are refused, so that a misspelt `reject` never records an answer; and either there is a `value`,
    which may be null for JSON, or `reject` is true, or `delegate_to` names somebody.

    Args:
        request_id: The request.
        value: The answer: a JSON value of the request's type, or the text of a scalar.
        data_type: Accepted for old clients; the type is the request's own.
        response_path: Empty, or the recorded one, which may carry the link's token behind a ``#``.
        token: The link's token, if it comes neither there nor as a bearer token.
        comment: Free text for the record.
        reject: Refuse to answer, instead of answering.
        delegate_to: The user who answers on the caller's behalf, instead of answering.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {"required": ["value"], "properties": {"reject": {"const": False}}},
                {
                    "required": ["reject"],
                    "properties": {"reject": {"const": True}, "value": {"type": "null"}},
                },
                {
                    "required": ["delegate_to"],
                    "properties": {"reject": {"const": False}, "value": {"type": "null"}},
                },
            ]
        },
        defer_build=True,
    )

    request_id: str = Field(max_length=256)
    value: Any = None
    data_type: str = Field(default="str", max_length=256)
    response_path: str = Field(default="", max_length=8192)
    token: str = Field(default="", max_length=512)
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    reject: StrictBool = False
    delegate_to: str = Field(default="", max_length=MAX_PERSON_CHARS)

    @model_validator(mode="before")
    @classmethod
    def _names_known(cls, content: Any) -> Any:
        if isinstance(content, dict):
            unknown = next((name for name in content if name not in cls.model_fields), None)
            if unknown is not None:
                raise PydanticCustomError(
                    "unknown_name",
                    "{name} is not known here: use {known}",
                    {"name": show(str(unknown)), "known": ", ".join(cls.model_fields)},
                )
        return content

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if self.reject and self.value is not None:
            raise PydanticCustomError("both", "there is a value, and reject is true: send one of them")
        if self.delegate_to and (self.reject or self.value is not None or self.comment):
            raise PydanticCustomError(
                "delegates", "there is delegate_to, and a value, reject or comment: send it without them"
            )
        if not self.reject and not self.delegate_to and "value" not in self.model_fields_set:
            raise PydanticCustomError(
                "neither", "the value is missing: send a value, or reject: true to refuse to answer"
            )
        return self


def split_token(response_path: str) -> tuple[str, str]:
    """Split a response path into the path and the token behind its last ``#``, either of which may be empty."""
    path, separator, token = response_path.rpartition("#")
    return (path, token) if separator else (response_path, "")
