"""What is shown beside a question, byte by byte: to who may see it, and nothing that it does not list."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from hitl.errors import RequestNotFound
from hitl_webapp.admission import Address
from hitl_webapp.auth import bearer
from hitl_webapp.evidence import evidence_headers, is_page, listed
from hitl_webapp.routes.api import REFUSALS
from hitl_webapp.routes.common import service_of

_LINK: Final = re.compile("[0-9a-f]{64}", re.ASCII)
_BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The bytes, checked against the digest in the path",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
router = APIRouter(responses=REFUSALS)


@router.get("/evidence/{request_id}/{sha256}", responses=_BYTES, response_class=Response)
async def evidence(request: Request, request_id: str, sha256: str, key: str = "") -> Response:
    """Show one piece of a question's evidence, to a caller who may see the question.

    `key` stands in the form's addresses instead of the link's token: it shows evidence, and answers nothing.
    Programs send the link's token as a bearer token.
    """
    service = service_of(request)
    address = Address(request_id, bearer(request.headers))
    link = key if _LINK.fullmatch(key) else ""
    admitted = await service.admission.to_see(address, request.headers, link=link)
    found = listed(admitted.request, sha256)
    if found is None:
        raise RequestNotFound("this question has no such evidence")
    headers = evidence_headers(found)
    if is_page(found):
        return Response(await service.evidence.page_of(admitted.request, found), headers=headers)
    parts = await service.evidence.bytes_of(admitted.request, found)
    return StreamingResponse(parts, headers={**headers, "Content-Length": str(found.size_bytes)})
