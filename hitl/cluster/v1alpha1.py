"""HumanInput, version v1alpha1: what the API server holds, as pydantic models.

The descriptions here are what ``kubectl explain`` shows. `tools.crd.generate` makes the custom resource
definitions from them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AwareDatetime, BeforeValidator, Field, JsonValue, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from hitl.cluster.shapes import (
    Agreement,
    AppliedPolicy,
    Condition,
    Edit,
    Identity,
    Metadata,
    PolicyRef,
    Requester,
    RequestRef,
    Respondents,
    Shape,
    ShownApproval,
    ShownEvidence,
)
from hitl.cluster.times import EscalationStep, ShownReminders
from hitl.core.asked import PromptFormat
from hitl.core.escalation import MAX_STEPS
from hitl.core.evidence import MAX_EVIDENCE
from hitl.core.faults import sentence
from hitl.core.lifecycle import Phase
from hitl.core.limits import (
    MAX_CHOICE_CHARS,
    MAX_CHOICES,
    MAX_COMMENT_CHARS,
    MAX_PROMPT_CHARS,
    MAX_SCHEMA_CHARS,
    MAX_TIMEOUT_SECONDS,
)
from hitl.core.strictjson import check_depth
from hitl.core.values import MAX_VALUE_CHARS, DataType
from hitl.errors import InvalidRequest, InvalidValue

GROUP: Final = "hitl.flyte.org"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
OPERATOR_MANAGER: Final = "hitl-operator"
STATUS_MANAGER: Final = "hitl-operator-status"
CLI_MANAGER: Final = "hitl"
COMMIT_ANNOTATION: Final = f"{GROUP}/commit"
MISSING_OUTCOME_ANNOTATION: Final = f"{GROUP}/missing-outcome"
LEFT_OUT_ANNOTATION: Final = f"{GROUP}/left-out"
MAX_EDITS: Final = 32
MAX_SCHEMA_LEVELS: Final = 200
TOO_DEEP: Final[dict[str, JsonValue]] = {"$schema": "nested too deeply"}
"""What replaces a schema of more levels, so that its HumanInput can be read. No question is asked with it."""
TOO_LARGE: Final[dict[str, JsonValue]] = {"$schema": "too large"}
"""What replaces a schema that no question may have, as 1 MiB of JSON may take 28 of memory."""

OnTimeout: TypeAlias = Literal["Fail", "UseDefault"]

_Choice: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARS)]
ValueText: TypeAlias = Annotated[str, Field(max_length=MAX_VALUE_CHARS)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=253)]


def _readable(schema: Any) -> Any:
    try:
        check_depth(schema, MAX_SCHEMA_LEVELS)
    except InvalidValue:
        return dict(TOO_DEEP)
    # What cannot be written is refused later. As questions count, it is never less.
    with suppress(PydanticSerializationError):
        if len(to_json(schema)) > MAX_SCHEMA_CHARS:
            return dict(TOO_LARGE)
    return schema


_JsonSchema: TypeAlias = Annotated[dict[str, JsonValue], BeforeValidator(_readable)]


class Response(Shape):
    """An answer or a rejection. Once given it does not change."""

    value: ValueText | None = Field(
        default=None,
        description='The answer, always as a string: "42", "4.5", "true", "some text", "{\\"a\\": 1}".',
    )
    reject: bool = Field(default=False, description="true refuses to answer; then there is no value.")
    comment: str = Field(
        default="", max_length=MAX_COMMENT_CHARS, description="A remark that is recorded with it."
    )
    respondent: Identity | None = Field(default=None, description="Who responds. Stamped at admission.")


class HumanInputSpec(Shape):
    """A question for people. Everything but `response` stays as it was asked."""

    prompt: str = Field(
        min_length=1, max_length=MAX_PROMPT_CHARS, description="The question, in Markdown, as the form shows it."
    )
    prompt_format: PromptFormat | None = Field(
        default=None, description="markdown, or plain for a prompt that is shown as it is. Absent: markdown."
    )
    data_type: DataType = Field(description="What kind of value answers it: int, float, bool, str or json.")
    timeout_seconds: int = Field(
        default=3600, ge=1, le=MAX_TIMEOUT_SECONDS, description="Seconds from creation to the deadline."
    )
    on_timeout: OnTimeout | None = Field(
        default=None,
        description="At the deadline: UseDefault answers with `default`, Fail ends in TimedOut, even if there is "
        "one. Absent: UseDefault where there is a default, else Fail.",
    )
    default: ValueText | None = Field(
        default=None, description="The answer that is recorded at the deadline when nobody gave one, as a string."
    )
    choices: list[_Choice] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description="The only values that may be answered; for int, float and str.",
    )
    choice_labels: dict[str, _Choice] = Field(
        default_factory=dict,
        max_length=MAX_CHOICES,
        description="What people read instead of a choice, by the choice.",
    )
    proposed: ValueText | None = Field(
        default=None,
        description="What the form holds at first, as a string. `status.edited` tells what the answer changed.",
    )
    evidence: list[ShownEvidence] = Field(
        default_factory=list,
        max_length=MAX_EVIDENCE,
        description="What helps to decide, beside the question. Of a question that is asked here: links only.",
    )
    refused: list[Annotated[str, Field(max_length=MAX_COMMENT_CHARS)]] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description="What the program said of the answer before this question, which it could not use.",
    )
    json_schema: _JsonSchema | None = Field(
        default=None,
        alias="schema",
        description="A JSON Schema (draft 2020-12) that the answer must fit, "
        f"of at most {MAX_SCHEMA_LEVELS} levels.",
    )
    respondents: Respondents | None = Field(
        default=None,
        description="Who may answer: at least one user or group. Absent: everyone who may answer in the "
        "namespace, or has a link.",
    )
    approval: ShownApproval | None = Field(
        default=None,
        description="Who must agree: several people, who vote by HumanInputResponses or in the web app. Absent: "
        "one person decides.",
    )
    policy_ref: PolicyRef | None = Field(
        default=None,
        description="The HumanInputPolicy that stands for `approval`, `escalation` and `reminders`. It is copied "
        "when the question is asked.",
    )
    requester: Requester | None = Field(
        default=None,
        description="The user that the question is asked for, where several people must agree. Stamped at "
        "admission: who creates the HumanInput.",
    )
    escalation: list[EscalationStep] = Field(
        default=[],
        max_length=MAX_STEPS,
        description="From when on others may answer as well as the respondents, the earliest first.",
    )
    reminders: ShownReminders | None = Field(
        default=None, description="When people are reminded. Absent: as the settings of who tells say."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="Seconds after the outcome when this HumanInput is deleted; absent: never. The outcome in "
        "storage stays.",
    )
    request: RequestRef | None = Field(
        default=None,
        description="Set by the operator alone, for a question that was asked through storage. Absent: it was "
        "asked here.",
    )
    response: Response | None = Field(
        default=None, description="The response: kubectl and GitOps tools write here."
    )

    def at_deadline(self) -> OnTimeout:
        """Return what the deadline does: what is said, else the default where there is one."""
        if self.on_timeout is not None:
            return self.on_timeout
        return "Fail" if self.default is None else "UseDefault"


class HumanInputStatus(Shape):
    """The outcome of the question, copied from storage, which alone decides."""

    phase: Phase | None = Field(
        default=None, description="Pending, Answered, Rejected, TimedOut or Cancelled; all but Pending are final."
    )
    value: ValueText | None = Field(default=None, description="The recorded answer, in its canonical form.")
    answered_by: str | None = Field(default=None, max_length=256, description="Who made the recorded submission.")
    on_behalf_of: str | None = Field(
        default=None, max_length=256, description="Who handed the question over to them; absent: nobody."
    )
    answered_via: str | None = Field(
        default=None,
        max_length=32,
        description="Over which channel: web, api, cli, kubectl, gitops, slack, timeout, operator or program.",
    )
    verified: bool | None = Field(
        default=None, description="Whether a proxy, the API server or Slack has authenticated the respondent."
    )
    commit: str | None = Field(
        default=None, max_length=256, description="The commit that the submission came from, if it says so."
    )
    answered_at: AwareDatetime | None = Field(default=None, description="When the outcome was recorded.")
    comment: str | None = Field(
        default=None, max_length=MAX_COMMENT_CHARS, description="The remark that came with the submission."
    )
    edited: list[Edit] | None = Field(
        default=None,
        max_length=MAX_EDITS,
        description="What the answer changed of `spec.proposed`; empty: nothing. Absent: nothing was proposed, or "
        "nobody answered.",
    )
    edits_left_out: int | None = Field(
        default=None, description="How many changes are not in `edited`, as it would be too long; absent: none."
    )
    approval: Agreement | None = Field(
        default=None, description="How far the votes are; absent where one person decides."
    )
    policy: AppliedPolicy | None = Field(
        default=None, description="Which policy was copied when the question was asked; absent: none."
    )
    form_url: str | None = Field(
        default=None,
        alias="formURL",
        max_length=2048,
        description="Where the form is. It carries no token: reading this grants no right to answer.",
    )
    link_secret: str | None = Field(
        default=None,
        max_length=253,
        description="The Secret with a link to the form, where links grant the right to answer.",
    )
    request_id: str | None = Field(
        default=None, alias="requestID", max_length=63, description="The id of the request in storage."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="The deadline.")
    escalates_at: list[AwareDatetime] | None = Field(
        default=None,
        max_length=MAX_STEPS,
        description="From when on those of each step of `spec.escalation` may answer; absent: nobody is added.",
    )
    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status was found for; -1 before the operator has seen it.",
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Settled, Answered, Ready, Reconciling, Stalled, ResponseRefused, LinkIssued, OutcomeMissing, "
        "QuorumUnreachable, Told.",
    )

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of a type, if there is one."""
        # Asked some twenty times for each look: a generator would cost more than the comparisons.
        for each in self.conditions:
            if each.type == kind:
                return each
        return None


class KubernetesObject(Shape):
    """What all kinds share: metadata, and how they are read and written."""

    metadata: Metadata

    @classmethod
    def from_object(cls, content: dict[str, Any]) -> Self:
        """Read an object as the API server holds it.

        Raises:
            InvalidRequest: when it is not one, as when a newer version wrote it.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InvalidRequest(sentence(error)) from error

    def to_object(self) -> dict[str, Any]:
        """Return the object as the API server takes it."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        return {"apiVersion": API_VERSION, "kind": type(self).__name__, **content}


class HumanInput(KubernetesObject):
    """A question that automation asks and a person answers."""

    spec: HumanInputSpec
    status: HumanInputStatus = HumanInputStatus()

    @property
    def request_id(self) -> str:
        """The id of the request in storage: the one it was made for, or its own uid."""
        return self.spec.request.id if self.spec.request else self.metadata.uid
