"""Several questions at once: a page that says what will happen, and one result for each."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response

from hitl.core.documents import RequestDocument, Respondent
from hitl.core.forms.held import sent_back
from hitl.core.forms.names import FORM
from hitl.core.forms.plan import FEW
from hitl.errors import InvalidValue
from hitl.records.submissions import Submission, new_submission_id
from hitl_webapp import bulk, pages
from hitl_webapp.auth import Principal
from hitl_webapp.bodies import Form, check_comment, read_document, read_form_of_several
from hitl_webapp.checking import after_step, placed, planned, resolved
from hitl_webapp.fields import field_for
from hitl_webapp.media import read_media
from hitl_webapp.pages import Fault
from hitl_webapp.parts import PartsForm, parts_form
from hitl_webapp.problems import BadInput, Unauthenticated, public_outcome
from hitl_webapp.routes.api import IDEMPOTENCY_KEY, REFUSALS, idempotency_key
from hitl_webapp.routes.common import require_signed_in, service_of, signed_out
from hitl_webapp.sent import ANSWERS_AS_WELL, SentForm, sent_form, value_fault
from hitl_webapp.service import Service

_FIELDS: Final = frozenset(("value", "choice", "comment", "reject", "step", "submission_id"))
_NAMES: Final = ("request_ids", "value", "comment", "reject")
_SELECT: Final = "Select at least one question in the list, by the box beside it. Then answer them together."
_DESCRIBED: Final[dict[str, Any]] = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["request_ids"],
                    "additionalProperties": False,
                    "properties": {
                        "request_ids": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": bulk.MOST,
                            "items": {"type": "string"},
                        },
                        "value": {"description": "The answer to each: a JSON value, or the text of a scalar"},
                        "comment": {"type": "string", "maxLength": 4096},
                        "reject": {"type": "boolean"},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "One result for each question, in their order",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "results": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {
                                        "request_id": {"type": "string"},
                                        "status": {"type": "integer"},
                                        "detail": {"type": "string"},
                                        "outcome": {"type": ["object", "null"]},
                                    },
                                },
                            }
                        },
                    }
                }
            },
        }
    },
}

pages_router = APIRouter(include_in_schema=False)
router = APIRouter(responses=REFUSALS)


@pages_router.get("/bulk")
async def confirm(request: Request) -> Response:
    """Show what one answer for several questions would do."""
    service = service_of(request)
    principal = await require_signed_in(request)
    given = request.query_params.getlist("id")
    if not given:
        # The list's button was pressed and nothing was selected: nobody did anything wrong.
        return HTMLResponse(pages.message_page("No question is selected", _SELECT, name=principal.name), 400)
    page = await _page(service, request, bulk.checked_ids(given), principal)
    return HTMLResponse(page.render())


@router.post("/bulk", openapi_extra=_DESCRIBED)
async def submit(request: Request) -> Response:
    """Answer or reject up to 100 questions. Each is settled by itself, and has a result of its own."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    if read_media(kind).kind == "application/json":
        return await _api(request, await read_document(kind, body))
    ids, form = await read_form_of_several(kind, body)
    try:
        return await _form(request, ids, form)
    except Unauthenticated as error:
        return await signed_out(request, error, "/")


async def _api(request: Request, content: Any) -> Response:
    await require_signed_in(request)
    if not isinstance(content, dict) or set(content) - set(_NAMES):
        raise BadInput(f"The body is an object with {', '.join(_NAMES)}, and nothing else.")
    ids, comment, declines = content.get("request_ids"), content.get("comment", ""), content.get("reject", False)
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BadInput("request_ids is a list of the ids of questions.")
    if not isinstance(comment, str) or not isinstance(declines, bool):
        raise BadInput("comment is a text, and reject is true or false.")
    # null is an answer, where a question takes it, and beside a rejection it is none.
    if content.get("value") is not None if declines else "value" not in content:
        raise BadInput("Send either a value, or reject: true.")
    check_comment(comment)
    submission_id = idempotency_key(request.headers) or new_submission_id()

    def submission_of(_: RequestDocument) -> Submission:
        return Submission(
            outcome="rejected" if declines else "answered",
            respondent=Respondent(via="api"),
            value=None if declines else content["value"],
            text=False,
            comment=comment,
            submission_id=submission_id,
        )

    results = await bulk.submit(service_of(request), request.headers, bulk.checked_ids(ids), submission_of, "api")
    return Response(to_json({"results": [_shown(each) for each in results]}), media_type="application/json")


