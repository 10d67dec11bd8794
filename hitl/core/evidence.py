"""What is shown beside a question, so that whoever answers can decide: as the question's document names it.

The bytes lie in storage under their own digest. The list is a part of the question, so that its digest binds the
answer to what was shown.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hitl.core.limits import MAX_NAME_CHARS

EvidenceKind: TypeAlias = Literal["image", "table", "markdown", "diff", "html", "file", "link"]

MAX_EVIDENCE: Final = 32
MAX_URL_CHARS: Final = 2_048


class Evidence(BaseModel):
    """One thing that is shown beside a question.

    Args:
        name: What people read above it; 1 to 128 characters.
        kind: How it is shown.
        media_type: What its bytes are; empty for a link.
        size_bytes: How many they are.
        sha256: Their digest, 64 hexadecimal characters; empty for a link.
        url: Where a link leads: ``http`` or ``https``. Empty for all others.
        alt: What an image shows, in words, for who cannot see it.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    kind: EvidenceKind
    media_type: str = Field(default="", max_length=MAX_NAME_CHARS)
    size_bytes: int = Field(default=0, ge=0)
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    url: str = Field(default="", max_length=MAX_URL_CHARS, pattern=r"^(https?://[^\s]+)?$")
    alt: str = Field(default="", max_length=1_024)

    @model_validator(mode="after")
    def _bytes_or_address(self) -> Self:
        if (self.kind == "link") != bool(self.url) or bool(self.url) == bool(self.sha256):
            raise ValueError("a link has an address, and anything else has the digest of its bytes")
        return self
