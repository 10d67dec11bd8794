"""What is shown beside a question, so that people can decide: as the question's document names it.

The bytes lie in storage under their own digest. The list is a part of the question, so that its digest binds the
answer to what was shown.
"""

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hitl.core.limits import MAX_NAME_CHARS
from hitl.errors import one_line

EvidenceKind: TypeAlias = Literal["image", "table", "markdown", "diff", "html", "file", "link"]

# All limits of evidence.
MAX_EVIDENCE: Final = 32
MAX_URL_CHARS: Final = 2_048
MAX_ALT_CHARS: Final = 1_024
MAX_PIECE_BYTES: Final = 16 * 1024 * 1024
MAX_EVIDENCE_BYTES: Final = 64 * 1024 * 1024
MAX_MARKDOWN_BYTES: Final = 64 * 1024
MAX_HTML_BYTES: Final = 4 * 1024 * 1024
MAX_PREVIEW_BYTES: Final = 1024 * 1024

TABLE_MEDIA_TYPE: Final = "application/vnd.hitl.table+json"
DIFF_MEDIA_TYPE: Final = "application/vnd.hitl.diff+json"


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

    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    kind: EvidenceKind
    media_type: str = Field(default="", max_length=MAX_NAME_CHARS)
    size_bytes: int = Field(default=0, ge=0)
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    url: str = Field(default="", max_length=MAX_URL_CHARS, pattern=r"^(https?://[^\s]+)?$")
    alt: str = Field(default="", max_length=MAX_ALT_CHARS)

    @model_validator(mode="after")
    def _bytes_or_address(self) -> Self:
        if (self.kind == "link") != bool(self.url) or bool(self.url) == bool(self.sha256):
            raise ValueError("a link has an address, and anything else has the digest of its bytes")
        return self


def media_type_of(data: bytes) -> str:
    """Return the media type that some bytes begin like: of a raster image that browsers show, PDF, text or any.

    A name is never believed. SVG is text here, as it can hold programs.

    Args:
        data: The bytes, or their beginning.
    """
    for start, media_type in _STARTS:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return "text/plain" if _is_text(data) else "application/octet-stream"


def shown_name(text: str) -> str:
    """Return a name as pages and downloads may have it: on one line, and no path.

    Args:
        text: A file's name or path, or what an author wrote.
    """
    last = one_line(text.replace("\\", "/")).rstrip("/").rpartition("/")[2].strip(". ")
    return last[:MAX_NAME_CHARS].rstrip() or "unnamed"


def shown_size(size_bytes: int) -> str:
    """Return a number of bytes as people read it."""
    size, unit = float(size_bytes), "byte" if size_bytes == 1 else "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:,.0f} {unit}" if unit.startswith("byte") or size >= 10 else f"{size:.1f} {unit}"


_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
RASTER_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})


def _is_text(data: bytes) -> bool:
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # A beginning may end in the middle of a character.
        return len(data) - error.start < 4 and error.reason == "unexpected end of data"
    return True
