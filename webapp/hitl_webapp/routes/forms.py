"""Pages for people: the inbox, the form, and what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from hitl.core.documents import MAX_COMMENT_CHARS, RequestDocument, Respondent
from hitl.core.submissions import split_token
from hitl.core.text import printable
from hitl.errors import HITLError, InvalidValue
from hitl.records.outcomes import Submission, new_submission_id
from hitl.records.requests import StoredRequest
from hitl_webapp import inbox, pages
from hitl_webapp.auth import SIGN_IN, Principal
from hitl_webapp.bodies import read_form
from hitl_webapp.fields import chosen, field_for
from hitl_webapp.metrics import FORMS
from hitl_webapp.problems import BadInput, Problem, Unauthenticated, problem_of
from hitl_webapp.routes.common import check_path, check_request_path, service_of
from hitl_webapp.service import Kept, Service

router = APIRouter(include_in_schema=False)

_MAX_NAME_CHARS = 256
_TYPED = ("value", "comment", "name")


@router.get("/")
async def index(request: Request) -> Response:
    """Show the inbox, or in `link` mode a page that explains links."""
    service = service_of(request)
    if service.settings.auth == "link":
        return HTMLResponse(pages.render("links.html"))
    principal = await service.authenticate(request.headers)
    if principal is None:
        raise Unauthenticated(SIGN_IN[service.settings.auth])
    found = await inbox.listing(request.app.state.surveys, service, principal)
    # Some hundred prompts are rendered, so others have their turn meanwhile.
    page = await asyncio.to_thread(pages.render, "inbox.html", found=found, name=principal.name)
    return HTMLResponse(page)


@router.get("/form/{request_id}")
async def form(request: Request, request_id: str, token: str = "", request_path: str = "") -> Response:
    """Show a question's form, or its outcome once it has one."""
    service = service_of(request)
    stored, principal = await service.admit(request_id, token, request.headers)
    check_request_path(request_path, stored.document)
    FORMS.inc()
    ended = await _ended(service, stored)
    if ended is not None:
        return ended
    page = pages.form_page(
        stored.document,
        token=token if principal.link else "",
        name=principal.name,
        refusal=await principal.refusal(stored.document),
    ).encode()
    if principal.link and service.keeps_link(request_id, token):
        request.app.state.forms.put(_address(request.scope), (request_id, principal.link, page), len(page))
    return HTMLResponse(page)


def kept_page(app: FastAPI, scope: Scope) -> bytes | None:
    """Return the form that was shown at this very address a moment ago, while question and link are as they were.

    A question never changes, so neither does its form; the address holds the link. Forms of visitors who are
    known by other means are not kept.
    """
    forms: Kept[tuple[str, str, bytes]] = app.state.forms
    found = forms.get(_address(scope))
    if found is None or not app.state.service.seen_pending(*found[:2]):
        return None
    FORMS.inc()
    return found[2]


def _address(scope: Scope) -> str:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


@dataclass(frozen=True)
class _Sent:
    """A form as it was sent.

    `step` is ``decline`` or ``back`` when it leads to another form and submits nothing. `choice` and `kept` are an
    answer as `fields.Field.posted` writes it: one chosen by its place, and one that was left for the form of
    declining.
    """

    request_id: str
    token: str
    response_path: str
    reject: bool
    step: str
    submission_id: str
    choice: str
    kept: str
    typed: dict[str, str]


@router.post("/submit")
async def submit(request: Request) -> Response:
    """Record what a form sent, or show the form again with what was typed and what is wrong."""
    service = service_of(request)
    sent = await _sent(request)
    if sent.step:
        return await _step(service, sent, request.headers)
    stored, principal = await service.admit_submission(sent.request_id, sent.token, request.headers)
    check_path(sent.response_path, stored.document.response_path, "response_path")
    sent = _resolved(sent, stored.document)
    submission = _submission(sent, principal)
    fault = _fault(sent, principal)
    try:
        if fault is not None:
            await service.refuse(stored, principal, submission, InvalidValue(fault.sentence))
        settled = await service.submit(stored, principal, submission)
        outcome = settled.outcome_or_raise()
    except HITLError as error:
        problem = problem_of(error)
        if isinstance(error, InvalidValue):
            fault = fault or _value_fault(stored.document, error)
            return _form_again(stored.document, sent, principal, problem, fault)
        if problem.status == 503:
            return _form_again(stored.document, sent, principal, problem, None)
        typed = _to_show(sent, stored.document)
        if problem.status == 410 and problem.outcome is None:
            return _message(problem.status, problem.title, problem.detail, typed)
        if problem.outcome is None:
            raise
        page = pages.outcome_page(
            stored.document, problem.outcome, recorded=False, refused=problem.title, typed=typed
        )
        return HTMLResponse(page, status_code=problem.status)
    return HTMLResponse(pages.outcome_page(stored.document, outcome, recorded=True, note=settled.note))


async def _step(service: Service, sent: _Sent, headers: Headers) -> Response:
    """Show the form of declining, or the answer's again, with what was typed so far. Nothing is recorded."""
    if sent.step not in ("decline", "back"):
        raise BadInput("The form's step is neither decline nor back.")
    stored, principal = await service.admit(sent.request_id, sent.token, headers)
    await principal.require_may_answer(stored.document)
    ended = await _ended(service, stored)
    if ended is not None:
        return ended
    page = pages.form_page(
        stored.document,
        token=sent.token,
        name=principal.name,
        typed=_to_show(_resolved(sent, stored.document), stored.document),
        declining=sent.step == "decline",
    )
    return HTMLResponse(page)


