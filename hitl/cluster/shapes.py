"""The parts that a HumanInput and a HumanInputResponse are made of, as pydantic models.

Their descriptions are what ``kubectl explain`` shows, as those of `hitl.cluster.v1alpha1` are.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hitl.core.approval import MAX_GROUPS, MAX_REQUIRED, CommentRequired
from hitl.core.evidence import MAX_ALT_CHARS, MAX_URL_CHARS, EvidenceKind
from hitl.core.keys import REQUEST_ID_PATTERN
from hitl.core.limits import MAX_NAME_CHARS
from hitl.core.respondents import MAX_RESPONDENTS, Person

MAX_EDIT_PATH_CHARS: Final = 512

ConditionStatus: TypeAlias = Literal["True", "False", "Unknown"]


class Shape(BaseModel):
    """A part of an object, as the API server writes it: camelCase, and without what newer releases add.

    Empty lists and dicts are made by a `default_factory`: pydantic copies a `default`, which takes five times as
    long, and the operator reads many objects.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, alias_generator=to_camel)


class Metadata(Shape):
    """What of an object's metadata matters here."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    managed_fields: list[dict[str, Any]] = Field(default_factory=list)


class Condition(Shape):
    """One aspect of the state, as `kubectl wait` and GitOps tools read it."""

    type: str = Field(max_length=316, description="What the condition is about.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=1024, description="Why, as one CamelCase word for programs.")
    message: str = Field(default="", max_length=32_768, description="Why, as a sentence for people.")
    last_transition_time: AwareDatetime = Field(description="When the status last changed.")
    observed_generation: int = Field(default=0, description="The metadata.generation that this was found for.")


class Respondents(Shape):
    """Who may answer: at least one user or group. Absent: all who may answer in the namespace, or have a link."""

    users: list[Person] = Field(
        default_factory=list,
        max_length=MAX_RESPONDENTS,
        description="User names, as the API server or the proxy knows them; at least one, or no `users` at all.",
    )
    groups: list[Person] = Field(
        default_factory=list,
        max_length=MAX_RESPONDENTS,
        description="Groups, any member of which may answer; at least one, or no `groups` at all.",
    )


class ApprovalGroup(Shape):
    """How many of those who agree must be of a group. Each person counts for one group."""

    name: Person = Field(description="The group, as the API server or the proxy knows it.")
    required: int = Field(ge=1, le=MAX_REQUIRED, description="How many people of it must agree.")


class ShownApproval(Shape):
    """Who must agree: several people, who give the same answer. Each votes by a HumanInputResponse or in the web
    app. Absent: one person decides."""

    # A rule that is not known, such as a misspelt one, is kept: `hitl.core.approval.Approval` refuses it.
    model_config = ConfigDict(extra="allow")

    required_responses: int = Field(
        ge=1, le=MAX_REQUIRED, description="How many people must give the same answer. Each person counts once."
    )
    groups: list[ApprovalGroup] = Field(
        default_factory=list, max_length=MAX_GROUPS, description="How many of them must be of which group."
    )
    rejections: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUIRED,
        description="How many people must decline, so that the question is rejected. Absent: 1.",
    )
    exclude_requester: bool = Field(default=False, description="true: the requester may not vote.")
    comment_required: CommentRequired | None = Field(
        default=None,
        description="Who must write a comment: Never nobody, OnReject who declines, Always everybody. Absent: "
        "Never.",
    )
    allow_links: bool = Field(
        default=False,
        description="true: votes count whose sender is not verified, one for each link. For people who trust each "
        "other.",
    )


class Requester(Shape):
    """The user that the question is asked for: who created the HumanInput, stamped at admission, or the
    one that the program named. Only with an approval."""

    username: Person = Field(description="The user's name.")


class PolicyRef(Shape):
    """A HumanInputPolicy in the same namespace."""

    name: str = Field(min_length=1, max_length=253, description="The name of the HumanInputPolicy.")


class AppliedPolicy(Shape):
    """The policy that was copied when the question was asked. Later changes of it change nothing here."""

    name: str | None = Field(
        default=None, max_length=253, description="The HumanInputPolicy; absent: the default of the cluster."
    )
    generation: int | None = Field(
        default=None, description="The metadata.generation that it had; absent: the default of the cluster."
    )
    approval_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        max_length=64,
        description="A digest of who must agree, as it was copied: the question in storage must still say so. It "
        "never changes.",
    )


class Agreement(Shape):
    """How far the votes are, where several people must agree."""

    requires: str | None = Field(
        default=None, max_length=8_192, description="Who must agree, as the question says, as a sentence."
    )
    progress: str = Field(max_length=16, description="How many people agree, of how many, such as 1/2.")
    needed: str | None = Field(
        default=None,
        max_length=8_192,
        description="Who is still needed, such as 1 more of sre; absent once there is an outcome.",
    )
    agreed: list[Annotated[str, Field(max_length=512)]] | None = Field(
        default=None,
        max_length=MAX_REQUIRED,
        description="Who gave the answer that needs the fewest further votes; absent: nobody.",
    )
    declined: list[Annotated[str, Field(max_length=512)]] | None = Field(
        default=None, max_length=MAX_REQUIRED, description="Who declined; absent: nobody."
    )


class ShownEvidence(Shape):
    """What helps to decide: a link, or the name, the size and the digest of what lies in storage."""

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS, description="What people read above it.")
    kind: EvidenceKind | None = Field(default=None, description="How the form shows it. Absent: link.")
    media_type: str | None = Field(
        default=None, max_length=MAX_NAME_CHARS, description="What its bytes are; absent for a link."
    )
    size_bytes: int | None = Field(
        default=None, ge=0, description="How many bytes it has in storage; absent for a link."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        max_length=64,
        description="The SHA-256 of its bytes, by which they lie in storage; absent for a link.",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        max_length=MAX_URL_CHARS,
        description="Where a link leads: http or https. HITL never reads what is there.",
    )
    alt: str | None = Field(default=None, max_length=MAX_ALT_CHARS, description="What an image shows, in words.")


class Edit(Shape):
    """One part of the proposed value that the answer has otherwise."""

    path: str = Field(
        max_length=MAX_EDIT_PATH_CHARS,
        description="Which part, as a JSON Pointer such as /replicas; empty for the whole value.",
    )
    proposed: str | None = Field(
        default=None,
        max_length=256,
        description="What was proposed there, as JSON, cut where it is long; absent for a part that was added.",
    )
    answered: str | None = Field(
        default=None,
        max_length=256,
        description="What was answered, as JSON, cut where it is long; absent for a part that was left out.",
    )


class Identity(Shape):
    """The user at the API server who made the response. Stamped at admission; what a client writes is
    replaced."""

    username: str = Field(default="", max_length=256, description="The user's name.")
    groups: list[Annotated[str, Field(max_length=256)]] = Field(
        default_factory=list, max_length=256, description="The user's groups."
    )


class RequestRef(Shape):
    """The request in storage that this HumanInput shows."""

    id: str = Field(pattern=REQUEST_ID_PATTERN, max_length=63, description="The request's id.")
