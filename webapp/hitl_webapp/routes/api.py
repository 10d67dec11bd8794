"""The JSON API, compatible with the old plugin's."""

import re
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_json
from starlette.datastructures import Headers

from hitl.core.documents import Respondent
from hitl.core.lifecycle import phase_of
from hitl.core.submissions import HITLSubmissionTyped, split_token
from hitl.core.tally import Standing
from hitl.core.votes import voter_of
from hitl.records.submissions import Settled, Submission, new_submission_id
from hitl_webapp.admission import Address, Admitted
from hitl_webapp.auth import bearer
from hitl_webapp.bodies import read_document
from hitl_webapp.edited import public_changes
from hitl_webapp.problems import BadInput, public_outcome, public_standing
from hitl_webapp.routes.beside_form import require_withdrawable
from hitl_webapp.routes.common import check_path, check_request_path, service_of
from hitl_webapp.sentences import vote_note
from hitl_webapp.service import Service


class Submitted(BaseModel):
    """What was recorded."""

    model_config = ConfigDict(defer_build=True)

    status: str = Field(
        default="submitted",
        description="`submitted`; `voted` for a vote that waits for others; `withdrawn`; or `delegated`",
    )
    request_id: str
    value: JsonValue
    data_type: str
    message: str
    outcome: dict[str, Any] | None = Field(description="The whole record; null for a vote that waits for others")
    approval: dict[str, Any] | None = Field(default=None, description="How far the votes are, for a vote")
    edited: bool = Field(description="Whether the answer is another than what was proposed")
    changes: list[dict[str, Any]] = Field(
        description="What it changed: `place` is a JSON Pointer, `before` what was proposed, `after` the answer"
    )


class Status(BaseModel):
    """A question and its outcome."""

    model_config = ConfigDict(defer_build=True)

    request_id: str
    status: str = Field(description="`pending` or `completed`, as the old plugin says it")
    phase: str = Field(description="Pending, Answered, Rejected, TimedOut or Cancelled")
    request: dict[str, Any]
    response: dict[str, Any] | None
    approval: dict[str, Any] | None = Field(
        description="How far the votes are; null where one person decides, or once there is an outcome"
    )
    edited: bool = Field(description="Whether the answer is another than what was proposed")
    changes: list[dict[str, Any]] = Field(
        description="What it changed: `place` is a JSON Pointer, `before` what was proposed, `after` the answer"
    )


# Written out, as RFC 9457 has it: a model for each status would cost a web app that starts on demand its time.
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"content": {"application/problem+json": {"schema": _PROBLEM}}, "description": text}
    for code, text in {
        400: "Malformed, or a path that is not the question's own",
        401: "The caller did not sign in",
        403: "Not allowed, or no such question for a caller who may not see it",
        404: "No such question, for a caller who may see all of them",
        408: "The body came too slowly",
        409: "Already settled, by somebody else or with another value; see `outcome`",
        410: "The deadline has passed",
        413: "The body is too large",
        415: "The body is no JSON, or not in UTF-8",
        422: "The value does not fit; `errors` say why",
        502: "What is stored is damaged, or the API server refuses to say who calls",
        503: "Storage or API server does not answer, or clocks disagree; try again after `Retry-After`",
    }.items()
}
router = APIRouter(responses=REFUSALS)


IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
}
# Described for clients and read by hand: having FastAPI read them takes as long as recording the answer.
_SUBMISSION: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": HITLSubmissionTyped.model_json_schema()}},
    },
    "parameters": [IDEMPOTENCY_KEY],
}
_SAVED: Final[dict[str, str]] = {
    "answered": "Your answer was saved. The workflow continues.",
    "rejected": "Your rejection was saved. The workflow gets it instead of an answer.",
}
_DONE: Final[dict[str, str]] = {
    "withdrawn": "Your vote was withdrawn, or what you handed over taken back.",
    "delegated": "The question was handed over.",
}
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")


@router.post("/submit/json", response_model=Submitted, openapi_extra=_SUBMISSION)
async def submit_json(request: Request) -> Response:
    """Answer or reject a question. The same answer sent twice by the same sender is one submission."""
    return await submitted(service_of(request), request.headers, await request.body())


async def submitted(service: Service, headers: Headers, body: bytes) -> Response:
    """Record what a program sent.

    Raises:
        BadInput, RequestValidationError: the body is no submission.
        HITLError, Unauthenticated: whatever keeps it from being the outcome.
    """
    sent = await _read(headers, body)
    admitted = await service.submissions.admit(sent.address, headers)
    check_path(sent.response_path, admitted.request.document.response_path, "response_path")
    if sent.to:
        delegated = await service.submissions.delegate(admitted, "api", sent.to, sent.submission.submission_id)
        return saved(admitted, delegated)
    settled = await service.submissions.settle(admitted, sent.submission.by(admitted.respondent("api")))
    return saved(admitted, settled)


