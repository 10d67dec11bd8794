"""What is stored in the bucket: requests and outcomes, as pydantic models.

The fields of the old plugin's documents keep their names and meanings, so that what reads those reads ours.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from hitl.core.asked import Asked
from hitl.core.faults import sentence
from hitl.core.keys import REQUEST_ID_PATTERN, path_under, request_key, response_key
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.moments import Moment
from hitl.core.question import Question
from hitl.core.values import DataType, format_value, parse_json
from hitl.errors import DocumentDamaged, one_line

SCHEMA_VERSION: Final = 1
# Of a question on which several people must agree. Releases that would let one of them decide refuse to read it.
APPROVAL_VERSION: Final = 2

OutcomeKind: TypeAlias = Literal["answered", "rejected", "timed_out", "cancelled"]
Via: TypeAlias = Literal["web", "api", "cli", "kubectl", "gitops", "slack", "timeout", "operator", "program"]


class Document(BaseModel):
    """What all documents share: a version, and how they are written and read."""

    # Pydantic prepares each when it is needed: that takes a while, and a start needs questions alone.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    schema_version: int = SCHEMA_VERSION

    VERSIONS: ClassVar[tuple[int, ...]] = (SCHEMA_VERSION,)

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
        # What is as it should be is read at once, in a third of the time; anything else is looked at in steps.
        with suppress(ValidationError):
            document = cls.model_validate_json(data)
            if document.schema_version in cls.VERSIONS and "schema_version" in document.model_fields_set:
                return document
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DocumentDamaged(name, "it is not JSON") from error
        version = content.get("schema_version", 0) if isinstance(content, dict) else 0
        if version not in cls.VERSIONS:
            known = " and ".join(map(str, cls.VERSIONS))
            raise DocumentDamaged(name, f"its schema_version is {version!r}, and this release reads {known}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DocumentDamaged(name, sentence(error, "the document")) from error


class CopiedPolicy(BaseModel):
    """The policy whose approval a question has. Without a name it is the default of the cluster."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = ""
    generation: int = 0


class Origin(BaseModel):
    """Where a question came from. Empty strings outside Flyte; `human_input` when asked through storage.

    `local` is true for a run on somebody's own machine, of which the cluster knows nothing.
    `program` is the process that asked in local mode without a key, see `hitl.serving.programs`.
    `policy` is where its approval was copied from; None: the question itself said who must agree.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    org: str = ""
    project: str = ""
    domain: str = ""
    run: str = ""
    action: str = ""
    namespace: str = ""
    human_input: str = ""
    local: bool = False
    program: str = ""
    policy: CopiedPolicy | None = None


class Respondent(BaseModel):
    """Who made the submission that became the outcome.

    `link` is the hash of the link used, which proves that two submissions came by the same link. `on_behalf_of` is
    who handed the question over to them; then `groups` are that one's, as they were verified at that time.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(default="", max_length=256)
    via: Via
    verified: bool = False
    groups: list[str] = Field(default_factory=list)
    link: str = ""
    commit: str = Field(default="", max_length=256)
    on_behalf_of: str = Field(default="", max_length=256)


class RequestDocument(Document, Asked):
    """A question, immutable once stored.

    `link_sha256` is the hash of the token of the link that was handed out as it was asked, see `hitl.core.links`.
    Who knows it sees the evidence, so nothing but the stored bytes tells it.
    """

    model_config = ConfigDict(defer_build=False)

    request_id: str = Field(pattern=REQUEST_ID_PATTERN)
    scope: Literal["run"] = "run"
    status: Literal["pending"] = "pending"
    app_endpoint: str = ""
    request_path: str = ""
    response_path: str = ""
    created_at: Moment
    expires_at: Moment
    origin: Origin = Field(default_factory=Origin)
    link_sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$", exclude=True, repr=False)

    VERSIONS: ClassVar = (SCHEMA_VERSION, APPROVAL_VERSION)

    @model_validator(mode="after")
    def _version_fits(self) -> Self:
        if (self.approval is not None) != (self.schema_version == APPROVAL_VERSION):
            raise ValueError(f"schema_version is {APPROVAL_VERSION} with an approval, else {SCHEMA_VERSION}")
        return self

    def to_bytes(self) -> bytes:
        """Return the document as the JSON that is stored, with what nothing else shows."""
        told = super().to_bytes()
        return told[:-1] + b',"link_sha256":"%b"}' % self.link_sha256.encode() if self.link_sha256 else told

    @classmethod
    def asking(
        cls,
        question: Question,
        *,
        request_id: str,
        asked_at: datetime,
        root: str = "",
        endpoint: str = "",
        origin: Origin | None = None,
        link_sha256: str = "",
    ) -> Self:
        """Return the document of a question.

        Args:
            question: What is asked.
            request_id: See `hitl.core.keys`.
            asked_at: The moment from which its deadline is counted, with a time zone.
            root: The root's URL, to record the paths of request and outcome.
            endpoint: The web app's base URL, if known.
            origin: Where the question comes from.
            link_sha256: The hash of the token of the link that goes with it; empty: none does.

        Raises:
            RequestNotFound: the id is none.
        """
        shared = {name: getattr(question, name) for name in Asked.model_fields}
        return cls(
            **shared,
            schema_version=SCHEMA_VERSION if question.approval is None else APPROVAL_VERSION,
            request_id=request_id,
            app_endpoint=endpoint,
            request_path=path_under(root, request_key(request_id)),
            response_path=path_under(root, response_key(request_id)),
            created_at=asked_at,
            expires_at=asked_at + timedelta(seconds=question.timeout_seconds),
            origin=origin or Origin(),
            link_sha256=link_sha256,
        )

    @property
    def human_input(self) -> str:
        """The name of its HumanInput: of the one that asked, else of the one that the operator makes."""
        return self.origin.human_input or self.request_id


