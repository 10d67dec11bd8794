"""What a visitor asks the inbox for: a view, filters, an order, and from which question on."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args
from urllib.parse import urlencode

from hitl.core.strictjson import show
from hitl_webapp.problems import BadInput

PAGE: Final = 50
MOST_CHARS: Final = 256
_MOST_KEY_CHARS: Final = 1_000
_MOST_SECONDS: Final = 1e12
_MOST_WORDS: Final = 12

View: TypeAlias = Literal["all", "mine", "groups"]
State: TypeAlias = Literal["open", "settled", "answered", "rejected", "timed_out", "cancelled", "overdue", "any"]
Sort: TypeAlias = Literal["deadline", "age", "name", "ended"]
Type: TypeAlias = Literal["", "int", "float", "bool", "str", "json"]
Asker: TypeAlias = Literal["", "run", "humaninput", "program"]
Voted: TypeAlias = Literal["", "no", "yes"]

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "view": get_args(View),
    "state": get_args(State),
    "type": get_args(Type),
    "asked_by": get_args(Asker),
    "voted": get_args(Voted),
    "sort": get_args(Sort),
}


class Key(NamedTuple):
    """The place of one question in an order.

    Args:
        value: What is sorted by.
        tie: See `hitl_webapp.inbox.rows.tie_of`.
    """

    value: float | str
    tie: int

    def text(self) -> str:
        """Return the key as a URL holds it."""
        # Written as \uXXXX, a name could be longer than a URL's place may be.
        said = json.dumps([self.value, self.tie], ensure_ascii=False)
        return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


class Query(NamedTuple):
    """What is looked for.

    Args:
        view: All that the visitor may see, or what names them, or one of their groups.
        state: Open, settled in any way, settled in one way, past its deadline without an outcome, or any.
        namespace, project, run: Where the questions come from; empty: anywhere.
        type: The type of their answers; empty: any.
        asked_by: What asked them; empty: anything.
        voted: Those on which the visitor has a vote, or none but may have one; empty: both, and all others.
        text: Words that name or prompt contain, each at least as the beginning of a word.
        sort: The order.
        after, before: From which place on, forwards or backwards; empty: from the first one.
    """

    view: View = "all"
    state: State = "open"
    namespace: str = ""
    project: str = ""
    run: str = ""
    type: Type = ""
    asked_by: Asker = ""
    voted: Voted = ""
    text: str = ""
    sort: Sort = "deadline"
    after: str = ""
    before: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is what the inbox shows at first."""
        return self == Query()

    @property
    def filtered(self) -> bool:
        """Whether something but view, state and order is asked for."""
        given = (self.namespace, self.project, self.run, self.type, self.asked_by, self.voted, self.text)
        return any(given)

    def but(self, **changed: str) -> str:
        """Return the query of a URL that asks for the same but for some fields, from the first page on."""
        wanted = self._replace(**{"after": "", "before": "", **changed})  # type: ignore[arg-type]  # as they are named
        return wanted.url()

    def url(self) -> str:
        """Return the query of a URL, with a question mark, or nothing."""
        default = Query(state=self.state, sort=default_sort(self.state))
        pairs: list[tuple[str, str]] = [("state", self.state)] if self.state != "open" else []
        pairs += [
            (name, text)
            for name, text, usual in zip(self._fields, self, default, strict=True)
            if name != "state" and text != usual
        ]
        return f"?{urlencode(pairs)}" if pairs else ""


def default_sort(state: State) -> Sort:
    """Return the order of questions, where none is asked for: what ends next, or what ended last."""
    return "deadline" if state == "open" else "ended"


def read_query(given: Mapping[str, str], *, strict: bool = False) -> Query:
    """Return what a URL asks for.

    Args:
        given: The parameters.
        strict: Refuse parameters that there are not, so that a misspelt filter does not show everything.

    Raises:
        BadInput: naming the parameter, and what it may be.
    """
    texts = read_texts(given, Query._fields, _CHOICES, strict=strict)
    if "after" in texts and "before" in texts:
        raise BadInput("Give after or before, not both.")
    state = cast("State", texts.get("state", "open"))
    query = Query(**{"sort": default_sort(state), **texts})  # type: ignore[arg-type]  # checked one by one
    read_key(query)
    return query


def read_texts(
    given: Mapping[str, str], names: Sequence[str], choices: Mapping[str, Sequence[str]], *, strict: bool
) -> dict[str, str]:
    """Return those parameters of a URL that are not empty.

    Args:
        given: The parameters.
        names: Which ones there are.
        choices: What some of them may be.
        strict: Refuse parameters that there are not.

    Raises:
        BadInput: naming the parameter, and what it may be.
    """
    if strict:
        require_known(given, names)
    texts = {name: given[name].strip() for name in names if given.get(name, "").strip()}
    for name, text in texts.items():
        offered = choices.get(name)
        if offered is not None and text not in offered:
            raise BadInput(f"{name} is {show(text)}: it must be one of {', '.join(filter(None, offered))}.")
        most = _MOST_KEY_CHARS if name in ("after", "before") else MOST_CHARS
        if len(text) > most:
            raise BadInput(f"{name} has more than {most:,} characters.")
    return texts


def require_known(given: Iterable[str], names: Sequence[str]) -> None:
    """Refuse parameters of a URL that there are not.

    Raises:
        BadInput: naming the first one, and what there is.
    """
    if unknown := sorted(set(given) - set(names)):
        raise BadInput(f"There is no parameter {unknown[0]!r:.60}: use {', '.join(names)}.")


def read_key(query: Query) -> Key | None:
    """Return the place from which a query goes on; None: from the first one.

    Raises:
        BadInput: it is none of this order.
    """
    text = query.after or query.before
    if not text:
        return None
    try:
        value, tie = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        # Half of a pair is no text that can be compared.
        str(value).encode()
    except (ValueError, TypeError, RecursionError):
        value, tie = None, None
    kinds = (str,) if query.sort == "name" else (int, float)
    fits = isinstance(tie, int) and isinstance(value, kinds)
    if not fits or not -(2**63) <= tie < 2**63 or (query.sort != "name" and not abs(value) < _MOST_SECONDS):
        raise BadInput("The place in the list is malformed: begin with its first page.")
    return Key(float(value) if query.sort != "name" else value, tie)


def words_of(text: str) -> str:
    """Return words as SQLite's full-text search takes them: beginnings of words, all of which must be there."""
    # Without words SQLite refuses the search. A text of NULs only becomes one empty word, which matches nothing.
    several = text.replace("\0", " ").split()[:_MOST_WORDS] or [""]
    return " ".join('"' + each.replace('"', '""') + '"*' for each in several)
