"""Prompts as pages show them: Markdown that can do nothing, or the very text.

Prompts are often made of data: paths, names of tables, formulas. So `*` and `_` are emphasis only around words,
and `__` never is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token
from markupsafe import Markup, escape

from hitl.core.text import printable

_TAGS: Final = {
    *("p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
# Each block of a prompt is written in its own direction.
_BLOCKS: Final = ("p", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td")
_URL: Final = re.compile(r"""\bhttps?://[^\s<>"'`]+""", re.IGNORECASE)
_AFTER_URL: Final = ".,;:!?*_~"
# Emphasis may begin behind these, and end before those; what is not ASCII needs no blank around it.
_BEFORE: Final = " \t\n([{\"'*_~>|-"
_AFTER: Final = " \t\n)]}\"'*_~.,;:!?<|-"
_LINK: Final = Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>')
_TASK: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}


class Prompted(Protocol):
    """What has a prompt: a question, or what the inbox keeps of one."""

    @property
    def prompt(self) -> str:
        """The prompt."""
        ...

    @property
    def prompt_format(self) -> str:
        """How it is written."""
        ...


def prompt_html(request: Prompted) -> Markup:
    """Return a question's prompt as HTML."""
    return _plain_html(request.prompt) if request.prompt_format == "plain" else markdown(request.prompt)


def prompt_line(request: Prompted) -> str:
    """Return a question's prompt as the words that people read, on one line."""
    return " ".join(Markup(nh3.clean(str(prompt_html(request)), tags=set())).unescape().split())  # noqa: S704 - nh3 has just cleaned it


@lru_cache(maxsize=512)
def markdown(text: str) -> Markup:
    """Return Markdown as HTML that can do nothing: no raw HTML, no links but to the web and mail.

    An image is a link with its alternative text: a page that loaded it would tell its server who reads.
    """
    return markdown_once(text)


def markdown_once(text: str) -> Markup:
    """Return what `markdown` does, of a text too long to be remembered."""
    clean = nh3.clean(
        _PARSER.render(text),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={block: {"dir": "auto"} for block in _BLOCKS},
    )
    # A table scrolls, which the keyboard can do as well.
    scrolling = clean.replace("<table", '<div class="table" tabindex="0" role="region" aria-label="Table"><table')
    # After the rendering, as Markdown may write a character as a reference.
    return Markup(printable(scrolling.replace("</table>", "</table></div>")))  # noqa: S704 - nh3 has just cleaned it


def _plain_html(text: str) -> Markup:
    parts: list[Markup] = []
    for piece, is_url in _pieces(text):
        parts.append(_LINK.format(piece) if is_url else escape(piece))
    return Markup('<p class="plain" dir="auto">{}</p>').format(Markup("").join(parts))


def _pieces(text: str) -> list[tuple[str, bool]]:
    """Return a text in pieces, each with whether it is an address of the web."""
    pieces, done = [], 0
    for found in _URL.finditer(text):
        url = found[0].rstrip(_AFTER_URL)
        while url.endswith(")") and url.count(")") > url.count("("):
            url = url[:-1].rstrip(_AFTER_URL)
        pieces += [(text[done : found.start()], False), (url, True)]
        done = found.start() + len(url)
    return [(piece, is_url) for piece, is_url in [*pieces, (text[done:], False)] if piece]


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Take stars and underscores for emphasis around words only. markdown-it's own rule, but for that."""
    start, marker = state.pos, state.src[state.pos]
    if silent or marker not in ("_", "*"):
        return False
    run = state.scanDelims(start, marker == "*")
    end = start + run.length
    before, after = state.src[start - 1 : start] or " ", state.src[end : end + 1] or " "
    bold_by_underscores = marker == "_" and run.length > 1
    opens = (before in _BEFORE or not before.isascii()) and after not in "./\\,;:!?)"
    closes = (after in _AFTER or not after.isascii()) and before not in "/\\("
    for _ in range(run.length):
        token = state.push("text", "", 0)
        token.content = marker
        state.delimiters.append(
            Delimiter(
                marker=ord(marker),
                length=run.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=run.can_open and opens and not bold_by_underscores,
                close=run.can_close and closes and not bold_by_underscores,
            )
        )
    state.pos = end
    return True


def _links_and_tasks(state: StateCore) -> None:
    """Make links of bare addresses and images, and boxes of `[ ]` and `[x]` at the beginning of a list's item.

    Headings go below the page's own, which is its first.
    """
    before: list[str] = []
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 1, 6)}"
        if token.type == "inline" and token.children:
            first = token.children[0]
            if before[-2:] == ["list_item_open", "paragraph_open"] and first.content[:4] in _TASK:
                first.content = _TASK[first.content[:4]] + first.content[4:]
            token.children = _with_links(token.children)
        before.append(token.type)


def _with_links(tokens: list[Token]) -> list[Token]:
    made: list[Token] = []
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "image":
            made += _instead_of(token, linked=depth == 0)
            continue
        if token.type != "text" or depth:
            made.append(token)
            continue
        for piece, is_url in _pieces(token.content):
            text = Token("text", "", 0, content=piece)
            href: dict[str, str | int | float] = {"href": piece}
            made += (
                [Token("link_open", "a", 1, attrs=href), text, Token("link_close", "a", -1)] if is_url else [text]
            )
    return made


def _instead_of(image: Token, *, linked: bool) -> list[Token]:
    """Return what is shown instead of an image: its alternative text, as a link to it unless it is in one."""
    source = str(image.attrs.get("src", ""))
    words = " ".join("".join(each.content or " " for each in image.children or []).split())
    text = Token("text", "", 0, content=words or source)
    if not linked or not _URL.fullmatch(source):
        return [text]
    href: dict[str, str | int | float] = {"href": source}
    return [Token("link_open", "a", 1, attrs=href), text, Token("link_close", "a", -1)]


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.core.ruler.push("links_and_tasks", _links_and_tasks)
    return parser


_PARSER: Final = _parser()