async def _ended(service: Service, stored: StoredRequest) -> Response | None:
    """Return the page of a question that takes no answers any more, or None."""
    outcome = await service.outcome(stored)
    if outcome is not None:
        return HTMLResponse(pages.outcome_page(stored.document, outcome, recorded=False))
    if await service.over(stored):
        return _message(410, "Too late", "The deadline has passed: answers are no longer taken.")
    return None


@router.get("/healthz", include_in_schema=False)
async def healthz() -> Response:
    """Send those who guess a probe's name to the right one."""
    return RedirectResponse("/health", status_code=308)


async def _sent(request: Request) -> _Sent:
    form = await read_form(request.headers.get("content-type", ""), await request.body())
    request_id = form.get("request_id", "")
    if not request_id:
        raise BadInput("The form names no request_id.")
    path, token_in_path = split_token(form.get("response_path", ""))
    return _Sent(
        request_id=request_id,
        token=form.get("token", "") or token_in_path,
        response_path=path,
        reject=_rejects(form),
        step=form.get("step", ""),
        choice=form.get("choice", ""),
        kept=form.get("kept", ""),
        submission_id=form.get("submission_id", "")[:128] or new_submission_id(),
        # Browsers send line ends as CR LF; what was typed has LF.
        typed={name: form.get(name, "").replace("\r\n", "\n") for name in _TYPED},
    )


def _rejects(form: dict[str, str]) -> bool:
    # Older forms had a button of this name with any value. What may be cut off, or says no, is not guessed at.
    if "reject" not in form:
        return False
    if form["reject"].strip().lower() in ("", "0", "false", "no", "n", "none", "null", "off"):
        raise BadInput("The form's field reject is 1, or is left out: nothing was recorded.")
    return True


def _resolved(sent: _Sent, question: RequestDocument) -> _Sent:
    """Return the form with the answer that it means, which may have been sent by its place among the choices.

    Raises:
        BadInput: it could mean two answers.
    """
    if not sent.choice:
        return sent
    if sent.typed["value"] or not field_for(question).by_index:
        raise BadInput("The form's field choice stands for an answer of this question's list, instead of a value.")
    return replace(sent, typed={**sent.typed, "value": chosen(question, sent.choice)})


def _to_show(sent: _Sent, question: RequestDocument) -> dict[str, str]:
    """Return what was typed, with the answer that the form of declining keeps for the way back."""
    kept = chosen(question, sent.kept) if field_for(question).by_index else sent.kept
    return {**sent.typed, "value": sent.typed["value"] or kept}


def _fault(sent: _Sent, principal: Principal) -> pages.Fault | None:
    """Return what is wrong with a form before anybody looks at the answer itself."""
    comment = sent.typed["comment"]
    name = sent.typed["name"].strip()
    if sent.reject and sent.typed["value"].strip():
        sentence = "You gave an answer and declined as well: send the answer, or decline without one."
        return pages.Fault("value", sentence)
    if sent.reject and not comment.strip():
        return pages.Fault("comment", "A reason is needed: write why you decline to answer.")
    if len(comment) > MAX_COMMENT_CHARS:
        what = "reason" if sent.reject else "comment"
        return pages.Fault(
            "comment",
            f"The {what} has {len(comment):,} characters: shorten it to at most {MAX_COMMENT_CHARS:,}.",
        )
    if not principal.name and (len(name) > _MAX_NAME_CHARS or printable(name) != name or "\t" in name):
        return pages.Fault(
            "name",
            f"The name has more than {_MAX_NAME_CHARS} characters, or some that cannot be printed: shorten it or "
            "type it again.",
        )
    return None


def _value_fault(question: RequestDocument, error: InvalidValue) -> pages.Fault:
    """Return what is wrong with an answer. A range is told as what to enter, not as what a schema found."""
    enter = field_for(question).enter
    # Only a schema finds details: any other sentence says already how to write the number.
    if error.details and enter:
        return pages.Fault("value", enter)
    return pages.Fault("value", str(error), error.details)


def _submission(sent: _Sent, principal: Principal) -> Submission:
    respondent = Respondent(
        # Too long a name is refused before it could be recorded.
        name=principal.name or sent.typed["name"].strip()[:_MAX_NAME_CHARS],
        via="web",
        verified=principal.verified,
        groups=list(principal.groups),
        link=principal.link,
    )
    return Submission(
        outcome="rejected" if sent.reject else "answered",
        respondent=respondent,
        value=sent.typed["value"],
        comment=sent.typed["comment"],
        submission_id=sent.submission_id,
    )


def _form_again(
    question: RequestDocument, sent: _Sent, principal: Principal, problem: Problem, fault: pages.Fault | None
) -> Response:
    page = pages.form_page(
        question,
        token=sent.token,
        name=principal.name,
        typed=_to_show(sent, question),
        fault=fault,
        notice="" if fault else problem.detail,
        # Who declined and chose an answer as well sees the form with both.
        declining=sent.reject and not (fault and fault.place == "value"),
    )
    return HTMLResponse(page, status_code=problem.status, headers=problem.headers)


def _message(status: int, title: str, detail: str, typed: dict[str, str] | None = None) -> Response:
    return HTMLResponse(pages.message_page(title, detail, typed), status_code=status)
