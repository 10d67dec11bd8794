"""Pages for people: the templates, and what makes other people's text harmless in them.

Whatever a template prints passes `hitl.errors.printable`: no page holds a control character, or one that turns
the direction of writing.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from hitl.core.approval import policy_sentence
from hitl.core.documents import Origin, OutcomeDocument, RequestDocument, format_time
from hitl.core.escalation import named_shortly, steps_of
from hitl.core.files import asks_for_file
from hitl.core.forms.held import initial
from hitl.core.forms.plan import FEW
from hitl.core.tally import Standing
from hitl.core.text import ascii_controls
from hitl.core.votes import VoteDocument
from hitl.errors import printable
from hitl.records.submissions import new_submission_id
from hitl_webapp.below import SITE
from hitl_webapp.compiled import compile_all, compiled_templates
from hitl_webapp.durations import duration, span
from hitl_webapp.edited import answer_rows, edit_rows
from hitl_webapp.evidence import NOTHING, Shown
from hitl_webapp.fields import field_for
from hitl_webapp.parts import FILTERS, PartsForm, parts_form
from hitl_webapp.problems import Problem
from hitl_webapp.prompts import prompt_html, prompt_line
from hitl_webapp.sentences import channel, sender, shown_value, standing

STATIC: Final = Path(__file__).parent / "static"
_LONG_SCHEMA_CHARS: Final = 100_000
# Embeddings, overrides and isolates of direction.
_TURNS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Ballot(NamedTuple):
    """The votes on a question, as its form shows them to one visitor.

    Args:
        standing: How far they are.
        mine: The visitor's own, if there is one.
        told: The result of what the visitor has just done, as sentences.
    """

    standing: Standing
    mine: VoteDocument | None = None
    told: str = ""


class Handing(NamedTuple):
    """Who answers on behalf of which person, as the form shows it to one visitor.

    Args:
        to: Who the visitor handed the question over to; empty: nobody.
        used: Whether that one acted on it, so that it stays.
        on_behalf_of: On whose behalf the visitor answers; empty: for themselves.
        may: Whether the visitor may hand it over.
        told: The result of what the visitor has just done, as a sentence.
    """

    to: str = ""
    used: bool = False
    on_behalf_of: str = ""
    may: bool = False
    told: str = ""


HANDED_TO_NOBODY: Final = Handing()
Place: TypeAlias = Literal["value", "comment", "name", "parts", "to"]
Step: TypeAlias = Literal["answer", "decline", "delegate"]


class Fault(NamedTuple):
    """What is wrong with one field of a form.

    Args:
        place: The field.
        sentence: What is wrong with it, and what would be right.
        details: One sentence for each fault, when there are several.
    """

    place: Place
    sentence: str
    details: tuple[str, ...] = ()


class FormView(NamedTuple):
    """A question's form, as one visitor sees it.

    Args:
        request: The question.
        token: The link's token, which the form sends back; empty for a visitor who signed in.
        name: The visitor's verified name; empty lets them type one.
        person: Whose link the visitor has; empty: nobody's.
        typed: What was typed before, to be kept. None: nothing yet, so the form holds what it holds at first.
        fault: What is wrong with it.
        notice: Something that is wrong with none of it, such as a storage that does not answer.
        refusal: Why this visitor may not answer; empty: they may.
        sign_in: Where they sign in, if that helps.
        step: Which of the forms it is.
        parts: The answer's parts, as they were typed so far. None: nothing yet, or it has none.
        evidence: What is shown beside the question.
        ballot: How far the votes are, where several people must agree.
        handing: Who answers on behalf of which person.
    """

    request: RequestDocument
    token: str = ""
    name: str = ""
    person: str = ""
    typed: dict[str, str] | None = None
    fault: Fault | None = None
    notice: str = ""
    refusal: str = ""
    sign_in: str = ""
    step: Step = "answer"
    parts: PartsForm | None = None
    evidence: Shown = NOTHING
    ballot: Ballot | None = None
    handing: Handing = HANDED_TO_NOBODY


def typed_text(text: str) -> Markup:
    """Return what somebody typed, for the field they typed it in, which must not change it.

    What turns the direction of writing is written as a reference, so that the page's source holds none.
    """
    escaped = str(escape(text)).replace("\r", "&#13;")
    return Markup(_TURNS.sub(lambda found: f"&#{ord(found[0])};", escaped))  # noqa: S704 - escaped just now


def _safe(value: Any) -> Any:
    if isinstance(value, Markup):
        return Markup(printable(value))  # noqa: S704 - it was markup before
    return printable(value) if isinstance(value, str) else value


@cache
def asset(name: str) -> str:
    """Return the path of a static file, which changes whenever its content does."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{digest}/{name}"


def address(path: str) -> str:
    """Return the address of a path of the web app, as the visitor's browser must write it."""
    return SITE.get().address(path)


def _keyless(path: str) -> str:
    return SITE.get().keyless(path)


def _asset(name: str) -> str:
    return address(asset(name))


def _run_address(origin: Origin) -> str:
    return SITE.get().run_address(origin)


