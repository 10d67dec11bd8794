"""What a visitor asks the statistics for: a view, filters, and how many weeks back."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlencode

from hitl_webapp.inbox.queries import Asker, Type, View, read_texts

Weeks: TypeAlias = Literal["1", "4", "13", "26"]

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "view": get_args(View),
    "type": get_args(Type),
    "asked_by": get_args(Asker),
    "weeks": get_args(Weeks),
}


class Wanted(NamedTuple):
    """Which questions are counted.

    Args:
        view: All that the visitor may see, or what names them, or one of their groups.
        namespace, project: Where the questions come from; empty: anywhere.
        group: A group of their respondents; empty: any.
        type: The type of their answers; empty: any.
        asked_by: What asked them; empty: anything.
        weeks: From how many weeks settled questions are counted, the present one among them.
    """

    view: View = "all"
    namespace: str = ""
    project: str = ""
    group: str = ""
    type: Type = ""
    asked_by: Asker = ""
    weeks: Weeks = "13"

    @property
    def filtered(self) -> bool:
        """Whether something but view and weeks is asked for."""
        return any((self.namespace, self.project, self.group, self.type, self.asked_by))

    def but(self, **changed: str) -> str:
        """Return the query of a URL that asks for the same but for some fields; it may be empty."""
        wanted, usual = self._replace(**changed), Wanted()  # type: ignore[arg-type]  # as they are named
        pairs = [
            (name, text)
            for name, text, default in zip(self._fields, wanted, usual, strict=True)
            if text != default
        ]
        return f"?{urlencode(pairs)}" if pairs else ""


def read_wanted(given: Mapping[str, str], *, strict: bool = False) -> Wanted:
    """Return what a URL asks for.

    Args:
        given: The parameters.
        strict: Refuse parameters that there are not, so that a misspelt filter does not count everything.

    Raises:
        BadInput: naming the parameter, and what it may be.
    """
    texts = read_texts(given, Wanted._fields, _CHOICES, strict=strict)
    return Wanted(**texts)  # type: ignore[arg-type]  # checked one by one
