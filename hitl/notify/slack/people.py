"""Who clicked, by name: the e-mail address that Slack has confirmed, of a full member of the workspace."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hitl.core.documents import Respondent
from hitl.core.respondents import MAX_PERSON_CHARS
from hitl.core.text import is_name
from hitl.errors import NotAllowed
from hitl.notify.slack.api import Api
from hitl.notify.slack.payloads import Person
from hitl.storage import ticks

KNOWN_SECONDS: Final = 60.0
"""How long somebody is believed to be who they were: so long a removed member may still answer."""

_MOST_KNOWN: Final = 1_000
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+")


class _Profile(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    email: Annotated[str, Field(max_length=MAX_PERSON_CHARS)] = ""


class _Member(BaseModel):
    # What Slack leaves out is taken as what would refuse.
    model_config = ConfigDict(extra="ignore", strict=True)

    team_id: str = ""
    deleted: bool = True
    is_bot: bool = True
    is_app_user: bool = False
    is_workflow_bot: bool = False
    is_restricted: bool = True
    is_ultra_restricted: bool = True
    is_stranger: bool = False
    is_email_confirmed: bool = False
    profile: _Profile = _Profile()


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    user: _Member


class People:
    """The members of a workspace.

    Args:
        api: Slack's Web API, with the bot token of the workspace.
        workspace: The workspace's id.
        clock: Seconds that only ever grow.
    """

    def __init__(self, api: Api, workspace: str, clock: Callable[[], float] = ticks) -> None:
        self._api = api
        self._workspace = workspace
        self._clock = clock
        self._known: dict[str, tuple[float, Respondent]] = {}

    async def respondent(self, person: Person) -> Respondent:
        """Return who somebody is: a verified name.

        Raises:
            NotAllowed: with a sentence for who clicked.
            NotDelivered: Slack did not say who it is.
        """
        if person.teams != {self._workspace}:
            raise NotAllowed("Members of another workspace cannot answer here: open the form instead.")
        now = self._clock()
        seen, found = self._known.get(person.user, (0.0, None))
        if found is not None and now - seen < KNOWN_SECONDS:
            return found
        reply = await self._api.call(self._api.client.users_info(user=person.user))
        found = self._member(reply)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[person.user] = now, found
        return found

    def _member(self, reply: object) -> Respondent:
        try:
            member = _Reply.model_validate(reply).user
        except ValidationError:
            raise NotAllowed("Slack does not say who you are: open the form instead.") from None
        if member.team_id != self._workspace or member.is_stranger:
            raise NotAllowed("Members of another workspace cannot answer here: open the form instead.")
        if member.deleted or member.is_bot or member.is_app_user or member.is_workflow_bot:
            raise NotAllowed("Only active people of this workspace can answer here.")
        if member.is_restricted or member.is_ultra_restricted:
            raise NotAllowed("Guests of this workspace cannot answer here: open the form instead.")
        name = member.profile.email
        if not member.is_email_confirmed or not _ADDRESS.fullmatch(name) or not is_name(name):
            raise NotAllowed(
                "Slack has not confirmed your e-mail address, by which HITL knows you: open the form instead."
            )
        return Respondent(name=name, via="slack", verified=True)
