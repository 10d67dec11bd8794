"""What is asked, as a question and its stored document share it."""

import hashlib
import json
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from hitl.core.approval import Approval
from hitl.core.escalation import MAX_STEPS, Step
from hitl.core.evidence import MAX_EVIDENCE, Evidence
from hitl.core.limits import MAX_CHOICE_CHARS, MAX_CHOICES, MAX_COMMENT_CHARS, MAX_NAME_CHARS, MAX_PROMPT_CHARS
from hitl.core.reminders import Reminders
from hitl.core.respondents import MAX_PERSON_CHARS, Respondents
from hitl.core.values import DataType

OnTimeout: TypeAlias = Literal["fail", "default"]
PromptFormat: TypeAlias = Literal["markdown", "plain"]


class Asked(BaseModel):
    """What a question and its document share.

    `choices`, `default` and `proposed` are canonical texts of `data_type`, and so are the keys of `choice_labels`.
    `proposed` is what the form holds at first; `refused` is what the program said of the answer before. With an
    `approval`, several people must agree; `requester` is the user it is asked for. `escalation` says who may
    answer later as well, and `reminders` when people are reminded.
    """

    # Pydantic need not prepare what is only a base: that takes a while at each start.
    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    event_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)
    data_type: DataType
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    choices: list[Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARS)]] = Field(
        default_factory=list, max_length=MAX_CHOICES
    )
    default: str | None = None
    on_timeout: OnTimeout = "fail"
    respondents: Respondents = Field(default_factory=Respondents)
    prompt_format: PromptFormat = "markdown"
    proposed: str | None = None
    choice_labels: dict[str, Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARS)]] = Field(
        default_factory=dict, max_length=MAX_CHOICES
    )
    evidence: list[Evidence] = Field(default_factory=list, max_length=MAX_EVIDENCE)
    refused: list[Annotated[str, Field(max_length=MAX_COMMENT_CHARS)]] = Field(
        default_factory=list, max_length=MAX_CHOICES
    )
    approval: Approval | None = None
    requester: str = Field(default="", max_length=MAX_PERSON_CHARS)
    escalation: list[Step] = Field(default_factory=list, max_length=MAX_STEPS)
    reminders: Reminders | None = None

    COMPARED: ClassVar = ("prompt", "data_type", "schema", "choices", "default", "respondents")
    # Earlier releases knew none of them: the digests of what they asked stay as they were.
    COMPARED_WHERE_GIVEN: ClassVar = (
        "prompt_format",
        "proposed",
        "choice_labels",
        "evidence",
        "refused",
        "approval",
        "requester",
        "escalation",
    )

    def question_digest(self) -> str:
        """Return a digest of what is asked and who may answer: equal for equal questions, at any time."""
        content = self.model_dump(mode="json", by_alias=True)
        compared = {name: content[name] for name in self.COMPARED}
        compared |= {
            name: content[name]
            for name in self.COMPARED_WHERE_GIVEN
            if getattr(self, name) != Asked.model_fields[name].get_default(call_default_factory=True)
        }
        return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()
