"""A question as every command shows it, wherever it was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from hitl.core.approval import Approval, policy_sentence
from hitl.core.asked import OnTimeout
from hitl.core.delegation import Handed
from hitl.core.documents import OutcomeDocument, RequestDocument, joined, named_as
from hitl.core.escalation import steps_of
from hitl.core.evidence import Evidence
from hitl.core.lifecycle import Phase, phase_of
from hitl.core.reminders import Reminders, reminded_at
from hitl.core.respondents import Respondents
from hitl.core.tally import Standing
from hitl.core.urls import form_url
from hitl.core.values import DataType, Value, format_value
from hitl.serving.programs import has_ended
from hitl_webapp.inbox.rows import AskedBy, asked_by


class EditView(BaseModel):
    """One part of the proposed value that the answer has otherwise."""

    path: str
    """Which part, as a JSON Pointer such as `/replicas`; empty for the whole value."""
    proposed: str | None
    """What was proposed there, as JSON, cut where it is long; null for a part that was added."""
    answered: str | None
    """What was answered there, as JSON, cut where it is long; null for a part that was left out."""


class EscalationView(BaseModel):
    """From when on others may answer as well."""

    at: AwareDatetime
    respondents: Respondents


class VoteView(BaseModel):
    """One vote, where several people must agree."""

    by: str
    """Whose it is, or empty."""
    verified: bool
    """Whether a proxy, the API server or Slack has authenticated the name."""
    via: str
    """Over which channel."""
    voted_at: AwareDatetime
    """When it was cast."""
    comment: str
    """What was written with it, or empty."""
    on_behalf_of: str = ""
    """Who handed the question over to them, or empty."""
    answer: str | None = None
    """What it says, as text, or null: it declines."""

    def voter(self) -> str:
        """Return whose it is, as people should read it: an unverified name says so."""
        return named_as(self.by, self.verified, self.on_behalf_of)


class HandedView(BaseModel):
    """That somebody handed the question over to somebody else."""

    by: str
    """Who did."""
    to: str
    """Who answers on their behalf."""
    used: bool
    """Whether that person has acted on it, so that it cannot be taken back any more."""


class RequestView(BaseModel):
    """One question and its outcome. `--json` prints these fields, all of them, always."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """What the commands take."""
    request_id: str
    """The id in storage."""
    namespace: str
    """The Kubernetes namespace, or empty."""
    project: str = ""
    """The project that asked, or empty."""
    run: str = ""
    """The run that asked, or empty."""
    asked_by: AskedBy = "program"
    """What asked: a workflow's `run`, a `humaninput`, or another `program`."""
    event_name: str
    """The name that the author gave."""
    prompt: str
    """The question, in Markdown."""
    data_type: DataType
    """`int`, `float`, `bool`, `str` or `json`."""
    choices: list[str]
    """What may be answered, as text; empty: anything that fits."""
    choice_labels: dict[str, str] = {}
    """What people read instead of a choice, by the choice."""
    default: str | None
    """The default, as text, or null."""
    proposed: str | None = None
    """What the form holds at first, as text, or null."""
    evidence: list[Evidence] = []
    """What helps to decide: `name`, `kind`, `media_type`, `size_bytes`, `sha256`, `url` and `alt` of each."""
    refused: list[str] = []
    """What the program said of the answer before, which it could not use; empty unless it asks again."""
    on_timeout: OnTimeout
    """`fail` or `default`."""
    schema_: dict[str, JsonValue] | None = Field(serialization_alias="schema")
    """The JSON Schema that answers must fit, or null."""
    respondents: Respondents
    """Who may answer: `users` and `groups`."""
    escalation: list[EscalationView] = []
    """Who may answer later as well: `at` and `respondents` of each step. Nobody named: its HumanInputPolicy
    names them."""
    approval: Approval | None = None
    """Who must agree (`requiredResponses`, `groups`, …), or null: one person decides, or a policy says it."""
    requires: str = ""
    """Who must agree, as sentences, or empty: one person decides."""
    agree: str = ""
    """How many people agree, of how many, such as `1/2`, or empty."""
    requester: str = ""
    """The user it is asked for, or empty."""
    standing: str = ""
    """How far the votes are, as sentences; empty once there is an outcome."""
    votes: list[VoteView] = []
    """The votes that count, or that the outcome rests on: `by`, `verified`, `via`, `voted_at`, `comment`,
    `on_behalf_of` and `answer` (as text; null: declined)."""
    handed_over: list[HandedView] = []
    """Who handed it over, while it waits in storage: `by`, `to` and `used` (that person has acted on it)."""
    reminded_at: list[AwareDatetime] = []
    """When people are reminded, if the question says so itself."""
    created_at: AwareDatetime
    """When it was asked."""
    expires_at: AwareDatetime
    """The deadline."""
    form_url: str = ""
    """Where the form is, without the token of a link, or empty."""
    link_secret: str = ""
    """The Kubernetes Secret that holds a link to the form, or empty."""
    phase: Phase
    """`Pending`, `Answered`, `Rejected`, `TimedOut` or `Cancelled`."""
    value: JsonValue = None
    """The answer, typed; null unless answered."""
    by: str = ""
    """Who made the submission that became the outcome, or empty."""
    on_behalf_of: str = ""
    """Who handed the question over to them, or empty."""
    via: str = ""
    """Over which channel, or empty."""
    commit: str = ""
    """The commit that it came from, or empty."""
    verified: bool = False
    """Whether a proxy, the API server or Slack has authenticated the name."""
    settled_at: AwareDatetime | None = None
    """When the outcome was recorded, or null."""
    reason: str = ""
    """One word on how it came to the outcome, or empty."""
    comment: str = ""
    """What the respondent wrote with it, or empty."""
    default_used: bool = False
    """Whether nobody answered, so that the value is the default."""
    edited: list[EditView] | None = None
    """What the answer changed of `proposed`: `path`, `proposed` and `answered` of each; null without either."""
    edits_left_out: int = 0
    """How many changes are not in `edited`, as the HumanInput has no room for them."""
    left_out: list[str] = []
    """What of the question the HumanInput has no room for: the form shows it."""
    asker_ended: bool = False
    """Whether it is pending, and the program of this machine that asked has ended: nobody waits for the answer."""

    def value_text(self) -> str:
        """Return the answer as its canonical text, or nothing when there is none."""
        return format_value(self.data_type, self.value) if self.phase == "Answered" else ""

    def respondent(self) -> str:
        """Return who answered, as people should read it, of several each: an unverified name says so."""
        if self.phase != "Pending" and len(self.votes) > 1:
            return joined([each.voter() for each in self.votes])
        return named_as(self.by, self.verified, self.on_behalf_of) if self.by else ""


