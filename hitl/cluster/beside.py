"""Beside the question in a HumanInput: its evidence, what was edited, and how much of it fits."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from hitl.cluster.shapes import MAX_EDIT_PATH_CHARS, Edit, ShownEvidence
from hitl.cluster.v1alpha1 import LEFT_OUT_ANNOTATION, MAX_EDITS, HumanInput, HumanInputSpec
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.edits import edits_of
from hitl.core.evidence import Evidence
from hitl.core.faults import sentence
from hitl.errors import InvalidRequest

# etcd takes 1.5 MiB: an answer may stand in it twice, and be 256 KiB each time.
_MAX_SHOWN_BYTES: Final = 640 * 1024
_MAX_EDITED_BYTES: Final = 16 * 1024
# In this order: the person who answers finds all of them on the form.
_MAY_BE_LEFT_OUT: Final[dict[str, Any]] = {
    "refused": [],
    "evidence": [],
    "proposed": None,
    "choice_labels": {},
}


def evidence_of(spec: HumanInputSpec) -> list[Evidence]:
    """Return what is shown beside the question.

    Raises:
        InvalidRequest: for a link without an address, or anything else without a digest.
    """
    try:
        return [
            Evidence(
                name=each.name,
                kind=each.kind or "link",
                media_type=each.media_type or "",
                size_bytes=each.size_bytes or 0,
                sha256=each.sha256 or "",
                url=each.url or "",
                alt=each.alt or "",
            )
            for each in spec.evidence
        ]
    except ValidationError as error:
        raise InvalidRequest(f"evidence: {sentence(error)}") from error


def shown_evidence(evidence: Evidence) -> ShownEvidence:
    """Return a piece of evidence as a HumanInput names it."""
    return ShownEvidence(
        name=evidence.name,
        kind=evidence.kind,
        media_type=evidence.media_type or None,
        size_bytes=evidence.size_bytes or (None if evidence.kind == "link" else 0),
        sha256=evidence.sha256 or None,
        url=evidence.url or None,
        alt=evidence.alt or None,
    )


def edited_shown(request: RequestDocument, outcome: OutcomeDocument) -> dict[str, Any]:
    """Return the fields of a status that say what an answer changed of the proposed value; none without one."""
    found = edits_of(request, outcome)
    if found is None:
        return {}
    shown, left = [], _MAX_EDITED_BYTES
    for change in found[:MAX_EDITS]:
        proposed, answered = change.texts()
        left -= sum(len(text.encode()) for text in (change.place, proposed, answered) if text)
        if left < 0 or len(change.place) > MAX_EDIT_PATH_CHARS:
            break
        shown.append(Edit(path=change.place, proposed=proposed, answered=answered))
    return {"edited": shown, "edits_left_out": len(found) - len(shown) or None}


def fitting(human_input: HumanInput) -> HumanInput:
    """Return a HumanInput that etcd can hold, with room for its answer. An annotation names what was left out."""
    left_out: list[str] = []
    if not any(getattr(human_input.spec, field) for field in _MAY_BE_LEFT_OUT):
        return human_input
    for field, nothing in _MAY_BE_LEFT_OUT.items():
        if len(json.dumps(human_input.to_object(), ensure_ascii=False).encode()) <= _MAX_SHOWN_BYTES:
            break
        if getattr(human_input.spec, field):
            left_out.append(to_camel(field))
            spec = human_input.spec.model_copy(update={field: nothing})
            annotations = human_input.metadata.annotations | {LEFT_OUT_ANNOTATION: " ".join(left_out)}
            metadata = human_input.metadata.model_copy(update={"annotations": annotations})
            human_input = human_input.model_copy(update={"spec": spec, "metadata": metadata})
    return human_input
