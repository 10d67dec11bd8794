"""Pages for people: the form, the outcome."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from hitl.errors import HITLError, InvalidValue, StorageUnavailable
from hitl.records.evidence import EvidenceChanged
from hitl.records.submissions import Settled, Submission
from hitl_webapp import pages
from hitl_webapp.addresses import form_address
from hitl_webapp.admission import Admitted
from hitl_webapp.below import SITE
from hitl_webapp.caches import Memory, Read
from hitl_webapp.checking import after_step, placed, planned, resolved
from hitl_webapp.evidence import Shown
from hitl_webapp.metrics import FORMS
from hitl_webapp.parts import parts_form
from hitl_webapp.problems import BadInput, Problem, Unauthenticated, problem_of
from hitl_webapp.routes.beside_form import form_view, require_withdrawable
from hitl_webapp.routes.common import check_path, check_request_path, service_of, signed_out
from hitl_webapp.security import CSP
from hitl_webapp.sent import SentForm, read_sent_form, value_fault
from hitl_webapp.sentences import lost, shown_value
from hitl_webapp.service import Service

router = APIRouter(include_in_schema=False)
_LEADS: Final[dict[str, pages.Step]] = {"decline": "decline", "delegate": "delegate", "back": "answer"}


class KeptForm(NamedTuple):
    """A form that was shown to somebody who has a link.

    Args:
        request_id: The question.
        link: The hash of the link's token.
        page: The page, encoded.
    """

    request_id: str
    link: str
    page: bytes


@router.get("/form/{request_id:path}")
async def form(request: Request, request_id: str, request_path: str = "") -> Response:
    """Show a question's form, or its outcome once it has one."""
    service = service_of(request)
    address = form_address(request_id, request.scope["query_string"].decode("latin-1"))
    admitted = await service.admission.to_see(address, request.headers)
    question, principal = admitted.request.document, admitted.principal
    check_request_path(request_path, question)
    FORMS.inc()
    ended = await _ended(service, admitted)
    if ended is not None:
        return ended
    view = await form_view(service, admitted, address.token if principal.link else "")
    refusal = view.evidence.trouble or await principal.refusal(question, await service.clock.rights_time(question))
    sign_in = "" if principal.verified else SITE.get().sign_in_address(f"/form/{address.request_id}")
    page = pages.form_page(view._replace(refusal=refusal, sign_in=sign_in)).encode()
    # Evidence and votes are read each time, and a visitor with a link may have signed in meanwhile.
    if (
        service.settings.auth == "link"
        and not question.evidence
        and question.approval is None
        and principal.link
        and service.admission.knows_link(address.request_id, principal.link)
    ):
        kept: Memory[KeptForm] = request.app.state.forms
        shown = KeptForm(address.request_id, principal.link, page)
        kept.put(_address(request.scope), Read(shown, 0.0, len(page)))
    return _form_reply(page, view.evidence)


def kept_page(app: FastAPI, scope: Scope) -> bytes | None:
    """Return the form that was shown at this very address a moment ago, while question and link are as they were.

    A question never changes, so neither does its form; the address holds the link. Forms of visitors who are
    known by other means are not kept.
    """
    forms: Memory[KeptForm] = app.state.forms
    found = forms.get(_address(scope))
    if found is None:
        return None
    kept = found.value
    service: Service = app.state.service
    if not service.questions.known_pending(kept.request_id):
        return None
    if not service.admission.knows_link(kept.request_id, kept.link):
        return None
    FORMS.inc()
    return kept.page


def _address(scope: Scope) -> str:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


@router.post("/submit")
async def submit(request: Request) -> Response:
    """Record what a form sent, or show the form again with what was typed and what is wrong."""
    sent = await read_sent_form(request.headers.get("content-type", ""), await request.body())
    try:
        return await _submitted(service_of(request), request, sent)
    except Unauthenticated as error:
        return await signed_out(request, error, f"/form/{sent.address.request_id}")


