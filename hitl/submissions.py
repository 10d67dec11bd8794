"""What a program sends to `POST /submit/json`, as the old plugin's clients know it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hitl.documents import MAX_COMMENT_CHARS


class HITLSubmissionTyped(BaseModel):
    """One attempt to answer or reject a request over the JSON API.

    Args:
        request_id: The request.
        value: The answer: a JSON value of the request's type, or the text of a scalar.
        data_type: Accepted for old clients; the type is the request's own.
        response_path: Empty, or the recorded one, which may carry the link's token behind a ``#``.
        token: The link's token, if it comes neither there nor as a bearer token.
        comment: Free text for the record.
        reject: Refuse to answer, instead of answering.
    """

    model_config = ConfigDict(extra="ignore")

    request_id: str = Field(max_length=256)
    value: Any = None
    data_type: str = Field(default="str", max_length=256)
    response_path: str = Field(default="", max_length=8192)
    token: str = Field(default="", max_length=512)
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    reject: bool = False


def split_token(response_path: str) -> tuple[str, str]:
    """Split a response path into the path and the token behind its last ``#``, either of which may be empty."""
    path, separator, token = response_path.rpartition("#")
    return (path, token) if separator else (response_path, "")
