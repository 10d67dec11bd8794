"""Pages for people: the inbox, the form, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from hitl.documents import MAX_COMMENT_CHARS, RequestDocument, Respondent
from hitl.errors import ClusterUnavailable, HITLError, InvalidValue, StorageUnavailable
from hitl.settle import Submission, new_submission_id
from hitl.submissions import split_token
from hitl_webapp import inbox, pages
from hitl_webapp.auth import SIGN_IN, Visitor
from hitl_webapp.bodies import read_form
from hitl_webapp.metrics import FORMS
from hitl_webapp.problems import BadInput, Unauthenticated, problem_of
from hitl_webapp.routes.common import check_path, check_request_path, service_of
from hitl_webapp.service import Kept

router = APIRouter(include_in_schema=False)

_TYPED = ("value", "comment", "name")


@router.get("/")
async def index(request: Request) -> Response:
    """Show the inbox, or in `link` mode a page that explains links."""
    service = service_of(request)
    if service.settings.auth == "link":
        return HTMLResponse(pages.render("links.html"))
    visitor = await service.identify(request.headers)
    if visitor is None:
        raise Unauthenticated(SIGN_IN[service.settings.auth])
    pending, settled = await inbox.entries(service, visitor)
    return HTMLResponse(pages.render("inbox.html", pending=pending, settled=settled, name=visitor.name))


@router.get("/form/{request_id}")
async def form(request: Request, request_id: str, token: str = "", request_path: str = "") -> Response:
    """Show a question's form, or its outcome once it has one."""
    service = service_of(request)
    stored, visitor = await service.admit(request_id, token, request.headers)
    check_request_path(request_path, stored.document)
    FORMS.inc()
    outcome = await service.outcome(stored)
    if outcome is not None:
        return HTMLResponse(pages.outcome_page(stored.document, outcome, recorded=False))
    if service.now() >= stored.document.expires_at:
        return _message(410, "Too late", "The deadline has passed: answers are no longer taken.")
    page = pages.form_page(
        stored.document,
        token=token if visitor.link else "",
        name=visitor.name,
        refusal=await visitor.refusal(stored.document),
    ).encode()
    if visitor.link and service.keeps_link(request_id, token):
        request.app.state.forms.put(_address(request.scope), (request_id, page), len(page))
    return HTMLResponse(page)


def kept_page(app: FastAPI, scope: Scope) -> bytes | None:
    """Return the form that was shown at this very address a moment ago, while its question is still pending.

    A question never changes, so neither does its form; the address holds the link. Forms of visitors who are
    known by other means are not kept.
    """
    forms: Kept[tuple[str, bytes]] = app.state.forms
    found = forms.get(_address(scope))
    if found is None or not app.state.service.seen_pending(found[0]):
        return None
    FORMS.inc()
    return found[1]


def _address(scope: Scope) -> str:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


@dataclass(frozen=True)
class _Sent:
    """A form as it was sent."""

    request_id: str
    token: str
    response_path: str
    reject: bool
    submission_id: str
    typed: dict[str, str]


@router.post("/submit")
async def submit(request: Request) -> Response:
    """Record what a form sent, or show the form again with what was typed and what is wrong."""
    service = service_of(request)
    sent = await _sent(request)
    stored, visitor = await service.admit_submission(sent.request_id, sent.token, request.headers)
    check_path(sent.response_path, stored.document.response_path, "response_path")
    submission = _submission(sent, visitor)
    try:
        outcome = await service.submit(stored, visitor, submission)
    except (InvalidValue, StorageUnavailable, ClusterUnavailable) as error:
        return _form_again(stored.document, sent, visitor, error)
    except HITLError as error:
        problem = problem_of(error)
        if problem.outcome is None:
            raise
        page = pages.outcome_page(stored.document, problem.outcome, recorded=False, refused=problem.title)
        return HTMLResponse(page, status_code=problem.status)
    return HTMLResponse(pages.outcome_page(stored.document, outcome, recorded=True))


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
        reject="reject" in form,
        submission_id=form.get("submission_id", "")[:128] or new_submission_id(),
        # Browsers send line ends as CR LF; what was typed has LF.
        typed={name: form.get(name, "").replace("\r\n", "\n") for name in _TYPED},
    )


def _submission(sent: _Sent, visitor: Visitor) -> Submission:
    name = visitor.name or sent.typed["name"].strip()
    if len(name) > 256 or not _printable(name):
        raise BadInput("The name is too long, or holds what cannot be printed: shorten it.")
    respondent = Respondent(
        name=name, via="web", verified=visitor.verified, groups=list(visitor.groups), link=visitor.link
    )
    return Submission(
        outcome="rejected" if sent.reject else "answered",
        respondent=respondent,
        value=sent.typed["value"],
        comment=sent.typed["comment"],
        submission_id=sent.submission_id,
    )


def _form_again(question: RequestDocument, sent: _Sent, visitor: Visitor, error: HITLError) -> Response:
    problem = problem_of(error)
    about_value = isinstance(error, InvalidValue)
    if about_value and len(sent.typed["comment"]) > MAX_COMMENT_CHARS:
        about_value = False
    page = pages.form_page(
        question,
        token=sent.token,
        name=visitor.name,
        typed=sent.typed,
        error=str(error) if about_value else "",
        details=error.details if isinstance(error, InvalidValue) and about_value else (),
        notice="" if about_value else problem.detail,
    )
    return HTMLResponse(page, status_code=problem.status, headers=problem.headers)


def _message(status: int, title: str, detail: str) -> Response:
    return HTMLResponse(pages.render("message.html", title=title, detail=detail), status_code=status)


def _printable(name: str) -> bool:
    return all(each.isprintable() for each in name)
