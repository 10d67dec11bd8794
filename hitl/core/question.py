"""A question: what is asked, who may answer, and until when. It is valid from the moment that it exists.

A program, the command and a HumanInput all build a `Question` first. Its digest, its id and its stored document
are made from it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, Unpack

from pydantic import ConfigDict, JsonValue, ValidationError, field_validator, model_validator

from hitl.core import arguments
from hitl.core.approval import require_reachable
from hitl.core.asked import Asked, OnTimeout, PromptFormat
from hitl.core.escalation import may_ever_answer, require_sensible
from hitl.core.evidence import Evidence
from hitl.core.faults import sentence
from hitl.core.files import asks_for_file, require_file_alone
from hitl.core.further import Further, checked_further
from hitl.core.jsontypes import combined
from hitl.core.limits import MAX_CHOICES, MAX_COMMENT_CHARS
from hitl.core.pythontypes import AnswerType, as_json, is_decimal, require_usable
from hitl.core.respondents import Respondents
from hitl.core.several import answered_with
from hitl.core.text import is_blank
from hitl.core.unseen import require_seen
from hitl.core.values import Value, check_choice, format_value, parse_json, parse_text, signed
from hitl.errors import InvalidRequest, InvalidValue

if TYPE_CHECKING:
    from hitl.core.schema.work import Work


class Question(Asked):
    """A valid question, not stored yet. `Question.of` reads what an author writes.

    Args:
        timeout_seconds: Seconds from asking to the deadline.
        untyped_schema: The author's own schema. `json_schema` asks for what the data type says, too. Of a type
            only pydantic knows, it has what releases until 0.2.0 asked for: none before asked for such a type.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    timeout_seconds: float
    untyped_schema: dict[str, JsonValue] | None = None

    # Only of what is asked now: a question that an earlier release stored is still read.
    @field_validator("event_name", "prompt")
    @classmethod
    def _seen(cls, text: str) -> str:
        if is_blank(text):
            raise ValueError("nothing can be seen in it: give some text")
        return text

    @classmethod
    def of(
        cls,
        name: str,
        data_type: Any,
        prompt: str,
        timeout_seconds: float | timedelta,
        choices: Sequence[Value] | Mapping[Any, str] | None = None,
        default: Value = None,
        on_timeout: OnTimeout | None = None,
        schema: Mapping[str, JsonValue] | None = None,
        respondents: Respondents | Mapping[str, Sequence[str]] | None = None,
        prompt_format: PromptFormat = "markdown",
        proposed: Any = None,
        evidence: Sequence[Evidence] = (),
        multiple: bool = False,
        **further: Unpack[Further],
    ) -> Self:
        """Read what an author asks.

        Args:
            name: Shown to people; 1 to 128 characters, some of which can be seen.
            data_type: A Python type or a type name, see `hitl.core.pythontypes`.
            prompt: 1 to 16,384 characters, some of which can be seen.
            timeout_seconds: Seconds from asking to the deadline, over 0 and at most 366 days; or a `timedelta`.
            choices: Values of the type in the order in which they are shown, at most 64, all different; not for
                bool and json. A mapping gives each the label under which people see it.
            default: A value that fits, used at the deadline unless `on_timeout` says no. An empty text allows one.
            on_timeout: ``"fail"``, ``"default"``, or None for ``"default"`` where there is a default.
            schema: A JSON Schema that answers must fit, besides what the type says.
            respondents: Who may answer: at least one user or group. None: everyone who can open the form.
            prompt_format: ``"markdown"``, or ``"plain"`` for a prompt that is shown as it is.
            proposed: A value that fits, which the form holds at first. The outcome tells what was edited.
            evidence: What is shown beside the question, already stored; at most 32.
            multiple: Whether several of the choices may be given: the answer is a list of them.
            further: See `hitl.core.further.Further`.

        Raises:
            InvalidRequest: saying which argument is invalid and why.
        """
        data_type, asked, offered, labels = answered_with(data_type, choices, multiple)
        whole = combined(own := arguments.schema(schema), asked.schema)
        return cls._checked(
            data_type if asked.pydantic else None,
            event_name=name,
            prompt=prompt,
            data_type=asked.kind,
            json_schema=whole,
            choices=offered,
            default=_text(data_type, asked, default, "default"),
            on_timeout=_at_deadline(on_timeout, default),
            respondents=Respondents.asked(respondents),
            prompt_format=prompt_format,
            proposed=_text(data_type, asked, proposed, "proposed"),
            choice_labels=labels,
            evidence=list(evidence),
            **checked_further(further),
            timeout_seconds=arguments.seconds("timeout_seconds", timeout_seconds),
            untyped_schema=combined(own, asked.former or asked.schema) if asked.pydantic else own,
        )

    @classmethod
    def _checked(cls, known_to_pydantic: Any, /, **fields: Any) -> Self:
        try:
            question = cls(**fields)
        except ValidationError as error:
            # Documents call the name `event_name`.
            raise InvalidRequest(sentence(error).removeprefix("event_")) from error
        if known_to_pydantic is not None:
            _require_usable(question, known_to_pydantic)
        return question

    @model_validator(mode="after")
    def _whole(self) -> Self:
        require_whole(self)
        require_sensible(self, self.timeout_seconds)
        return self

    def with_refused(self, value: JsonValue, faults: Sequence[str]) -> Self:
        """Return this question as it is asked again: its form holds a refused answer, and says what is wrong.

        Args:
            value: The answer, as it was recorded.
            faults: A sentence for each fault.
        """
        refused = [each[:MAX_COMMENT_CHARS] for each in faults[:MAX_CHOICES]]
        return type(self)(**{**dict(self), "proposed": format_value(self.data_type, value), "refused": refused})

    def untyped_digest(self) -> str:
        """Return the digest of the question as earlier releases asked it, see `untyped_schema`.

        Release 0.1.0 stored no schema of a data type. Ids are made of this one, so that a task
        that was restarted since finds what it asked.
        """
        return self.model_copy(update={"json_schema": self.untyped_schema}).question_digest()

    def asks_the_same_as(self, stored: Asked) -> bool:
        """Tell whether a stored question is this one, asked by this release or by an earlier one."""
        return stored.question_digest() in (self.question_digest(), self.untyped_digest())


