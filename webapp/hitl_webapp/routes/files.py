"""Files that answer: from a form, and from programs. They are never kept in memory whole, and never shown."""

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from hitl.core.documents import Respondent
from hitl.errors import AlreadySettled, HITLError, InvalidValue
from hitl.records.submissions import Submission
from hitl_webapp import pages
from hitl_webapp.admission import Address, Admitted
from hitl_webapp.auth import bearer
from hitl_webapp.bodies import check_comment, require_readable
from hitl_webapp.inbox.queries import require_known
from hitl_webapp.media import is_multipart
from hitl_webapp.problems import BadInput, WrongMediaType, problem_of
from hitl_webapp.routes.api import REFUSALS, Submitted, saved
from hitl_webapp.routes.common import service_of
from hitl_webapp.routes.forms import form_again, settle_form, shown_result
from hitl_webapp.sent import SentForm
from hitl_webapp.service import Service
from hitl_webapp.turns import arriving
from hitl_webapp.uploads import FileForm, check_announced, receive, require_file_wanted

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes, as they are",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PARAMETERS: Final = ("name", "comment")
router = APIRouter(responses=REFUSALS)


@router.put("/answers/{request_id}", response_model=Submitted, openapi_extra=_BODY)
async def put_file(request: Request, request_id: str, name: str, comment: str = "") -> Response:
    """Answer a question by a file, which is the body. The link's token comes as a bearer token.

    The same file sent twice by the same sender is one submission.
    """
    service = service_of(request)
    check_announced(request, service)
    _check_alone(request)
    check_comment(comment)
    address = Address(request_id, bearer(request.headers))
    admitted = await service.submissions.admit(address, request.headers)
    empty = _submission(comment, admitted.respondent("api"))
    async with service.submissions.arriving(admitted, empty):
        keep = True
        try:
            await require_file_wanted(service, admitted)
        except AlreadySettled:
            # The reply to this very file may have been lost. So it is compared with the outcome, and not kept.
            keep = False
        async with service.uploads.one(admitted.request.request_id, service.settings.upload_seconds):
            file = await receive(service, admitted, empty.submission_id, name, request.stream(), keep=keep)
    submission = replace(empty, value=file.model_dump())
    return saved(admitted, await service.submissions.settle(admitted, submission))


def _check_alone(request: Request) -> None:
    """Refuse a form in the place of the file, and parameters that would not be read, or not as they were meant.

    Raises:
        WrongMediaType, BadInput: saying which.
    """
    if is_multipart(request.headers.get("content-type", "")):
        raise WrongMediaType("The body is a form, which would become the answer: send the file's bytes alone.")
    given = [name for name, _ in request.query_params.multi_items()]
    require_known(given, _PARAMETERS)
    if len(given) > len(set(given)):
        raise BadInput(f"Give each of {' and '.join(_PARAMETERS)} once.")
    require_readable(request.scope["query_string"])


@router.post("/submit/file", include_in_schema=False)
async def post_form(request: Request) -> Response:
    """Record the file of a form, or show the form again with what is wrong."""
    service = service_of(request)
    check_announced(request, service)
    form = FileForm(request)
    admitted: Admitted | None = None
    try:
        # Nobody takes one of the few turns who may not send a file.
        async with arriving(service.settings.body_seconds):
            await form.until_file()
        address = Address(form.fields["request_id"], form.fields.get("token", ""))
        admitted = await service.submissions.admit(address, request.headers)
        empty = _submission("", admitted.respondent("web"))
        async with service.submissions.arriving(admitted, empty):
            await require_file_wanted(service, admitted)
            if not form.file_name:
                raise InvalidValue("Choose a file.")
            async with service.uploads.one(admitted.request.request_id, service.settings.upload_seconds):
                file = await receive(service, admitted, empty.submission_id, form.file_name, form.file())
    except InvalidValue as error:
        if admitted is None:
            raise BadInput(str(error)) from error
        return await _again(service, admitted, form, error)
    comment, name = (form.fields.get(each, "").replace("\r\n", "\n") for each in ("comment", "name"))
    submission = replace(empty, value=file.model_dump(), comment=comment)
    # A form that is shown again names the file.
    sent = _sent(form, replace(submission, value=file.name), name)
    settled, fault = await settle_form(service, admitted, sent, submission)
    return await shown_result(service, admitted, sent, settled, fault)


async def _again(service: Service, admitted: Admitted, form: FileForm, error: HITLError) -> Response:
    nothing = Submission("answered", admitted.respondent("web"), value="", comment=form.fields.get("comment", ""))
    sent = _sent(form, nothing, form.fields.get("name", ""))
    return await form_again(service, admitted, sent, problem_of(error), pages.Fault("value", str(error)))


def _sent(form: FileForm, submission: Submission, name: str) -> SentForm:
    address = Address(form.fields["request_id"], form.fields.get("token", ""))
    return SentForm(address, "", submission, name, "", "", "")


def _submission(comment: str, respondent: Respondent) -> Submission:
    """Return what is submitted, but for the file."""
    return Submission("answered", respondent, text=False, comment=comment, uploaded=True)
