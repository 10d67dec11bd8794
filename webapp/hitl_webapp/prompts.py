"""Prompts as pages show them: Markdown that can do nothing, or the very text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol

import nh3
from markupsafe import Markup, escape

from hitl.errors import printable
from hitl_webapp.bare_urls import pieces

_TAGS: Final = {
    *("p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
# Each block of a prompt is written in its own direction.
_BLOCKS: Final = ("p", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td")
_LINK: Final = Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>')
# A sentence in which nothing means anything to Markdown: it begins with a letter, and is on one line.
_SENTENCE: Final = re.compile(r"""[^\W\d_](?:[^\W_]|(?<!/)/|[ ,.?!:;'"()%$-])*(?<! )""")


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
    if _SENTENCE.fullmatch(text):
        return Markup(f'<p dir="auto">{text}</p>\n')  # noqa: S704 - no character of it means anything to HTML
    # It is loaded when it is needed, as every start would wait for it.
    from hitl_webapp.markdown import rendered

    clean = nh3.clean(
        rendered(text),
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
    for piece, is_url in pieces(text):
        parts.append(_LINK.format(piece) if is_url else escape(piece))
    return Markup('<p class="plain" dir="auto">{}</p>').format(Markup("").join(parts))
