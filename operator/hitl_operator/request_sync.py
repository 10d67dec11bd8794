"""The question that a HumanInput shows: which one it is, and what is stored of it."""

from __future__ import annotations

from hitl.cluster.v1alpha1 import HumanInput
from hitl.core.documents import Origin, Respondents
from hitl.core.question import Question
from hitl.errors import RequestMismatch, RequestNotFound
from hitl.records.links import add_link
from hitl.records.records import Records
from hitl.records.requests import StoredRequest, create, read_request
from hitl_operator.context import Context
from hitl_operator.decide import Trouble
from hitl_operator.roots import Root


def misplaced(context: Context, human_input: HumanInput, root: Root | None) -> Trouble | None:
    """Tell why a HumanInput is not the one that shows its request, if it is not."""
    metadata, request_id = human_input.metadata, human_input.request_id
    if root is None:
        return Trouble(
            "ForeignNamespace", f"no root serves namespace {metadata.namespace}: ask the operator's admin"
        )
    shown = context.index.shown_by(request_id)
    other = shown is not None and shown.uid != metadata.uid
    if other or (human_input.spec.request is not None and metadata.name != request_id):
        name = f"{shown.namespace}/{shown.name}" if shown is not None and other else request_id
        return Trouble("DuplicateRequest", f"request {request_id} is shown by HumanInput {name}: delete this one")
    return None


async def asked_by(context: Context, root: Root, human_input: HumanInput) -> StoredRequest:
    """Return the question of a HumanInput as it is stored; stores it first, if it was born in Kubernetes.

    Raises:
        InvalidRequest: it cannot be asked like this.
        RequestNotFound: it is not in storage, or belongs to another namespace.
        DocumentDamaged: what is stored cannot be read.
        StorageUnavailable: trying again is safe.
    """
    metadata, spec = human_input.metadata, human_input.spec
    if spec.request is not None or human_input.status.request_id is not None:
        request = await read_request(root.store, human_input.request_id)
        if request.document.origin.namespace != metadata.namespace:
            raise RequestNotFound(f"request {request.request_id} belongs to another namespace")
        return request
    question = Question.of(
        metadata.name[:128],
        spec.data_type,
        spec.prompt,
        timeout_seconds=spec.timeout_seconds,
        choices=spec.choices or None,
        default=spec.default,
        on_timeout="default" if spec.at_deadline() == "UseDefault" else "fail",
        schema=spec.json_schema,
        respondents=Respondents.model_validate(spec.respondents.model_dump()) if spec.respondents else None,
    )
    try:
        request = await create(
            Records(root.store, announce=True, now=context.now),
            question,
            request_id=human_input.request_id,
            origin=Origin(namespace=metadata.namespace, human_input=metadata.name),
            endpoint=root.settings.endpoint,
            # The API server's clock: nothing is compared with this machine's.
            asked_at=metadata.creation_timestamp or context.now(),
        )
    except RequestMismatch:
        # Nobody else has this uid: it was stored before, and the spec was changed since.
        request = await read_request(root.store, human_input.request_id)
    if context.settings.auth == "link":
        token = await add_link(root.store, request.request_id, now=context.now(), label="HumanInput")
        await context.cluster.hand_out_link(human_input, token, root.form_url(request.request_id))
    return request
