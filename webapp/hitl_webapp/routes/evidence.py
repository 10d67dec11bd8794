"""What is shown beside a question, byte by byte: to who may see it, and nothing that it does not list."""

import re
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hitl.core.evidence import Evidence
from hitl.errors import RequestNotFound
from hitl.records.requests import StoredRequest
from hitl_webapp.admission import Address
from hitl_webapp.auth import bearer
from hitl_webapp.evidence import EvidenceReader, evidence_headers, is_page, listed
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
    return _Sent(service.evidence, admitted.request, found)


class _Sent(Response):
    """Reads a piece when it is its turn, and sends it."""

    def __init__(self, reader: EvidenceReader, request: StoredRequest, evidence: Evidence) -> None:
        super().__init__()
        self._reader = reader
        self._request = request
        self._evidence = evidence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._reader.sending(self._request.request_id):
            reply = await self._reply()
            await reply(scope, receive, send)

    async def _reply(self) -> Response:
        headers = evidence_headers(self._evidence)
        if is_page(self._evidence):
            return Response(await self._reader.page_of(self._request, self._evidence), headers=headers)
        parts = await self._reader.bytes_of(self._request, self._evidence)
        return StreamingResponse(parts, headers={**headers, "Content-Length": str(self._evidence.size_bytes)})