def _sign_out() -> str:
    return SITE.get().sign_out


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hitl_webapp"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_safe,
        bytecode_cache=compiled_templates(Path(__file__).parent),
    )
    environment.filters["when"] = _when
    environment.filters["prompt"] = prompt_html
    environment.filters["prompt_line"] = prompt_line
    environment.filters["typed"] = typed_text
    environment.filters["schema_text"] = _schema_text
    environment.filters |= FILTERS
    environment.filters["duration"] = duration
    environment.filters["span"] = span
    environment.filters["steps"] = steps_of
    environment.filters["named"] = named_shortly
    environment.filters["policy"] = policy_sentence
    environment.globals["asset"] = _asset
    environment.globals["address"] = address
    environment.globals["keyless"] = _keyless
    environment.globals["run_address"] = _run_address
    environment.globals["sign_out"] = _sign_out
    environment.globals["shown_value"] = shown_value
    environment.globals["sender"] = sender
    environment.globals["channel"] = channel
    return environment


def keep_compiled() -> None:
    """Compile every template now, so that no start has to. An image that is built does so."""
    compile_all(_environment())


def render(template: str, **content: Any) -> str:
    """Return a page."""
    return _environment().get_template(template).render(**content)


def form_page(view: FormView) -> str:
    """Return a question's form, or the one by which it is declined or handed over."""
    request = view.request
    answer = "file.html" if asks_for_file(request) else "form.html"
    return render(
        {"answer": answer, "decline": "decline.html", "delegate": "delegate.html"}[view.step],
        request=request,
        field=field_for(request),
        parts=parts_form(request) if view.parts is None else view.parts,
        few=FEW,
        token=view.token,
        name=view.name,
        person=view.person,
        typed={"value": _first(request)} if view.typed is None else view.typed,
        prefilled=_prefilled(request) if view.typed is None else "",
        fault=view.fault,
        notice=view.notice,
        refusal=view.refusal,
        sign_in=view.sign_in,
        evidence=view.evidence,
        ballot=view.ballot,
        handing=view.handing,
        # A browser that loads the page after a vote again sends that vote again, which may be withdrawn by then.
        submission_id=new_submission_id(),
    )


def _first(request: RequestDocument) -> str:
    text = initial(request) or ""
    # JSON is written without what a field would not send back.
    return ascii_controls(text) if request.data_type == "json" else text


def _prefilled(request: RequestDocument) -> str:
    if request.refused and request.proposed is not None:
        return "That answer is filled in. Change what is not right, then send it."
    if request.proposed is not None:
        return "The proposed answer is filled in. Change what is not right, then send it."
    return "" if request.default is None else "The default is filled in. Change it if you want another answer."


def outcome_page(
    request: RequestDocument,
    outcome: OutcomeDocument,
    *,
    recorded: bool,
    lost: str = "",
    note: str = "",
    name: str = "",
    typed: dict[str, str] | None = None,
    evidence: Shown = NOTHING,
) -> str:
    """Return what was recorded for a question, who did it and when.

    Args:
        request: The question.
        outcome: Its outcome.
        recorded: This very visitor's submission has just become it.
        lost: That the visitor's submission did not, as sentences.
        note: What of the submission was not taken over, as it was recorded before.
        name: The visitor's verified name, or empty.
        typed: What the visitor had typed into a form that came too late, so that it is not lost.
        evidence: What was shown beside the question.
    """
    return render(
        "outcome.html",
        request=request,
        outcome=outcome,
        recorded=recorded,
        lost=lost,
        standing=standing(outcome),
        edits=edit_rows(request, outcome),
        parts=answer_rows(request, outcome),
        note=note,
        name=name,
        typed=_shown_typed(request, typed),
        evidence=evidence,
    )


def _shown_typed(request: RequestDocument, typed: dict[str, str] | None) -> dict[str, str]:
    return {} if typed is None else {**typed, "value": shown_value(request, typed.get("value", ""))}


def message_page(
    title: str,
    detail: str,
    typed: dict[str, str] | None = None,
    *,
    sign_in: str = "",
    sign_out: str = "",
    name: str = "",
    again: bool = False,
    home: bool = False,
) -> str:
    """Return a page with one sentence, what the visitor had typed, and where to go on, if anywhere."""
    ways = {"sign_in": sign_in, "leave": sign_out, "again": again, "home": home}
    return render("message.html", name=name, title=title, detail=detail, typed=typed or {}, **ways)


def signed_out_page(problem: Problem, sign_in: str, action: str, sent: Sequence[tuple[str, str]]) -> str:
    """Return what a form sent in nobody's name, to be sent again by the same person once they have signed in.

    Args:
        problem: The refusal.
        sign_in: Where to sign in.
        action: The path that the form is sent to.
        sent: The form's fields with their values.
    """
    return render("signed_out.html", problem=problem, sign_in=sign_in, action=action, sent=sent)


def _schema_text(schema: dict[str, Any]) -> str:
    text = json.dumps(schema, ensure_ascii=False, indent=2)
    # Indented, a deeply nested schema would be mostly blanks.
    return text if len(text) <= _LONG_SCHEMA_CHARS else json.dumps(schema, ensure_ascii=False)


def _when(moment: datetime) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), format_time(moment)
    )
