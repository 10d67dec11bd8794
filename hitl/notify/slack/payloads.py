"""What comes from Slack, read strictly: whatever is not as Slack writes it is nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hitl.core.documents import sha256_hex

VIEW: Final = "hitl-view"
"""What our forms are called."""
_DIGEST_CHARS: Final = 16
_VALUE: Final = re.compile("([a-z0-9-]{1,63})[.]([0-9a-f]{16})[.](fill|decline|[0-9])", re.ASCII)
_TEXT_CHARS: Final = 8_192
_MOST_BLOCKS: Final = 16

_Team: TypeAlias = Annotated[str, Field(pattern=r"^[TE][A-Z0-9]{1,31}$")]
_User: TypeAlias = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{1,31}$")]
_Channel: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,32}$")]
_Time: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{1,12}[.][0-9]{1,9}$")]
_Short: TypeAlias = Annotated[str, Field(max_length=512)]


@dataclass(frozen=True)
class Ref:
    """Which question a button is for.

    Args:
        request_id: The question.
        request_sha256: The digest of its very bytes, or the beginning of it.
    """

    request_id: str
    request_sha256: str

    def value(self, what: str) -> str:
        """Return the value of a button.

        Args:
            what: The place of an answer among those that are offered, ``fill`` or ``decline``.
        """
        return f"{self.request_id}.{self.request_sha256[:_DIGEST_CHARS]}.{what}"

    @classmethod
    def of(cls, value: str) -> tuple[Ref, str] | None:
        """Return which question a button's value names, and what is done to it; None: it is none of ours."""
        found = _VALUE.fullmatch(value)
        return None if found is None else (cls(found[1], found[2]), found[3])

    def names(self, request_sha256: str) -> bool:
        """Tell whether this is the question of that digest."""
        return request_sha256[:_DIGEST_CHARS] == self.request_sha256[:_DIGEST_CHARS] != ""


@dataclass(frozen=True)
class Place:
    """Where a message is.

    Args:
        channel: The channel's id.
        at: The message's time, by which Slack knows it.
    """

    channel: str
    at: str

    def receipt(self) -> str:
        """Return it as the receipt of a notice."""
        return f"{self.channel}/{self.at}"

    @classmethod
    def of(cls, receipt: str) -> Place | None:
        """Return the place that a receipt names; None: it is none of ours."""
        found = re.fullmatch("([A-Z0-9]{2,32})/([0-9]{1,12}[.][0-9]{1,9})", receipt, re.ASCII)
        return None if found is None else cls(found[1], found[2])


@dataclass(frozen=True)
class Person:
    """Who acts, as Slack names them.

    Args:
        user: The user's id.
        teams: The ids of all workspaces that Slack names beside.
    """

    user: str
    teams: frozenset[str]


@dataclass(frozen=True)
class Click:
    """A click on a button.

    Args:
        person: Who clicked.
        ref: The question.
        what: See `Ref.value`.
        place: The message.
        trigger: By which a form may be opened, for three seconds.
        submission_id: The same for this click at each delivery, and for no other click.
    """

    person: Person
    ref: Ref
    what: str
    place: Place
    trigger: str
    submission_id: str


@dataclass(frozen=True)
class Sent:
    """A form that was sent.

    Args:
        person: Who sent it.
        ref: The question.
        what: ``fill`` or ``decline``.
        place: The message from which it was opened.
        state: What its fields hold, by block and by action.
        submission_id: The same for this form at each delivery, and for no other form.
    """

    person: Person
    ref: Ref
    what: str
    place: Place
    state: Mapping[str, Mapping[str, Filled]]
    submission_id: str


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _TeamId(_Read):
    id: _Team


class _By(_Read):
    id: _User
    team_id: _Team | None = None


class _Action(_Read):
    value: _Short = ""
    action_ts: _Short = ""


class _Container(_Read):
    channel_id: _Channel
    message_ts: _Time


class _Interaction(_Read):
    user: _By
    team: _TeamId | None = None

    def person(self) -> Person:
        teams = {self.user.team_id, self.team.id if self.team is not None else None}
        return Person(self.user.id, frozenset(each for each in teams if each is not None))


class _BlockActions(_Interaction):
    type: Literal["block_actions"]
    container: _Container
    actions: Annotated[list[_Action], Field(min_length=1, max_length=1)]
    trigger_id: _Short = ""


class _Option(_Read):
    value: _Short


class Filled(_Read):
    """What one field of a form holds: each kind of field fills in one of these."""

    value: Annotated[str, Field(max_length=_TEXT_CHARS)] | None = None
    selected_date: _Short | None = None
    selected_option: _Option | None = None
    selected_options: Annotated[list[_Option], Field(max_length=128)] | None = None

    def texts(self) -> list[str]:
        """Return what it holds."""
        if self.selected_options is not None:
            return [each.value for each in self.selected_options]
        one = self.selected_option.value if self.selected_option else self.selected_date or self.value
        return [] if one is None else [one]


_Fields: TypeAlias = Annotated[dict[_Short, Filled], Field(max_length=2)]


class _State(_Read):
    values: Annotated[dict[_Short, _Fields], Field(max_length=_MOST_BLOCKS)]


class _View(_Read):
    id: _Short
    callback_id: Literal["hitl-view"]
    private_metadata: _Short
    state: _State


class _ViewSubmission(_Interaction):
    type: Literal["view_submission"]
    view: _View


_PAYLOAD: Final[TypeAdapter[_BlockActions | _ViewSubmission]] = TypeAdapter(
    Annotated[_BlockActions | _ViewSubmission, Field(discriminator="type")]
)


def read_payload(payload: object) -> Click | Sent | None:
    """Return what somebody did in Slack; None: nothing that is for us."""
    try:
        read = _PAYLOAD.validate_python(payload)
    except ValidationError:
        return None
    person = read.person()
    if isinstance(read, _BlockActions):
        action, place = read.actions[0], Place(read.container.channel_id, read.container.message_ts)
        if (found := Ref.of(action.value)) is None:
            return None
        known = (person.user, place.receipt(), action.action_ts, action.value)
        return Click(person, *found, place, read.trigger_id, _id_of(*known))
    value, _, receipt = read.view.private_metadata.partition(" ")
    found, opened = Ref.of(value), Place.of(receipt)
    if found is None or opened is None or found[1] not in ("fill", "decline"):
        return None
    state = {block: dict(fields) for block, fields in read.view.state.values.items()}
    return Sent(person, *found, opened, state, _id_of(person.user, read.view.id, value))


def metadata(ref: Ref, what: str, place: Place) -> str:
    """Return what a form says of itself, for `read_payload`."""
    return f"{ref.value(what)} {place.receipt()}"


def _id_of(*known: str) -> str:
    return f"slack-{sha256_hex(chr(0).join(known).encode(errors='surrogatepass'))[:32]}"