def view_of(
    request: RequestDocument,
    outcome: OutcomeDocument | None,
    standing: Standing | None = None,
    handed: Sequence[Handed] = (),
) -> RequestView:
    """Return a stored question as the commands show it.

    Args:
        request: The question.
        outcome: Its outcome, if it has one.
        standing: How far the votes are, where several people must agree.
        handed: Who handed it over, while it has no outcome.
    """
    return RequestView.model_validate(
        {
            "id": request.request_id,
            "request_id": request.request_id,
            "namespace": request.origin.namespace,
            "project": request.origin.project,
            "run": request.origin.run,
            "asked_by": asked_by(request.origin),
            "event_name": request.event_name,
            "prompt": request.prompt,
            "data_type": request.data_type,
            "choices": request.choices,
            "choice_labels": request.choice_labels,
            "default": request.default,
            "proposed": request.proposed,
            "evidence": request.evidence,
            "refused": request.refused,
            "on_timeout": request.on_timeout,
            "schema_": request.json_schema,
            "respondents": request.respondents,
            "escalation": [EscalationView(at=at, respondents=step.respondents) for at, step in steps_of(request)],
            "approval": request.approval,
            "requires": "" if request.approval is None else policy_sentence(request.approval),
            "agree": "" if outcome is not None or standing is None else standing.progress(),
            "requester": request.requester,
            "standing": "" if outcome is not None or standing is None else standing.sentence(),
            "votes": _votes(outcome, standing),
            "handed_over": list(map(_handed_over, handed)),
            "reminded_at": reminders_of(request.reminders, request.created_at, request.expires_at),
            "created_at": request.created_at,
            "expires_at": request.expires_at,
            "form_url": form_url(request.app_endpoint, request.request_id) if request.app_endpoint else "",
            "phase": phase_of(outcome),
            "asker_ended": outcome is None and has_ended(request.origin.program),
            "edited": _edited(request, outcome),
            **({} if outcome is None else _ended(outcome)),
        }
    )


def _ended(outcome: OutcomeDocument) -> dict[str, Value]:
    return {
        "value": outcome.value,
        "by": outcome.respondent.name,
        "on_behalf_of": outcome.respondent.on_behalf_of,
        "via": outcome.respondent.via,
        "commit": outcome.respondent.commit,
        "verified": outcome.respondent.verified,
        "settled_at": outcome.answered_at.isoformat(),
        "reason": outcome.reason,
        "comment": outcome.comment,
        "default_used": outcome.default_used,
    }


def _handed_over(each: Handed) -> HandedView:
    return HandedView(by=each.delegation.respondent.name, to=each.delegation.to, used=each.used)


def reminders_of(
    asked: Reminders | None, created_at: datetime | None, expires_at: datetime | None
) -> list[datetime]:
    """Return when people are reminded, as far as a question says it itself; None: it is not known."""
    if created_at is None or expires_at is None:
        return []
    found = reminded_at(asked, (), created_at, expires_at)
    # Of several that business hours move to one moment, one is sent.
    return sorted({at for at, _ in found})


def _votes(outcome: OutcomeDocument | None, standing: Standing | None) -> list[VoteView]:
    if outcome is not None:
        # An outcome rests on votes that all say what it says.
        agreed = outcome.value_text()
        return [
            VoteView(
                by=each.name,
                verified=each.verified,
                via=each.via,
                voted_at=each.voted_at,
                comment=each.comment,
                on_behalf_of=each.on_behalf_of,
                answer=agreed,
            )
            for each in outcome.votes
        ]
    return [
        VoteView(
            by=each.respondent.name,
            verified=each.respondent.verified,
            via=each.respondent.via,
            voted_at=each.voted_at,
            comment=each.comment,
            on_behalf_of=each.respondent.on_behalf_of,
            answer=each.value_text(),
        )
        for each in (standing.counted if standing is not None else ())
    ]


def _edited(request: RequestDocument, outcome: OutcomeDocument | None) -> list[EditView] | None:
    """Return what an answer changed; None where nothing was proposed, or nobody answered."""
    if outcome is None or request.proposed is None:
        return None
    # Loaded where something was proposed: most commands show nothing of it.
    from hitl.core.edits import edits_of

    found = edits_of(request, outcome)
    if found is None:
        return None
    return [
        EditView(path=change.place, proposed=proposed, answered=answered)
        for change in found
        for proposed, answered in [change.texts()]
    ]
