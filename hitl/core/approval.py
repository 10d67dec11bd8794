"""Who must agree before a question is answered: how many people, of which groups, and who does not count.

The policy is part of the question, so it is stored with it and cannot change while people vote. A policy that
never could be fulfilled is refused when the question is asked. What votes decide, `hitl.core.tally` tells.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from hitl.core.faults import sentence
from hitl.core.respondents import MAX_PERSON_CHARS, Respondents
from hitl.core.strictjson import shortened
from hitl.core.text import is_alike, is_name
from hitl.errors import InvalidRequest

CommentRequired: TypeAlias = Literal["Never", "OnReject", "Always"]

MAX_REQUIRED: Final = 64
MAX_GROUPS: Final = 16


class Approval(BaseModel):
    """Who must agree before a question is answered: several people, who give the same answer.

    Args:
        required: How many people must give the same answer, 1 to 64. Each person counts once.
        groups: How many of them must be of which group, at most 16 groups. Each person counts for one group.
        rejections: How many people must decline, so that the question is rejected, 1 to 64.
        exclude_requester: Whether the `requester` of the question may not vote.
        comment_required: Who must write a comment: ``"Never"`` nobody, ``"OnReject"`` who declines, ``"Always"``
            everybody.
        allow_links: Whether votes count whose sender is not verified: one for each link, or for each name that a
            shell gives. A person with two links has two votes.

    Raises:
        InvalidRequest: saying which argument is invalid and why.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        defer_build=True,
    )

    required: int = Field(
        strict=True,
        ge=1,
        le=MAX_REQUIRED,
        validation_alias=AliasChoices("requiredResponses", "required"),
        serialization_alias="requiredResponses",
    )
    groups: dict[str, Annotated[int, Field(strict=True)]] = Field(default_factory=dict, max_length=MAX_GROUPS)
    rejections: int = Field(default=1, strict=True, ge=1, le=MAX_REQUIRED)
    exclude_requester: bool = Field(default=False, strict=True)
    comment_required: CommentRequired = "Never"
    allow_links: bool = Field(default=False, strict=True)

    if not TYPE_CHECKING:
        # Type checkers see the fields.
        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise InvalidRequest(f"approval: {sentence(error)}") from error

    @model_validator(mode="after")
    def _whole(self) -> "Approval":
        seats = sum(self.groups.values())
        if seats > self.required:
            raise ValueError(
                f"the groups need {seats} people, as each counts for one group, and required is {self.required}: "
                f"give required={seats} or more"
            )
        for name, number in self.groups.items():
            if not is_name(name) or len(name) > MAX_PERSON_CHARS:
                raise ValueError(f"groups: {shortened(repr(name))} is no name of a group")
            if number < 1:
                raise ValueError(f"groups: {number} of {name} makes no sense: give 1 or more, or leave it out")
        if self.allow_links and (self.groups or self.exclude_requester):
            what = "groups" if self.groups else "exclude_requester"
            raise ValueError(f"a link does not say who uses it: leave out allow_links, or {what}")
        return self

    @field_validator("groups", mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        # It is stored as a list, which the API server can merge by name. Only there an empty one means nobody.
        if given == {}:
            raise ValueError("it names no group, so anybody could decide: name one, or leave groups out")
        if not isinstance(given, list):
            return given
        if not all(isinstance(each, Mapping) and set(each) == {"name", "required"} for each in given):
            raise ValueError("each group has a name and the number that is required")
        found = {each["name"]: each["required"] for each in given}
        if len(found) < len(given):
            raise ValueError("a group is there twice")
        return found

    @field_serializer("groups")
    def _listed(self, groups: dict[str, int]) -> list[dict[str, str | int]]:
        return [{"name": name, "required": required} for name, required in sorted(groups.items())]


def needs_verified(approval: Approval) -> bool:
    """Tell whether only the votes of people count whose names are verified."""
    several = approval.required > 1 or approval.rejections > 1
    return not approval.allow_links and (several or bool(approval.groups) or approval.exclude_requester)


def policy_sentence(approval: Approval) -> str:
    """Return who must agree, as people read it."""
    people = _people(approval.required)
    groups = " and ".join(f"{number} of {name}" for name, number in sorted(approval.groups.items()))
    enough = f"{people} must give the same answer{f', among them {groups}' if groups else ''}."
    return enough if approval.rejections == 1 else f"{enough} {approval.rejections} who decline end the question."


def require_reachable(approval: Approval, respondents: Respondents, requester: str) -> None:
    """Refuse a policy that never could be fulfilled.

    Args:
        approval: The policy.
        respondents: Who may answer.
        requester: The user that the question is asked for; empty: nobody knows.

    Raises:
        InvalidRequest: saying what is missing.
    """
    if requester and not (is_name(requester) and len(requester) <= MAX_PERSON_CHARS):
        raise InvalidRequest(f"requester is {shortened(repr(requester))}: give the name of a user")
    if approval.exclude_requester and not requester:
        raise InvalidRequest("approval: exclude_requester needs requester, the name of the user who may not vote")
    if approval.allow_links and respondents:
        raise InvalidRequest(
            "approval: allow_links lets links vote, and respondents names who may: leave one of them out"
        )
    named = [each for each in respondents.users if not (approval.exclude_requester and is_alike(each, requester))]
    without = " without the requester" if len(named) < len(respondents.users) else ""
    if respondents and not respondents.groups and len(named) < approval.required:
        raise InvalidRequest(
            f"approval: {_people(approval.required)} must agree, and respondents names {len(named)}{without}: "
            "name more, or a group"
        )
    others = {group: number for group, number in approval.groups.items() if group not in respondents.groups}
    if respondents and len(named) < sum(others.values()):
        raise InvalidRequest(
            f"approval: {sum(others.values())} people must be of {', '.join(map(repr, sorted(others)))}, and "
            f"respondents names no such group, and {len(named)} users{without}: add the group to respondents"
        )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def refusal(approval: Approval, requester: str, *, name: str, verified: bool) -> str:
    """Return why somebody's vote does not count, as a sentence for them; empty: it does.

    Args:
        approval: The policy.
        requester: The user that the question is asked for.
        name: Who votes.
        verified: Whether that name is verified.
    """
    if needs_verified(approval) and not (verified and name):
        return (
            "Several people must agree on this question, so each must be known by name, and nobody has verified "
            "yours: sign in where this question is shown, or tell the sender."
        )
    if approval.exclude_requester and is_alike(name, requester):
        return f"This question is asked for {name}, so others must decide: your vote does not count."
    return ""