class CountedVote(BaseModel):
    """One of the votes that an outcome rests on. `sha256` is the digest of the vote's very bytes."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    voter: str
    name: str = ""
    verified: bool = False
    via: Via
    voted_at: Moment
    comment: str = ""
    sha256: str
    on_behalf_of: str = ""

    def by(self) -> str:
        """Return whose it is, as people should read it, on one line: an unverified name says so."""
        return named_as(self.name, self.verified, self.on_behalf_of)


class OutcomeDocument(Document):
    """The one terminal record of a request. `value` is null unless it was answered.

    `expires_at` is the deadline of the request; the documents of release 0.1.0 lack it. `votes` are those that it
    rests on, where several people had to agree; then the rest is of the one of them that came last.
    """

    request_id: str
    data_type: DataType
    status: str
    value: JsonValue = None
    outcome: OutcomeKind
    reason: str
    submission_id: str
    answered_at: Moment
    respondent: Respondent
    comment: str = Field(default="", max_length=MAX_COMMENT_CHARS)
    request_sha256: str
    expires_at: Moment | None = None
    votes: list[CountedVote] = Field(default_factory=list)

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.outcome == "answered":
            require_type(self.data_type, self.value)
        return self

    @property
    def default_used(self) -> bool:
        """Whether nobody answered, so that the value is the default."""
        return self.outcome == "answered" and self.reason == "DefaultUsed"

    def value_text(self) -> str | None:
        """Return the value as its canonical text, or None when there is none."""
        return format_value(self.data_type, self.value) if self.outcome == "answered" else None

    def by(self) -> str:
        """Return who is recorded, as people should read it, on one line: an unverified name says so."""
        if self.votes:
            return joined([each.by() for each in self.votes])
        return named_as(self.respondent.name, self.respondent.verified, self.respondent.on_behalf_of)

    def channel(self) -> str:
        """Return over which channel it came, on one line, with the commit if it says one."""
        commit = one_line(self.respondent.commit)
        return f"{self.respondent.via} (commit {commit})" if commit else self.respondent.via

    def summary(self) -> str:
        """Return one sentence part, on one line, that says what was recorded, who did it and when.

        A timeout names the deadline. When somebody noticed that it had passed says nothing about the question.
        """
        if self.outcome == "timed_out" or self.default_used:
            deadline = f"the deadline ({format_time(self.expires_at)})" if self.expires_at else "the deadline"
            used = ", so the default was used" if self.default_used else ""
            return f"nobody answered before {deadline}{used}"
        when = format_time(self.answered_at)
        match self.outcome:
            case "answered":
                return f"answered by {self.by()} via {self.channel()} at {when}"
            case _:
                why = f": {one_line(self.comment)}" if self.comment else ""
                if self.respondent.via == "operator":
                    # Nobody did: the reason says what happened.
                    return f"{self.outcome} at {when}{why}"
                if self.respondent.via == "program" and not self.respondent.name:
                    return f"{self.outcome} by the program that asked at {when}{why}"
                return f"{self.outcome} by {self.by()} via {self.channel()} at {when}{why}"


def joined(names: Sequence[str]) -> str:
    """Return the names of at least one, as a sentence has them."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def named_as(name: str, verified: bool, on_behalf_of: str = "") -> str:
    """Return who somebody is, as people should read it, on one line: an unverified name says so."""
    name = one_line(name) or "somebody"
    if not verified:
        return f"{name} (unverified)"
    return f"{name} on behalf of {one_line(on_behalf_of)}" if on_behalf_of else name


def require_type(data_type: DataType, value: JsonValue) -> None:
    """Refuse a value that is not as its type has it.

    Raises:
        ValueError: naming the type.
    """
    if not _same(parse_json(data_type, value, empty=True), value):
        raise ValueError(f"the value is not of type {data_type}")


def _same(parsed: JsonValue, value: JsonValue) -> bool:
    return parsed == value and type(parsed) is type(value)


def format_time(moment: datetime) -> str:
    """Return a moment as people read it: to the second, in its own zone, with the zone's name."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()
