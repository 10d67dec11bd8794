"""A vote: what one person says to a question on which several must agree."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AwareDatetime, Field, JsonValue, model_validator

from hitl.core.documents import Document, Respondent, require_type, sha256_hex
from hitl.core.keys import VOTER_CHARS
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.values import DataType, format_value


class VoteDocument(Document):
    """What one person says to a question on which several must agree. It never changes.

    `request_sha256` is the digest of the question's very bytes: a vote counts for that question alone.
    """

    request_id: str
    request_sha256: str
    data_type: DataType
    outcome: Literal["answered", "rejected"]
    value: JsonValue = None
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    submission_id: str
    voted_at: AwareDatetime
    respondent: Respondent

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.outcome == "answered":
            require_type(self.data_type, self.value)
        return self

    @property
    def voter(self) -> str:
        """Whose vote it is, as its key has it: each person has one, over whatever channel it comes."""
        return voter_of(self.respondent)

    def value_text(self) -> str | None:
        """Return the answer as its canonical text, or None for who declined."""
        return format_value(self.data_type, self.value) if self.outcome == "answered" else None


def voter_of(respondent: Respondent) -> str:
    """Return the hash of what tells a person from others: a verified name, else the link, else the name given."""
    if respondent.verified and respondent.name:
        known = f"user:{respondent.name}"
    else:
        known = f"link:{respondent.link}" if respondent.link else f"unverified:{respondent.name}"
    return sha256_hex(known.encode("utf-8", "surrogatepass"))[:VOTER_CHARS]