def parse_answer(
    asked: Asked, answer: Value, *, text: bool, formats: bool = True, work: "Work | None" = None
) -> Value:
    """Return the typed value of an answer, once it fits the question in every respect.

    Args:
        asked: The question, as stored.
        answer: What the respondent gave.
        text: The answer is text as a form holds it, rather than a JSON value.
        formats: Whether `format` in its schema is enforced.
        work: What the check of its schema may cost; None: what every check may.

    Raises:
        InvalidValue: with a sentence for the respondent.
    """
    # An author whose default is an empty text takes one from people, too.
    empty = asked.default == ""
    if text:
        given = answer if isinstance(answer, str) else ""
        if asked.data_type == "str" and is_decimal(asked.json_schema or {}):
            # A number as people type it, though it travels as text.
            given = signed(given.strip())
        parsed = parse_text(asked.data_type, given, empty=empty)
    else:
        parsed = parse_json(asked.data_type, answer, empty=empty)
    check_choice(format_value(asked.data_type, parsed), asked.choices, asked.choice_labels)
    if asked.json_schema is not None:
        _schemas().check_value(asked.json_schema, parsed, formats=formats, work=work)
        if asked.data_type == "json":
            require_seen(asked.json_schema, parsed, (asked.proposed, asked.default), work)
    return parsed


def require_whole(asked: Asked, *, formats: bool = True, work: "Work | None" = None) -> None:
    """Refuse a question whose parts do not fit each other, such as a default that is not one of the choices.

    Args:
        asked: The question.
        formats: Whether `format` in its schema is enforced.
        work: What all of it may cost; None: its schema, and all that must fit the schema, what every check may.

    Raises:
        InvalidRequest: saying which part does not fit, and why.
        TakesTooLong: its schema takes more than is left of the work.
    """
    if asked.on_timeout == "default" and asked.default is None:
        raise InvalidRequest("on_timeout='default' needs a default")
    if asked.approval is not None:
        require_reachable(asked.approval, may_ever_answer(asked), asked.requester)
        if asks_for_file(asked):
            raise InvalidRequest("approval: two files are hardly ever equal, so people agree on values only")
    elif asked.requester:
        raise InvalidRequest("requester is whose vote may not count, and here one person decides: give approval")
    if asked.json_schema is not None:
        require_file_alone(asked)
        _schemas().check_schema(asked.json_schema, work)
        # One for all choices, or a check of 64 of them would take a minute.
        work = work or _schemas().budget(formats=formats)
    for choice in asked.choices:
        _require_fitting(asked, "choice", choice, formats, work)
    for unknown in asked.choice_labels.keys() - set(asked.choices):
        raise InvalidRequest(f"a label is given for {unknown!r}, which is none of the choices")
    if asked.default is not None:
        _require_fitting(asked, "default", asked.default, formats, work)
    if asked.proposed is not None:
        _require_fitting(asked, "proposed value", asked.proposed, formats, work)


def _text(data_type: Any, asked: AnswerType, value: Any, argument: str) -> str | None:
    if value is None:
        return None
    return arguments.canonical(asked.kind, as_json(data_type, value), argument, empty=argument == "default")


def _at_deadline(on_timeout: OnTimeout | None, default: Value) -> OnTimeout:
    if on_timeout is not None:
        return on_timeout
    return "fail" if default is None else "default"


def _require_fitting(asked: Asked, what: str, text: str, formats: bool, work: "Work | None") -> None:
    try:
        parsed = parse_answer(asked, text, text=True, formats=formats, work=work)
    except InvalidValue as error:
        raise InvalidRequest(f"the {what} {text!r} does not fit its own question: {error}") from error
    if format_value(asked.data_type, parsed) != text:
        raise InvalidRequest(f"the {what} {text!r} is not in its canonical form")


def _require_usable(question: Question, data_type: Any) -> None:
    # What the type refuses would be recorded first, by a click or at the deadline, and help nobody then.
    given = [("default", question.default), ("proposed value", question.proposed)]
    given += [("choice", each) for each in question.choices]
    for what, text in given:
        if text is not None:
            require_usable(data_type, parse_answer(question, text, text=True), f"{what} {text!r}")


def _schemas() -> ModuleType:
    # Loaded when a question has a schema: it takes as long as everything else that a form needs.
    from hitl.core import schema

    return schema
