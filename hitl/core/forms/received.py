"""What was sent, and which of it was read: what is left over is told, and never dropped."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from hitl.core.forms.names import BELOW, FORM, MAX_ROWS, MOST_COUNTED, ON, Sent, place_of
from hitl.core.strictjson import show
from hitl.errors import InvalidValue

# What a name says that is no value.
_CONTROL: Final = re.compile(r"~(?:rows|on|of|empty)\Z")


class Received:
    """The fields of a form, each of which is read or left over.

    Args:
        sent: The form.
    """

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._read = {FORM}
        self._left_out: set[str] = set()

    def all(self, name: str) -> Sequence[str]:
        """Return what a field holds that may be sent several times."""
        self._read.add(name)
        return self._sent.get(name, ())

    def has(self, name: str) -> bool:
        """Tell whether a field was sent."""
        return name in self._sent

    def one(self, name: str) -> str:
        """Return what a field holds; empty for none.

        Raises:
            InvalidValue: it was sent several times.
        """
        texts = self.all(name)
        if len(texts) > 1:
            raise InvalidValue(f"The field {show(name)} was sent {len(texts)} times: send it once.")
        return texts[0] if texts else ""

    def marked(self, name: str) -> bool:
        """Tell whether a field is there that is a mark.

        Raises:
            InvalidValue: it says something else.
        """
        text = self.one(name)
        if name not in self._sent:
            return False
        if text != ON:
            raise InvalidValue(f"The field {show(name)} is {ON}, or is left out.")
        return True

    def count(self, name: str) -> int:
        """Return how many rows a list has.

        Raises:
            InvalidValue: this is no number, or one of more rows than a form has.
        """
        text = self.one(f"{name}~rows")
        number = place_of(text, MOST_COUNTED) if text else 0
        if number is None:
            raise InvalidValue(f"The number of rows is {show(text)}, and no number from 0 to {MAX_ROWS}.")
        if number > MAX_ROWS:
            raise InvalidValue(f"At most {MAX_ROWS} rows can be filled in here.")
        return number

    def leave_out(self, name: str) -> bool:
        """Note that the fields of a part do not count, and tell whether anything was typed into them."""
        self._left_out.add(name)
        inside = (f"{name}/", f"{name}~")
        return self._typed_from(name) == name or any(self._typed_from(each).startswith(each) for each in inside)

    def left_over(self) -> str | None:
        """Return the first field that holds something and was not read; None for none.

        The marks of a part that was left out are no loss: a browser sends them whatever is chosen.
        """
        for name, texts in self._sent.items():
            if name in self._read or not any(text.strip() for text in texts):
                continue
            if not (_CONTROL.search(name) and self._is_left_out(name)):
                return name
        return None

    def _is_left_out(self, name: str) -> bool:
        longest = max(map(len, self._left_out), default=0)
        ends = (each.start() for each in BELOW.finditer(name, 0, longest + 1))
        return any(name[:end] in self._left_out for end in ends)

    @cached_property
    def _typed(self) -> list[str]:
        some = (name for name, texts in self._sent.items() if any(text.strip() for text in texts))
        return sorted(name for name in some if not _CONTROL.search(name))

    def _typed_from(self, begin: str) -> str:
        at = bisect_left(self._typed, begin)
        return self._typed[at] if at < len(self._typed) else ""
