"""Every conversion between a HumanInput and what lies in storage: question, submission, outcome.

Pure. What goes one way and back is the same: tests/library/test_mapping.py tries it on generated ones.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from hitl.cluster.agreeing import approval_of, approval_shown, requester_of
from hitl.cluster.beside import evidence_of, fitting, shown_evidence
from hitl.cluster.conditions import HumanInputCondition
from hitl.cluster.human_input_response import HumanInputResponse
from hitl.cluster.shapes import Identity, Metadata, RequestRef
from hitl.cluster.shapes import Respondents as ShownRespondents
from hitl.cluster.times import hours_in, reminders_shown, steps_in, steps_shown
from hitl.cluster.v1alpha1 import (
    GROUP,
    MAX_SCHEMA_LEVELS,
    TOO_DEEP,
    TOO_LARGE,
    HumanInput,
    HumanInputSpec,
    OnTimeout,
)
from hitl.cluster.via import commit_of, via_of
from hitl.core.asked import OnTimeout as StoredOnTimeout
from hitl.core.documents import (
    CopiedPolicy,
    Origin,
    OutcomeDocument,
    OutcomeKind,
    RequestDocument,
    Respondent,
    Via,
)
from hitl.core.faults import sentence
from hitl.core.lifecycle import Phase, phase_of
from hitl.core.limits import MAX_NAME_CHARS, MAX_SCHEMA_CHARS
from hitl.core.question import Question
from hitl.core.respondents import Respondents
from hitl.core.values import Value, parse_text
from hitl.errors import InvalidRequest, InvalidValue

_SHOWN_AT_TIMEOUT: Final[dict[StoredOnTimeout, OnTimeout]] = {"fail": "Fail", "default": "UseDefault"}
_STORED_AT_TIMEOUT: Final = {shown: stored for stored, shown in _SHOWN_AT_TIMEOUT.items()}
_OUTCOMES: Final[dict[Phase, OutcomeKind]] = {
    "Answered": "answered",
    "Rejected": "rejected",
    "TimedOut": "timed_out",
    "Cancelled": "cancelled",
}
# Annotations of a HumanInput that shows a question of storage: where that came from.
_EVENT: Final = f"{GROUP}/event"
_ORIGIN: Final = ("org", "project", "domain", "run", "action")


class Given(NamedTuple):
    """A response in Kubernetes, as a submission to storage takes it."""

    outcome: OutcomeKind
    respondent: Respondent
    value: str | None
    comment: str
    submission_id: str


def question_of(human_input: HumanInput) -> Question:
    """Return the question that a HumanInput asks, but for what its policy says.

    Raises:
        InvalidRequest: when it cannot be asked like this.
    """
    spec = human_input.spec
    approval = approval_of(spec)
    if spec.json_schema == TOO_DEEP:
        raise InvalidRequest(f"schema: it is nested too deeply: at most {MAX_SCHEMA_LEVELS} levels are allowed")
    if spec.json_schema == TOO_LARGE:
        raise InvalidRequest(f"schema: it is too large: at most {MAX_SCHEMA_CHARS:,} characters are allowed")
    return Question.of(
        event_name_of(human_input),
        spec.data_type,
        spec.prompt,
        timeout_seconds=spec.timeout_seconds,
        choices=_choices_of(spec),
        default=_value_in(spec, "default", spec.default),
        on_timeout=on_timeout_of(spec),
        schema=spec.json_schema,
        respondents=respondents_of(spec) if spec.respondents else None,
        prompt_format=spec.prompt_format or "markdown",
        proposed=_value_in(spec, "proposed", spec.proposed),
        evidence=evidence_of(spec),
        refused=spec.refused,
        approval=approval,
        # Where one person decides, the one who asks may answer: what admission stamped says nothing.
        requester=requester_of(spec) if approval else "",
        escalate=steps_in(spec.escalation),
        reminders=None if spec.reminders is None else spec.reminders.before_deadline_seconds,
        business_hours=hours_in(spec.reminders),
    )


def origin_of(human_input: HumanInput, policy: CopiedPolicy | None = None) -> Origin:
    """Return what the question of a HumanInput that asks says of where it came from, and its policy."""
    metadata = human_input.metadata
    return Origin(namespace=metadata.namespace, human_input=metadata.name, policy=policy)


def shown_origin_of(human_input: HumanInput) -> Origin:
    """Return where a question came from: of one that was asked through storage, as the annotations say."""
    if human_input.spec.request is None:
        return origin_of(human_input)
    given = {name: human_input.metadata.annotations.get(f"{GROUP}/{name}", "") for name in _ORIGIN}
    return Origin(namespace=human_input.metadata.namespace, **given)


def event_name_of(human_input: HumanInput) -> str:
    """Return the name that the author gave. A HumanInput that asks has its own."""
    metadata = human_input.metadata
    name = metadata.annotations.get(_EVENT, metadata.name) if human_input.spec.request else metadata.name
    return name[:MAX_NAME_CHARS]


def on_timeout_of(spec: HumanInputSpec) -> StoredOnTimeout:
    """Return what the deadline does, in the words of storage."""
    return _STORED_AT_TIMEOUT[spec.at_deadline()]


def respondents_of(spec: HumanInputSpec) -> Respondents:
    """Return who may answer."""
    named = spec.respondents
    return Respondents(users=named.users, groups=named.groups) if named else Respondents()


def human_input_of(request: RequestDocument, ttl_seconds: int) -> HumanInput:
    """Return the HumanInput that shows a question of storage.

    Args:
        request: The question.
        ttl_seconds: Seconds after its outcome when the HumanInput is to be deleted.
    """
    origin, named = request.origin, request.respondents
    seconds = math.ceil((request.expires_at - request.created_at).total_seconds())
    approval, requester = approval_shown(request)
    annotations = {_EVENT: request.event_name}
    annotations |= {f"{GROUP}/{name}": text for name in _ORIGIN if (text := getattr(origin, name))}
    whole = HumanInput(
        metadata=Metadata(name=request.request_id, namespace=origin.namespace, annotations=annotations),
        spec=HumanInputSpec(
            prompt=request.prompt,
            prompt_format=None if request.prompt_format == "markdown" else request.prompt_format,
            data_type=request.data_type,
            timeout_seconds=max(1, seconds),
            on_timeout=_SHOWN_AT_TIMEOUT[request.on_timeout],
            default=request.default,
            choices=request.choices,
            choice_labels=request.choice_labels,
            proposed=request.proposed,
            evidence=[shown_evidence(each) for each in request.evidence],
            refused=request.refused,
            json_schema=request.json_schema,
            respondents=ShownRespondents(users=named.users, groups=named.groups) if named else None,
            approval=approval,
            requester=requester,
            escalation=steps_shown(request.escalation),
            reminders=reminders_shown(request.reminders),
            ttl_seconds_after_finished=ttl_seconds,
            request=RequestRef(id=request.request_id),
        ),
    )
    return fitting(whole)


def outcome_shown(outcome: OutcomeDocument | None) -> dict[str, Any]:
    """Return the fields of a status that an outcome fills in; those of a pending one without an outcome."""
    if outcome is None:
        return {"phase": phase_of(None)}
    respondent = outcome.respondent
    return {
        "phase": phase_of(outcome),
        "value": outcome.value_text(),
        "answered_by": respondent.name or None,
        "on_behalf_of": respondent.on_behalf_of or None,
        "answered_via": respondent.via,
        "verified": respondent.verified,
        "answered_at": whole_second(outcome.answered_at),
        "comment": outcome.comment or None,
        "commit": respondent.commit or None,
    }


def value_of(human_input: HumanInput) -> Value:
    """Return the answer that a status shows, typed; None where there is none.

    Raises:
        InvalidValue: when it is not of the question's type, so that it was not the operator who wrote it.
    """
    text = human_input.status.value
    return None if text is None else parse_text(human_input.spec.data_type, text, empty=True)


def outcome_of(human_input: HumanInput, request: RequestDocument, request_sha256: str) -> OutcomeDocument:
    """Return the outcome that a status shows, as storage had it.

    A status holds no link, no groups and no submission id, and whole seconds only.

    Args:
        human_input: One that is settled.
        request: Its question.
        request_sha256: The digest of the very bytes of that question.

    Raises:
        InvalidRequest: when the status shows no outcome, as when somebody else wrote it.
        InvalidValue: when its value is not of the question's type.
    """
    status, settled = human_input.status, human_input.status.condition(HumanInputCondition.SETTLED)
    kind = _OUTCOMES.get(status.phase) if status.phase else None
    if kind is None or status.answered_at is None or settled is None:
        raise InvalidRequest(f"HumanInput {human_input.metadata.name} shows no outcome")
    via: Any = status.answered_via
    try:
        return OutcomeDocument(
            request_id=request.request_id,
            data_type=request.data_type,
            status="completed" if kind == "answered" else kind,
            value=value_of(human_input),
            outcome=kind,
            reason=settled.reason,
            submission_id=f"shown-{human_input.metadata.uid}",
            answered_at=status.answered_at,
            respondent=Respondent(
                name=status.answered_by or "",
                on_behalf_of=status.on_behalf_of or "",
                via=via,
                verified=bool(status.verified),
                commit=status.commit or "",
            ),
            comment=status.comment or "",
            request_sha256=request_sha256,
            expires_at=request.expires_at,
        )
    except ValidationError as error:
        raise InvalidRequest(f"what the status shows is no outcome: {sentence(error)}") from error


def given_by(human_input: HumanInput, *, believed: bool) -> Given | None:
    """Return what `spec.response` submits, if there is one.

    Args:
        human_input: The HumanInput.
        believed: Whether admission stamps `respondent`.
    """
    response = human_input.spec.response
    if response is None:
        return None
    content = (response.value, response.reject, response.comment)
    return _given(human_input.metadata, "response", content, response.respondent, believed)


def given_in(response: HumanInputResponse, *, believed: bool) -> Given:
    """Return what a HumanInputResponse submits.

    Args:
        response: The response.
        believed: Whether admission stamps `respondent`.
    """
    spec = response.spec
    content = (spec.value, spec.reject, spec.comment)
    return _given(response.metadata, "requestRef", content, spec.respondent, believed)


def whole_second(moment: datetime) -> datetime:
    """Return a moment as the API server's own times have it: in UTC, without a fraction of a second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _value_in(spec: HumanInputSpec, field: str, text: str | None) -> Value:
    # Typed: a question takes the text of a JSON value for a string.
    if text is None:
        return None
    try:
        value = parse_text(spec.data_type, text, empty=field == "default")
    except InvalidValue as error:
        raise InvalidRequest(f"{field}: {error}") from error
    if value is None:
        raise InvalidRequest(f"{field}: null says that there is none: leave it out")
    return value


def _choices_of(spec: HumanInputSpec) -> list[str] | dict[str, str] | None:
    if unknown := spec.choice_labels.keys() - set(spec.choices):
        raise InvalidRequest(f"choiceLabels: {min(unknown)!r} is none of the choices")
    if spec.choice_labels:
        return {each: spec.choice_labels.get(each, each) for each in spec.choices}
    return spec.choices or None


def _given(
    metadata: Metadata,
    field: str,
    content: tuple[str | None, bool, str],
    identity: Identity | None,
    believed: bool,
) -> Given:
    value, reject, comment = content
    who = identity or Identity()
    via: Via = via_of(metadata.managed_fields, field)
    # The same for the same content, however often it is read.
    digest = hashlib.sha256(repr((metadata.uid, *content)).encode("utf-8", "surrogatepass")).hexdigest()
    return Given(
        outcome="rejected" if reject else "answered",
        respondent=Respondent(
            name=who.username,
            groups=list(who.groups),
            via=via,
            verified=believed and bool(who.username),
            commit=commit_of(metadata, field),
        ),
        value=None if reject else value,
        comment=comment,
        submission_id=digest[:32],
    )
