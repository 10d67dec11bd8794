"""Markdown to HTML, which `hitl_webapp.prompts` cleans: emphasis as people mean it, links, and boxes of tasks.

Prompts are often made of data: paths, names of tables, formulas. So `*` and `_` are emphasis only around words,
and `__` never is. It is loaded for the first text that needs it, as most prompts are plain sentences.
"""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from hitl_webapp.bare_urls import is_url, pieces

# Emphasis may begin behind these, and end before those; what is not ASCII needs no blank around it.
_BEFORE: Final = " \t\n([{\"'*_~>|-"
_AFTER: Final = " \t\n)]}\"'*_~.,;:!?<|-"
_TASK: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}


def rendered(text: str) -> str:
    """Return Markdown as HTML, which is not safe to show yet."""
    html: str = _PARSER.render(text)
    return html


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
        for piece, linked in pieces(token.content):
            text = Token("text", "", 0, content=piece)
            href: dict[str, str | int | float] = {"href": piece}
            made += (
                [Token("link_open", "a", 1, attrs=href), text, Token("link_close", "a", -1)] if linked else [text]
            )
    return made


def _instead_of(image: Token, *, linked: bool) -> list[Token]:
    """Return what is shown instead of an image: its alternative text, as a link to it unless it is in one."""
    source = str(image.attrs.get("src", ""))
    words = " ".join("".join(each.content or " " for each in image.children or []).split())
    text = Token("text", "", 0, content=words or source)
    if not linked or not is_url(source):
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
