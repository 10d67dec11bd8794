"""Who may answer a question: the users and groups that its author names.

A mistake here would let somebody answer who must not, so nothing is passed over: a misspelt field or an empty list
is refused, and only None, or no `respondents` at all, lets everybody answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from hitl.core.plain import plain
from hitl.core.strictjson import shortened
from hitl.core.text import is_name
from hitl.errors import InvalidRequest, one_line

MAX_RESPONDENTS: Final = 64
MAX_PERSON_CHARS: Final = 256
Person: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_PERSON_CHARS)]

_WRITE_RESPONDENTS: Final = (
    'write {"users": ["ann@example.org"]}, {"groups": ["finance"]} or both, each with at least one name, '
    "or None to let everybody answer"
)


class Respondents(BaseModel):
    """Who may answer. Both empty: everyone who has a link, or may answer in the namespace.

    An unknown field is refused, in stored questions too: passing over it could let everybody answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    users: list[Person] = Field(default_factory=list, max_length=MAX_RESPONDENTS)
    groups: list[Person] = Field(default_factory=list, max_length=MAX_RESPONDENTS)

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)

    def allow(self, user: str | None, groups: list[str]) -> bool:
        """Tell whether this person is named; everybody is when nobody is named."""
        return not self or user in self.users or not set(groups).isdisjoint(self.groups)

    @classmethod
    def asked(cls, given: Self | Mapping[str, Sequence[str]] | None) -> Self:
        """Return the respondents that an author names, after a check that there is one.

        Args:
            given: Lists of names under ``users``, ``groups`` or both; None for everybody.

        Raises:
            InvalidRequest: for an unknown field, an empty list, what is no list, a blank name; says what to write.
        """
        if given is None:
            return cls()
        if isinstance(given, cls):
            lists: Mapping[str, Sequence[str]] = {"users": given.users, "groups": given.groups}
            lists = {name: names for name, names in lists.items() if names}
        elif isinstance(given, Mapping):
            lists = given
        else:
            raise InvalidRequest(f"respondents is {_shown(given)}: {_WRITE_RESPONDENTS}")
        for field in lists:
            if field not in cls.model_fields:
                raise InvalidRequest(f"respondents has no field {_shown(field)}: {_WRITE_RESPONDENTS}")
        if not lists:
            raise InvalidRequest(f"respondents names nobody: {_WRITE_RESPONDENTS}")
        return cls(**{field: _names(field, names) for field, names in lists.items()})


def _names(field: str, given: object) -> list[str]:
    where = f"respondents[{field!r}]"
    given = plain(given, where)
    # A set has no order: asked again by a restarted task, it would be another question.
    if not isinstance(given, list | tuple):
        raise InvalidRequest(f"{where} is {_shown(given)}: {_WRITE_RESPONDENTS}")
    if not given:
        raise InvalidRequest(f"{where} is empty, so it names nobody: leave it out, or {_WRITE_RESPONDENTS}")
    if len(given) > MAX_RESPONDENTS:
        raise InvalidRequest(f"{where} has {len(given):,} names: give at most {MAX_RESPONDENTS}, or name a group")
    for name in given:
        if not isinstance(name, str) or not name.strip():
            raise InvalidRequest(f"{where} has {_shown(name)} in it: {_WRITE_RESPONDENTS}")
        if "  " in name or not is_name(name) or len(name) > MAX_PERSON_CHARS:
            raise InvalidRequest(
                f"{where} has {_shown(name)} in it: a name has at most {MAX_PERSON_CHARS} printable characters, "
                "and single blanks only between its words"
            )
    if len(set(given)) < len(given):
        [(twice, _)] = Counter(given).most_common(1)
        raise InvalidRequest(f"{where} has {_shown(twice)} twice: leave one of them out")
    return list(given)


def _shown(given: object) -> str:
    return one_line(shortened(repr(given)))
