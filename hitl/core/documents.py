"""What lies in the bucket: requests, outcomes and links, as pydantic models.

The fields of the old plugin's documents keep their names and meanings, so that what reads those reads ours.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from hitl.core.keys import REQUEST_ID_PATTERN
from hitl.core.respondents import MAX_RESPONDENTS as MAX_RESPONDENTS
from hitl.core.respondents import Person as Person
from hitl.core.respondents import Respondents as Respondents
from hitl.core.text import one_line
from hitl.core.values import DataType, format_value, parse_json
from hitl.errors import DocumentDamaged

SCHEMA_VERSION: Final = 1
MAX_PROMPT_CHARS: Final = 16_384
MAX_NAME_CHARS: Final = 128
MAX_CHOICES: Final = 64
MAX_CHOICE_CHARS: Final = 256
MAX_COMMENT_CHARS: Final = 4_096
MAX_TIMEOUT_SECONDS: Final = 366 * 24 * 3600

OutcomeKind: TypeAlias = Literal["answered", "rejected", "timed_out", "cancelled"]
OnTimeout: TypeAlias = Literal["fail", "default"]
Via: TypeAlias = Literal["web", "api", "cli", "kubectl", "gitops", "timeout", "operator", "program"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def to_bytes(self) -> bytes:
        """Return the document as the JSON that is stored."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Read a stored document.

        Args:
            data: The object's bytes.
            name: The object's key, for the error.

        Raises:
            DocumentDamaged: when the bytes are not such a document, or are of another schema version.
        """
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DocumentDamaged(name, "it is not JSON") from error
        version = content.get("schema_version", 0) if isinstance(content, dict) else 0
        if version != SCHEMA_VERSION:
            raise DocumentDamaged(
                name, f"its schema_version is {version!r}, and this release reads {SCHEMA_VERSION}"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the document"
            raise DocumentDamaged(name, f"{place}: {first['msg']}") from error


class Origin(BaseModel):
    """Where a question came from. Empty strings outside Flyte; `human_input` when asked through storage."""

    model_config = ConfigDict(frozen=True)

    org: str = ""
    project: str = ""
    domain: str = ""
    run: str = ""
    action: str = ""
    namespace: str = ""
    human_input: str = ""


class Respondent(BaseModel):
    """Who made the submission that became the outcome.

    `link` is the hash of the link used, which proves that two submissions came by the same link.
    """

    model_config = ConfigDict(frozen=True)

    name: str = Field(default="", max_length=256)
    via: Via
    verified: bool = False
    groups: list[str] = Field(default_factory=list)
    link: str = ""
    commit: str = Field(default="", max_length=256)


class RequestDocument(_Document):
    """A question, immutable once stored. `choices` and `default` are canonical texts of `data_type`."""

    schema_version: int = SCHEMA_VERSION
    request_id: str = Field(pattern=REQUEST_ID_PATTERN)
    event_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    scope: Literal["run"] = "run"
    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)
    data_type: DataType
    status: Literal["pending"] = "pending"
    app_endpoint: str = ""
    request_path: str = ""
    response_path: str = ""
    created_at: AwareDatetime
    expires_at: AwareDatetime
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    choices: list[Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARS)]] = Field(
        default_factory=list, max_length=MAX_CHOICES
    )
    default: str | None = None
    on_timeout: OnTimeout = "fail"
    respondents: Respondents = Respondents()
    origin: Origin = Origin()

    ASKED: ClassVar = ("prompt", "data_type", "schema", "choices", "default", "respondents")

    @property
    def human_input(self) -> str:
        """The name of its HumanInput: of the one that asked, else of the one that the operator makes."""
        return self.origin.human_input or self.request_id

    def question_digest(self) -> str:
        """Return a digest of what is asked of whom: equal for equal questions, whenever they are asked."""
        content = self.model_dump(mode="json", by_alias=True)
        asked = {name: content[name] for name in self.ASKED}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class OutcomeDocument(_Document):
    """The one terminal record of a request. `value` is null unless it was answered.

    `expires_at` is the deadline of the request; the documents of release 0.1.0 lack it.
    """

    schema_version: int = SCHEMA_VERSION
    request_id: str
    data_type: DataType
    status: str
    value: JsonValue = None
    outcome: OutcomeKind
    reason: str
    submission_id: str
    answered_at: AwareDatetime
    respondent: Respondent
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    request_sha256: str
    expires_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.outcome == "answered" and not _same(parse_json(self.data_type, self.value), self.value):
            raise ValueError(f"the value is not of type {self.data_type}")
        return self

    def value_text(self) -> str | None:
        """Return the value as its canonical text, or None when there is none."""
        return format_value(self.data_type, self.value) if self.outcome == "answered" else None

    def by(self) -> str:
        """Return who is recorded, as people should read it, on one line: an unverified name says so."""
        name = one_line(self.respondent.name) or "somebody"
        return name if self.respondent.verified else f"{name} (unverified)"

    def summary(self) -> str:
        """Return one sentence part, on one line, that says what was recorded, by whom and when.

        A timeout names the deadline. When somebody noticed that it had passed says nothing about the question.
        """
        when = format_time(self.answered_at)
        deadline = f"the deadline ({format_time(self.expires_at)})" if self.expires_at else "the deadline"
        match self.outcome:
            case "answered" if self.reason == "DefaultUsed":
                return f"nobody answered before {deadline}, so the default was used"
            case "timed_out":
                return f"nobody answered before {deadline}"
            case "answered":
                return f"answered by {self.by()} via {self.respondent.via} at {when}"
            case _:
                why = f": {one_line(self.comment)}" if self.comment else ""
                return f"{self.outcome} by {self.by()} via {self.respondent.via} at {when}{why}"


class LinkDocument(_Document):
    """A capability to answer one request; its key holds the hash of its token."""

    schema_version: int = SCHEMA_VERSION
    created_at: AwareDatetime
    label: str = Field(default="", max_length=256)
    expires_at: AwareDatetime | None = None

    def valid(self, now: datetime) -> bool:
        """Tell whether the link still grants anything."""
        return self.expires_at is None or now < self.expires_at


def _same(parsed: JsonValue, value: JsonValue) -> bool:
    return parsed == value and type(parsed) is type(value)


def format_time(moment: datetime) -> str:
    """Return a moment as people read it: to the second, in its own zone, with the zone's name."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()
