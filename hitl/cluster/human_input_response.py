"""HumanInputResponse, version v1alpha1: see `hitl.cluster.v1alpha1`."""

from __future__ import annotations

from pydantic import Field

from hitl.cluster.shapes import Condition, Identity, Shape
from hitl.cluster.v1alpha1 import KubernetesObject, Name, ValueText
from hitl.core.keys import REQUEST_ID_PATTERN
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.respondents import Person


class ResponseTarget(Shape):
    """Which question is answered: by the HumanInput's name, in the same namespace, or by the request's id."""

    name: Name | None = Field(default=None, description="The HumanInput's name.")
    request_id: str | None = Field(
        default=None,
        alias="requestID",
        pattern=REQUEST_ID_PATTERN,
        max_length=63,
        description="The request's id, as `status.requestID` shows it.",
    )


class HumanInputResponseSpec(Shape):
    """An answer or a rejection, given without touching the question; or what withdraws or delegates. It never
    changes."""

    request_ref: ResponseTarget = Field(description="Which question is answered.")
    value: ValueText | None = Field(default=None, description="The answer, always as a string.")
    reject: bool = Field(default=False, description="true refuses to answer; then there is no value.")
    withdraw: bool = Field(
        default=False,
        description="true withdraws the user's vote, or takes back that they handed the question over.",
    )
    delegate_to: Person | None = Field(
        default=None, description="The user who answers on behalf of this one: the question is handed over."
    )
    comment: str = Field(
        default="", max_length=MAX_COMMENT_CHARS, description="A remark that is recorded with it."
    )
    respondent: Identity | None = Field(default=None, description="Who responds. Stamped at admission.")


class HumanInputResponseStatus(Shape):
    """The result of the response."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status was found for; -1 before the operator has seen it.",
    )
    conditions: list[Condition] = Field(default_factory=list, max_length=16, description="Accepted.")

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of a type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)


class HumanInputResponse(KubernetesObject):
    """A response to a HumanInput, as an object of its own: for GitOps, and for those who may only answer."""

    spec: HumanInputResponseSpec
    status: HumanInputResponseStatus = HumanInputResponseStatus()