async def _form(request: Request, given: list[str], form: Form) -> Response:
    principal = await require_signed_in(request)
    if set(form.fields) - _FIELDS:
        raise BadInput("The form has a field that is unknown here: nothing was recorded.")
    if form.fields.get("reject", "1") != "1":
        raise BadInput("The form's field reject is 1, or is left out: nothing was recorded.")
    ids, sent, service = bulk.checked_ids(given), sent_form(form), service_of(request)
    page = await _page(service, request, ids, principal)
    if sent.step:
        return HTMLResponse(await page.stepped(sent))
    if page.kinds > 1 and not sent.declines:
        raise BadInput(f"These questions take answers of {page.kinds} kinds: answer one kind at a time.")
    checked, fault = sent, sent.fault(named=True) or page.answers_as_well(sent)
    if page.first is not None:
        checked = await resolved(sent, page.first)
        fault = fault or checked.fault(named=True) or page.lacks_comment(checked)
    if fault is not None:
        return HTMLResponse(page.render(checked, fault), 422)
    results = await bulk.submit(service, request.headers, ids, partial(_submission, checked, page.first), "web")
    refused = next((each.error for each in results if isinstance(each.error, InvalidValue)), None)
    if page.first is not None and refused is not None and all(each.status == 422 for each in results):
        checked = await placed(checked, page.first, refused)
        fault = checked.fault(named=True) or value_fault(page.first, checked.value, refused)
        return HTMLResponse(page.render(checked, fault), 422)
    done = pages.render(
        "bulk_done.html",
        results=[(each.question, result) for each, result in zip(page.found, results, strict=True)],
        saved=sum(each.status == 200 for each in results),
        name=principal.name,
    )
    return HTMLResponse(done)


async def _page(service: Service, request: Request, ids: Sequence[str], principal: Principal) -> "ConfirmingPage":
    page = ConfirmingPage(await bulk.seen(service, request.headers, ids), principal.name)
    if page.first is not None:
        await planned(page.first)
    return page


def _submission(checked: SentForm, first: RequestDocument | None, question: RequestDocument) -> Submission:
    """Return what a form submits to one of its questions. Raises `InvalidValue` if it is for another kind.

    Args:
        checked: The form, as it was read for the first question: all of one kind are answered by the same.
        first: That question; None: none of them was open.
        question: The question.
    """
    # The place of a choice is another answer to a question with other choices.
    if not checked.declines and (first is None or bulk.kind_of(question) != bulk.kind_of(first)):
        raise InvalidValue("This question takes answers of another kind: open it to answer it.")
    return checked.submission


class ConfirmingPage:
    """The page that says what will happen.

    Args:
        found: The questions, as the visitor sees them.
        name: The visitor's name.
    """

    def __init__(self, found: Sequence[bulk.Seen], name: str) -> None:
        self.found = found
        self._name = name
        kinds: dict[str, list[RequestDocument]] = {}
        for each in found:
            if each.question is not None and not each.why:
                kinds.setdefault(bulk.kind_of(each.question), []).append(each.question)
        self._kinds = list(kinds.values())
        # One for all of them.
        self.first = bulk.plain(self._kinds[0][0]) if self._kinds else None

    @property
    def kinds(self) -> int:
        """How many kinds of answers the questions take that are open."""
        return len(self._kinds)

    def lacks_comment(self, sent: SentForm) -> Fault | None:
        """Return what is wrong with a form without a comment, if one of the questions needs one."""
        asked = [each for questions in self._kinds for each in questions]
        return next((fault for each in asked if (fault := sent.lacks_comment(each))), None)

    def answers_as_well(self, sent: SentForm) -> Fault | None:
        """Return what is wrong with a form that declines, and whose parts were filled in: one is a slip."""
        form = None if self.first is None or not (sent.declines and sent.parts) else parts_form(self.first)
        if form is None or _filled_in(sent.parts) == _filled_in(form.sent):
            return None
        return Fault("value", ANSWERS_AS_WELL)

    async def stepped(self, sent: SentForm) -> str:
        """Return the page after a button of the form in parts was pressed. Nothing is recorded."""
        parts = None if self.first is None else await after_step(self.first, sent.parts, sent.step)
        if parts is None:
            raise BadInput("The form's step is not one of these questions' own.")
        return self.render(sent, parts=parts)

    def render(
        self, sent: SentForm | None = None, fault: Fault | None = None, parts: PartsForm | None = None
    ) -> str:
        """Return the page, with what was typed and what is wrong with it, if anything."""
        first, typed = self.first, {}
        if first is not None and sent is not None:
            typed = sent.typed(first)
            parts = parts or parts_form(first, sent.parts or None, sent.wrong)
        elif first is not None:
            parts = parts_form(first)
        return pages.render(
            "bulk.html",
            kinds=self._kinds,
            hidden=[each for each in self.found if each.question is None],
            closed=[each for each in self.found if each.question is not None and each.why],
            request=first,
            field=None if first is None else field_for(first),
            parts=parts,
            few=FEW,
            prefilled="",
            typed=typed,
            fault=fault,
            name=self._name,
            # Loading the result again sends the votes again, which may be withdrawn by then.
            submission_id=new_submission_id(),
        )


def _filled_in(fields: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what the fields of a form hold, as a browser sends it."""
    some = {name: [sent_back(text) for text in texts if text.strip()] for name, texts in fields.items()}
    return {name: texts for name, texts in some.items() if texts and name != FORM}


def _shown(result: bulk.Result) -> dict[str, Any]:
    return {
        "request_id": result.request_id,
        "status": result.status,
        "detail": result.note if result.problem is None else result.problem.detail,
        "outcome": None if result.outcome is None else public_outcome(result.outcome),
    }
