"""What pages say about an answer that does not fit and about one that came too late, in words for everybody."""

from __future__ import annotations

from typing import Final

from hitl.core.documents import OutcomeDocument, RequestDocument, Via
from hitl.core.forms.hints import text_refusal
from hitl.core.forms.labels import told
from hitl.core.forms.moments import canonical
from hitl.core.forms.offers import offered
from hitl.errors import InvalidValue, one_line
from hitl.records.submissions import Settled
from hitl_webapp.fields import Field, field_for

RUN_ABORTED: Final = "RunAborted"
_SHORT_CHARS: Final = 60
_FEW_CHOICES: Final = 8
_NAMELESS: Final[dict[Via, str]] = {
    "operator": "the HITL operator (a program)",
    "program": "the program that asked",
    "kubectl": "somebody with kubectl",
    "cli": "somebody at the command line",
    "gitops": "a commit",
}
_BOOL: Final = {"true": "Yes", "false": "No"}


def shown_value(request: RequestDocument, text: str | None) -> str:
    """Return a value's text as the form has it: of a choice with a label, the label and the value."""
    if text is None:
        return ""
    return _BOOL.get(text, text) if request.data_type == "bool" else told(offered(request), text)


def what_fits(request: RequestDocument, typed: str, error: InvalidValue) -> tuple[str, tuple[str, ...]]:
    """Return what would be right in the place of an answer that does not fit, and further sentences.

    Args:
        request: The question.
        typed: The answer, as it was typed.
        error: What is wrong with it.
    """
    field = field_for(request)
    blank = not typed.strip()
    if field.offers:
        return _choose(request, field), ()
    if field.widget == "bool":
        return "Choose Yes or No.", ()
    if field.kind and not blank:
        try:
            canonical(field.kind, typed)
        except InvalidValue as found:
            return str(found), ()
    if field.enter and (blank or error.details or not any(each.isdigit() for each in typed)):
        return field.enter, ()
    if blank:
        return _enter_something(field), ()
    said = text_refusal(request.json_schema or {}, typed) if request.data_type == "str" and error.details else ""
    return (said, ()) if said else (str(error), error.details)


def lost(request: RequestDocument, outcome: OutcomeDocument, typed: str) -> str:
    """Return the sentences for somebody whose answer was not first.

    Args:
        request: The question.
        outcome: The recorded one.
        typed: Their answer, as it was typed; empty: they declined.
    """
    short = one_line(shown_value(request, typed))
    yours = "What you sent was not used."
    if short:
        yours = (
            f"Your answer ({short}) was not used." if len(short) <= _SHORT_CHARS else "Your answer was not used."
        )
    match outcome.outcome:
        case "answered" if outcome.reason != "DefaultUsed":
            return f"Someone answered first. {yours}{_recorded(request, outcome)}"
        case "rejected":
            return f"Someone declined first. {yours}{_recorded(request, outcome)}"
        case _:
            return f"{standing(outcome)} {yours}"


def ended(request: RequestDocument, outcome: OutcomeDocument) -> str:
    """Return how a question ended, and what was recorded, in one line."""
    return standing(outcome) + _recorded(request, outcome)


def _recorded(request: RequestDocument, outcome: OutcomeDocument) -> str:
    several = outcome.votes or outcome.respondent.on_behalf_of
    name = outcome.by() if several else one_line(outcome.respondent.name)
    by = f", by {name}" if name else ""
    if outcome.outcome == "rejected":
        return f" Recorded: declined{by}."
    if outcome.outcome != "answered" or outcome.reason == "DefaultUsed":
        return ""
    value = one_line(shown_value(request, outcome.value_text()))
    return f" Recorded: {value}{by}." if len(value) <= _SHORT_CHARS else ""


def standing(outcome: OutcomeDocument) -> str:
    """Return how a question ended, for somebody who comes later."""
    match outcome.outcome:
        case "answered" if outcome.reason == "DefaultUsed":
            return "The deadline has passed. Nobody answered, so the default was used."
        case "answered":
            return "This question was answered."
        case "rejected":
            return "Somebody declined to answer. The workflow has been told why."
        case "timed_out":
            return "The deadline has passed. Nobody answered."
        case "cancelled" if outcome.reason == RUN_ABORTED:
            return "The workflow has ended. This question needs no answer any more."
        case "cancelled":
            return "This question was withdrawn. It needs no answer any more."


def vote_note(settled: Settled) -> str:
    """Return what else there is to say of a submission that was saved: of a vote, how far the votes are."""
    return " ".join(filter(None, (settled.note, settled.standing.sentence() if settled.standing else "")))


def sender(outcome: OutcomeDocument) -> str:
    """Return who is recorded: of several who agreed, each. What no person sent says so."""
    if len(outcome.votes) > 1:
        return outcome.by()
    if outcome.respondent.on_behalf_of:
        return outcome.by()
    return outcome.respondent.name or _NAMELESS.get(outcome.respondent.via, "somebody with a link")


def channel(outcome: OutcomeDocument) -> str:
    """Return over which channel it came; empty where `sender` says it."""
    said = not outcome.respondent.name and outcome.respondent.via in _NAMELESS
    return "" if said and not outcome.respondent.commit else outcome.channel()


def _choose(request: RequestDocument, field: Field) -> str:
    name, choices = one_line(request.event_name), [one_line(told(field.offers, each)) for each in field.choices]
    if len(choices) > _FEW_CHOICES or sum(map(len, choices)) > _FEW_CHOICES * _SHORT_CHARS:
        return f"{name}: choose one of the {len(choices)} answers in the list."
    if len(choices) == 1:
        return f"{name}: choose {choices[0]}."
    return f"{name}: choose {', '.join(choices[:-1])} or {choices[-1]}."


def _enter_something(field: Field) -> str:
    match field.widget:
        case "json":
            return f"Enter {field.hint[0].lower()}{field.hint[1:]}."
        case "line" if field.exact:
            return f"Enter {field.hint[0].lower()}{field.hint[1:]}."
        case _:
            return "Write your answer."