def saved(admitted: Admitted, settled: Settled) -> Response:
    """Return the reply to a submission that is the outcome or a vote, or that withdrew or delegated.

    Raises:
        HITLError: what keeps it from being that.
    """
    if settled.kind in _DONE or settled.standing is not None:
        return Response(to_json(_voted(admitted, settled, settled.standing)), media_type="application/json")
    outcome = settled.outcome_or_raise()
    content = {
        "status": "submitted",
        "request_id": outcome.request_id,
        "value": outcome.value,
        "data_type": outcome.data_type,
        "message": f"{_SAVED[outcome.outcome]} {settled.note}".rstrip(),
        "outcome": public_outcome(outcome),
        **public_changes(admitted.request.document, outcome),
    }
    # `Submitted` describes this for clients; making one takes longer than writing it.
    return Response(to_json(content), media_type="application/json")


def _voted(admitted: Admitted, settled: Settled, standing: Standing | None) -> dict[str, Any]:
    mine = None if standing is None else standing.of(voter_of(admitted.respondent("api")))
    question = admitted.request.document
    return {
        "status": settled.kind,
        "request_id": question.request_id,
        "value": mine.value if mine else None,
        "data_type": question.data_type,
        "message": f"{_DONE.get(settled.kind, 'Your vote was saved.')} {vote_note(settled)}".rstrip(),
        "outcome": None,
        "approval": None if standing is None else public_standing(standing),
        **public_changes(question, None),
    }


@router.delete("/votes/{request_id}", response_model=Submitted, openapi_extra={"parameters": [IDEMPOTENCY_KEY]})
async def withdraw_vote(request: Request, request_id: str) -> Response:
    """Withdraw the caller's vote, or take back that they handed the question over, until it has an outcome."""
    service = service_of(request)
    admitted = await service.submissions.admit(Address(request_id, bearer(request.headers)), request.headers)
    require_withdrawable(admitted.request.document)
    key = idempotency_key(request.headers)
    return saved(admitted, await service.submissions.withdraw(admitted, "api", key or new_submission_id()))


class _Sent(NamedTuple):
    """What a program sent: the submission, but for who sends it, and where it belongs; or who it delegates to."""

    address: Address
    response_path: str
    submission: Submission
    to: str


def idempotency_key(headers: Headers) -> str | None:
    """Return the id under which a program submits; None: it gave none.

    Raises:
        BadInput: it is none that can be recorded.
    """
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise BadInput("Idempotency-Key has 1 to 128 printable ASCII characters without blanks.")
    return key


async def _read(headers: Headers, body: bytes) -> _Sent:
    key = idempotency_key(headers)
    content = await read_document(headers.get("content-type", ""), body)
    try:
        sent = HITLSubmissionTyped.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in faults]) from error
    path, token_in_path = split_token(sent.response_path)
    submission = Submission(
        outcome="rejected" if sent.reject else "answered",
        respondent=Respondent(via="api"),
        value=None if sent.reject else sent.value,
        text=False,
        comment=sent.comment,
        submission_id=key or new_submission_id(),
    )
    return _Sent(
        Address(sent.request_id, sent.token or token_in_path or bearer(headers)),
        path,
        submission,
        sent.delegate_to,
    )


@router.get("/status/{request_id}")
async def status(
    request: Request, request_id: str, token: str = "", request_path: str = "", response_path: str = ""
) -> Status:
    """Show a question and its outcome, to a caller who may see it."""
    service = service_of(request)
    path, token_in_path = split_token(response_path)
    token = token or token_in_path or bearer(request.headers)
    stored = (await service.admission.to_see(Address(request_id, token), request.headers)).request
    check_request_path(request_path, stored.document)
    check_path(path, stored.document.response_path, "response_path")
    outcome = await service.questions.outcome(stored)
    standing = None if outcome is not None else await service.questions.standing(stored)
    return Status(
        request_id=request_id,
        status="pending" if outcome is None else "completed",
        phase=phase_of(outcome),
        request=stored.document.model_dump(mode="json", by_alias=True),
        response=None if outcome is None else public_outcome(outcome),
        approval=None if standing is None else public_standing(standing),
        **public_changes(stored.document, outcome),
    )
