"""Several questions at once: a page that says what will happen, and one result for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response

from hitl.core.documents import RequestDocument
from hitl.errors import InvalidValue
from hitl.records.outcomes import Submission
from hitl_webapp import bulk, pages
from hitl_webapp.bodies import check_comment, read_document, read_media, read_pairs
from hitl_webapp.fields import chosen, field_for
from hitl_webapp.pages import Fault
from hitl_webapp.problems import BadInput, Problem, Unauthenticated, public_outcome
from hitl_webapp.routes.api import REFUSALS
from hitl_webapp.routes.common import require_signed_in, service_of, signed_out
from hitl_webapp.sentences import what_fits

_FIELDS: Final = ("id", "value", "choice", "comment", "reject")
_NAMES: Final = ("request_ids", "value", "comment", "reject")
_DESCRIBED: Final[dict[str, Any]] = {
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
    ids = bulk.checked_ids(request.query_params.getlist("id"))
    found = dict(zip(ids, await bulk.seen(service, request.headers, ids), strict=True))
    return HTMLResponse(_page(found, principal.name))


@router.post("/bulk", openapi_extra=_DESCRIBED)
async def submit(request: Request) -> Response:
    """Answer or reject up to 100 questions. Each is settled by itself, and has a result of its own."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    if read_media(kind).kind == "application/json":
        return await _api(request, await read_document(kind, body))
    try:
        return await _form(request, await read_pairs(kind, body))
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
    if declines == ("value" in content and content["value"] is not None) or (
        "value" not in content and not declines
    ):
        raise BadInput("Send either a value, or reject: true.")
    check_comment(comment)
    value = content.get("value")

    def submission_of(_: RequestDocument) -> Submission:
        return bulk.submission("api", comment, declines=declines, value=value)

    results = await bulk.submit(service_of(request), request.headers, bulk.checked_ids(ids), submission_of, "api")
    return Response(to_json({"results": [_shown(each) for each in results]}), media_type="application/json")


async def _form(request: Request, pairs: list[tuple[str, str]]) -> Response:
    principal = await require_signed_in(request)
    fields = {name: text.replace("\r\n", "\n") for name, text in pairs if name != "id"}
    if len(fields) < sum(name != "id" for name, _ in pairs) or set(fields) - set(_FIELDS):
        raise BadInput("The form has a field twice, or one that is unknown here: nothing was recorded.")
    ids = bulk.checked_ids([text for name, text in pairs if name == "id"])
    if fields.get("reject", "1") != "1":
        raise BadInput("The form's field reject is 1, or is left out: nothing was recorded.")
    declines, comment = "reject" in fields, fields.get("comment", "")
    check_comment(comment)
    service = service_of(request)
    if declines and (wrong := _wrong_decline(fields)):
        found = await bulk.seen(service, request.headers, ids)
        return HTMLResponse(_page(dict(zip(ids, found, strict=True)), principal.name, fields, wrong), 422)

    def submission_of(question: RequestDocument) -> Submission:
        value = fields.get("value", "")
        if "choice" in fields and not declines:
            value = _chosen(question, fields["choice"])
        return bulk.submission("web", comment, declines=declines, value=value, text=True)

    results = await bulk.submit(service, request.headers, ids, submission_of, "web")
    found = await bulk.seen(service, request.headers, ids)
    if fault := _fits_none(found, results, fields):
        return HTMLResponse(_page(dict(zip(ids, found, strict=True)), principal.name, fields, fault), 422)
    page = pages.render(
        "bulk_done.html",
        results=[
            (each if isinstance(each, RequestDocument) else None, result)
            for each, result in zip(found, results, strict=True)
        ],
        saved=sum(each.status == 200 for each in results),
        name=principal.name,
    )
    return HTMLResponse(page)


def _page(
    found: Mapping[str, RequestDocument | Problem],
    name: str,
    typed: Mapping[str, str] | None = None,
    fault: Fault | None = None,
) -> str:
    """Return the page that says what will happen, with what was typed and what is wrong with it, if anything."""
    questions = [each for each in found.values() if isinstance(each, RequestDocument)]
    kinds: dict[str, list[RequestDocument]] = {}
    for each in questions:
        kinds.setdefault(bulk.kind_of(each), []).append(each)
    return pages.render(
        "bulk.html",
        kinds=list(kinds.values()),
        hidden={request_id: each.detail for request_id, each in found.items() if isinstance(each, Problem)},
        field=field_for(questions[0]) if questions else None,
        name=name,
        sent=typed or {},
        fault=fault,
    )


def _wrong_decline(fields: Mapping[str, str]) -> Fault | None:
    """Return what is wrong with declining, as the form of one question says it; None: nothing is."""
    if fields.get("value", "").strip() or fields.get("choice"):
        return Fault(
            "value", "You gave an answer and declined as well: send the answer, or load the page again to decline."
        )
    if not fields.get("comment", "").strip():
        return Fault("comment", "A reason is needed: write why you decline to answer.")
    return None


def _fits_none(
    found: Sequence[RequestDocument | Problem], results: Sequence[bulk.Result], fields: Mapping[str, str]
) -> Fault | None:
    """Return what is wrong with an answer that fits none of the questions; None: something was recorded."""
    first, refused = found[0], results[0].problem
    if not isinstance(first, RequestDocument) or refused is None or any(each.status != 422 for each in results):
        return None
    return Fault("value", *what_fits(first, fields.get("value", ""), InvalidValue(refused.detail)))


def _chosen(question: RequestDocument, place: str) -> str:
    text = chosen(question, place)
    if not text:
        raise InvalidValue("Choose one of the answers in the list.")
    return text


def _shown(result: bulk.Result) -> dict[str, Any]:
    return {
        "request_id": result.request_id,
        "status": result.status,
        "detail": result.note if result.problem is None else result.problem.detail,
        "outcome": None if result.outcome is None else public_outcome(result.outcome),
    }
