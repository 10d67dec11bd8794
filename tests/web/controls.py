"""What a browser without scripts sends of a page's form when nobody changed anything: its successful controls."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

_LINES = re.compile(r"\r\n?|\n")


class Controls(HTMLParser):
    """Reads a page, and keeps what its form sends, in the order of the page.

    As HTML says it: a line field has no line ends, a text area begins after the first one, a list of options has
    its first one selected unless another is, and line ends are sent as CR LF.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sent: list[tuple[str, str]] = []
        self._in_form = False
        self._area: tuple[str, list[str]] | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in_form = True
        name = given.get("name", "")
        if not self._in_form or "disabled" in given:
            return
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in ("radio", "checkbox") and "checked" not in given:
                return
            value = given.get("value", "on" if kind in ("radio", "checkbox") else "")
            self._add(name, _LINES.sub("", value) if kind == "text" else value)
        elif tag == "textarea":
            self._area = (name, [])
        elif tag == "select":
            self._select = (name, [])
        elif tag == "option" and self._select is not None:
            self._select[1].append((given.get("value", ""), "selected" in given))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        elif tag == "textarea" and self._area is not None:
            name, text = self._area
            self._add(name, _LINES.sub("\n", "".join(text)).removeprefix("\n"))
            self._area = None
        elif tag == "select" and self._select is not None:
            name, options = self._select
            chosen = [value for value, selected in options if selected] or [value for value, _ in options[:1]]
            self._add(name, *chosen[-1:])
            self._select = None

    def _add(self, name: str, *values: str) -> None:
        if name:
            self.sent += [(name, _LINES.sub("\r\n", value)) for value in values]


def body_of(page: str) -> bytes:
    """Return the body that a browser sends of a page's form, by its main button."""
    controls = Controls()
    controls.feed(page)
    controls.close()
    return urlencode(controls.sent).encode()
