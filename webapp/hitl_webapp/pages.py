"""Pages for people: which input fits a question, and the templates around it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import nh3
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from hitl.documents import OutcomeDocument, RequestDocument, format_time

STATIC: Final = Path(__file__).parent / "static"
_RADIO_CHOICES: Final = 8
_LONG_PROMPT_CHARS: Final = 400
# Beyond this a browser's number field rounds: what was typed must arrive as it was typed.
_JS_SAFE: Final = 2**53 - 1
_TAGS: Final = {
    *("p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}

Widget: TypeAlias = Literal["number", "text", "textarea", "json", "bool", "radio", "select"]


@dataclass(frozen=True)
class Field:
    """The input of a form.

    Args:
        widget: Its kind.
        step, low, high: Of a number, as HTML writes them; empty when unbounded.
        choices: What is offered, as canonical texts.
        hint: A sentence below the label.
    """

    widget: Widget
    step: str = ""
    low: str = ""
    high: str = ""
    choices: tuple[str, ...] = ()
    hint: str = ""


def field_for(request: RequestDocument) -> Field:
    """Return the input that fits a question."""
    schema = request.json_schema or {}
    if request.choices:
        kind: Widget = "radio" if len(request.choices) <= _RADIO_CHOICES else "select"
        return Field(kind, choices=tuple(request.choices))
    match request.data_type:
        case "bool":
            return Field("bool")
        case "int":
            low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
            return Field(
                "number", _bound(schema, "multipleOf") or "1", low, high, hint=_range(low, high, "A whole number")
            )
        case "float":
            low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
            return Field("number", "any", low, high, hint=_range(low, high, "A number"))
        case "str":
            long = not isinstance(limit := schema.get("maxLength"), int) or limit > 120
            return Field("textarea" if long else "text")
        case "json":
            return Field("json", hint='A JSON value, such as {"table": "users", "rows": 3}')


def _bound(schema: dict[str, Any], name: str) -> str:
    bound = schema.get(name)
    usable = isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) <= _JS_SAFE
    return format(bound, "g") if usable and isinstance(bound, float) else str(bound) if usable else ""


def _range(low: str, high: str, what: str) -> str:
    if low and high:
        return f"{what} from {low} to {high}"
    return f"{what}, at least {low}" if low else f"{what}, at most {high}" if high else what


@lru_cache(maxsize=512)
def markdown(text: str) -> Markup:
    """Return Markdown as HTML that can do nothing: no raw HTML, no images, no links but to the web and mail."""
    html = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True}).enable("table").render(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 - nh3 has just cleaned it


def plain(text: str) -> str:
    """Return Markdown as the words that people read, on one line."""
    return " ".join(Markup(nh3.clean(str(markdown(text)), tags=set())).unescape().split())  # noqa: S704 - as above


@cache
def asset(name: str) -> str:
    """Return the URL of a static file, which changes whenever its content does."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{digest}/{name}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hitl_webapp"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["when"] = _when
    environment.filters["markdown"] = markdown
    environment.filters["plain"] = plain
    environment.globals["asset"] = asset
    return environment


def render(template: str, **content: Any) -> str:
    """Return a page."""
    return _environment().get_template(template).render(**content)


def form_page(
    request: RequestDocument,
    *,
    token: str,
    name: str,
    typed: dict[str, str] | None = None,
    error: str = "",
    details: tuple[str, ...] = (),
    notice: str = "",
    refusal: str = "",
) -> str:
    """Return a question's form.

    Args:
        request: The question.
        token: The link's token, which the form sends back; empty for a visitor who signed in.
        name: The visitor's verified name; empty lets them type one.
        typed: What was typed before, to be kept.
        error: What is wrong with it, as a sentence.
        details: One sentence for each fault.
        notice: Something that is wrong with none of it, such as a storage out of reach.
        refusal: Why this visitor may not answer; empty: they may.
    """
    return render(
        "form.html",
        request=request,
        field=field_for(request),
        token=token,
        name=name,
        typed=typed or {},
        error=error,
        details=details if len(details) > 1 else (),
        notice=notice,
        refusal=refusal,
        long=len(request.prompt) > _LONG_PROMPT_CHARS,
    )


def outcome_page(
    request: RequestDocument, outcome: OutcomeDocument, *, recorded: bool, refused: str = "", note: str = ""
) -> str:
    """Return what was recorded for a question, by whom and when.

    Args:
        request: The question.
        outcome: Its outcome.
        recorded: This very visitor's submission has just become it.
        refused: Why the visitor's submission did not.
        note: What of the submission was not taken over, as it was recorded before.
    """
    return render("outcome.html", request=request, outcome=outcome, recorded=recorded, refused=refused, note=note)


def _when(moment: datetime) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), format_time(moment)
    )