async def _submitted(service: Service, request: Request, sent: SentForm) -> Response:
    if sent.step == "withdraw":
        return await _withdraw(service, sent, request.headers)
    if sent.step == "hand-over":
        return await _hand_over(service, sent, request.headers)
    if sent.step:
        return await _step(service, sent, request.headers)
    try:
        admitted = await service.submissions.admit(sent.address, request.headers)
    except StorageUnavailable as error:
        before = await service.admission.remembered(sent.address, request.headers)
        if before is None:
            raise
        return await form_again(service, before, sent, problem_of(error), None)
    question = admitted.request.document
    check_path(sent.response_path, question.response_path, "response_path")
    sent = await resolved(sent, question)
    try:
        settled, fault = await settle_form(service, admitted, sent, sent.submission)
    except HITLError as error:
        problem = problem_of(error)
        if problem.status != 503 and not isinstance(error, EvidenceChanged):
            raise
        return await form_again(service, admitted, sent, problem, None)
    return await shown_result(service, admitted, sent, settled, fault)


async def settle_form(
    service: Service, admitted: Admitted, sent: SentForm, submission: Submission
) -> tuple[Settled, pages.Fault | None]:
    """Submit what a form sent; return the result, and what was wrong with the form before anybody looked.

    Raises:
        HITLError: as `Submissions.settle` does.
    """
    fault = sent.fault(named=admitted.principal.known) or sent.lacks_comment(admitted.request.document)
    wrong = None if fault is None else InvalidValue(fault.sentence)
    submission = submission.by(admitted.respondent("web", sent.recordable_name()))
    return await service.submissions.settle(admitted, submission, wrong), fault


async def shown_result(
    service: Service, admitted: Admitted, sent: SentForm, settled: Settled, fault: pages.Fault | None
) -> Response:
    """Return the page with the result of a submission."""
    question, principal = admitted.request.document, admitted.principal
    await planned(question)
    if settled.kind == "voted":
        told = f"Your vote was saved. {settled.note}".rstrip()
        return await _ballot_page(service, admitted, sent, told=told)
    if settled.error is None:
        page = pages.outcome_page(
            question, settled.outcome_or_raise(), recorded=True, note=settled.note, name=principal.name
        )
        return HTMLResponse(page)
    problem = problem_of(settled.error)
    if settled.kind == "voted_before":
        return await _ballot_page(service, admitted, sent, notice=problem.detail, status=problem.status)
    if isinstance(settled.error, InvalidValue):
        sent = await placed(sent, question, settled.error)
        fault = fault or sent.fault(named=principal.known) or value_fault(question, sent.value, settled.error)
        return await form_again(service, admitted, sent, problem, fault)
    typed = sent.typed(question)
    if settled.kind == "too_late":
        written = {**typed, "value": shown_value(question, typed["value"])}
        return _message(problem.status, problem.title, problem.detail, written, principal.name)
    if settled.outcome is None:
        raise settled.error
    told = lost(question, settled.outcome, "" if sent.declines else sent.value)
    page = pages.outcome_page(
        question, settled.outcome, recorded=False, lost=told, typed=typed, name=principal.name
    )
    return HTMLResponse(page, status_code=problem.status)


async def _step(service: Service, sent: SentForm, headers: Headers) -> Response:
    """Show the form of another step, or the answer's again, with what was typed so far. Nothing is recorded."""
    if sent.step not in _LEADS and not sent.parts:
        raise BadInput("The form's step is none that leads to another form.")
    admitted = await service.admission.to_see(sent.address, headers)
    question = admitted.request.document
    await planned(question)
    if sent.step in _LEADS:
        parts = parts_form(question, sent.parts or None)
    else:
        parts = await after_step(question, sent.parts, sent.step)
        if parts is None:
            raise BadInput("The form's step is none that leads to another form, nor one of the question's own.")
    await admitted.principal.require_may_answer(question, await service.clock.rights_time(question))
    ended = await _ended(service, admitted)
    if ended is not None:
        return ended
    typed = (sent if sent.parts else sent.resolved(question)).typed(question)
    view = await form_view(service, admitted, sent.address.token)
    return _shown_form(view._replace(typed=typed, step=_LEADS.get(sent.step, "answer"), parts=parts))


async def _withdraw(service: Service, sent: SentForm, headers: Headers) -> Response:
    """Withdraw the visitor's vote, or take back that they handed the question over, and show the form again."""
    admitted = await service.submissions.admit(sent.address, headers)
    require_withdrawable(admitted.request.document)
    settled = await service.submissions.withdraw(admitted, "web", sent.submission.submission_id)
    service.hinted(sent.address.request_id)
    return await _after(service, admitted, sent, settled, settled.note or "Your vote was withdrawn.")


async def _hand_over(service: Service, sent: SentForm, headers: Headers) -> Response:
    """Hand the question over to somebody else, and show the form again."""
    admitted = await service.submissions.admit(sent.address, headers)
    if not sent.to:
        return await _to_again(service, admitted, sent, InvalidValue("A name is needed."))
    settled = await service.submissions.delegate(admitted, "web", sent.to, sent.submission.submission_id)
    if settled.error is not None and settled.outcome is None and settled.kind != "too_late":
        return await _to_again(service, admitted, sent, settled.error)
    service.hinted(sent.address.request_id)
    told = f"You handed this question over to {sent.to}."
    if settled.kind == "withdrawn":
        # A browser sent the same form again.
        told = f"Nothing was changed: you handed this question over to {sent.to} before, and took it back since."
    return await _after(service, admitted, sent, settled, told)


async def _to_again(service: Service, admitted: Admitted, sent: SentForm, error: HITLError) -> Response:
    return await form_again(service, admitted, sent, problem_of(error), pages.Fault("to", str(error)), "delegate")


async def _after(service: Service, admitted: Admitted, sent: SentForm, settled: Settled, told: str) -> Response:
    if settled.error is None:
        return await _ballot_page(service, admitted, sent, told=told)
    ended = await _ended(service, admitted)
    if ended is not None:
        return ended
    problem = problem_of(settled.error)
    return await _ballot_page(service, admitted, sent, notice=problem.detail, status=problem.status)


async def _ballot_page(
    service: Service, admitted: Admitted, sent: SentForm, *, told: str = "", notice: str = "", status: int = 200
) -> Response:
    """Return the form of a question with the votes on it as they are now."""
    view = await form_view(service, admitted, sent.address.token, told)
    return _shown_form(view._replace(notice=notice), status)


async def _ended(service: Service, admitted: Admitted) -> Response | None:
    """Return the page of a question that takes no answers any more, or None."""
    stored, name = admitted.request, admitted.principal.name
    outcome = await service.questions.outcome(stored)
    if outcome is not None:
        await planned(stored.document)
        # Later visitors see the evidence of the decision too.
        beside = await service.evidence.beside(admitted)
        page = pages.outcome_page(stored.document, outcome, recorded=False, name=name, evidence=beside)
        return _form_reply(page, beside)
    if await service.questions.over(stored):
        return _message(410, "Too late", "The deadline has passed: answers are no longer taken.", name=name)
    return None


@router.get("/healthz", include_in_schema=False)
async def healthz() -> Response:
    """Send those who guess a probe's name to the right one."""
    return RedirectResponse(pages.address("/health"), status_code=308)


async def form_again(
    service: Service,
    admitted: Admitted,
    sent: SentForm,
    problem: Problem,
    fault: pages.Fault | None,
    step: pages.Step = "answer",
) -> Response:
    """Return the form with what was typed, and what is wrong."""
    question = admitted.request.document
    view = await form_view(service, admitted, sent.address.token)
    view = view._replace(
        typed=sent.typed(question),
        fault=fault,
        notice="" if fault else problem.detail,
        # If the visitor declined and chose an answer as well, the form shows both.
        step="decline" if sent.declines and not (fault and fault.place == "value") else step,
        parts=parts_form(question, sent.parts or None, sent.wrong),
    )
    return _shown_form(view, problem.status, problem.headers)


def _shown_form(view: pages.FormView, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _form_reply(pages.form_page(view), view.evidence, status, headers)


def _form_reply(
    page: str | bytes, beside: Shown, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    # Only a page with a report has frames, of this site alone.
    frames = {"Content-Security-Policy": f"{CSP}; frame-src 'self'"} if beside.frames else {}
    return HTMLResponse(page, status_code=status, headers={**(headers or {}), **frames})


def _message(
    status: int, title: str, detail: str, typed: dict[str, str] | None = None, name: str = ""
) -> Response:
    return HTMLResponse(pages.message_page(title, detail, typed, name=name), status_code=status)
