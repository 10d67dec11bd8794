"""What a visitor may see of the inbox, as SQL takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hitl.errors import NotAllowed
from hitl_webapp.auth import Principal
from hitl_webapp.inbox.ballots import voter_hash
from hitl_webapp.inbox.index import EVERYONE, group_key, user_key

_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Rights:
    """Which questions a visitor may see: those that name them, or nobody, in some namespaces.

    Args:
        user: The visitor's name.
        groups: Their groups.
        namespaces: Where they may see questions; None: everywhere.
        owns: They may see all questions, also those that name others.
        voter: The hash by which their votes are known; empty: nobody votes here.
    """

    user: str
    groups: tuple[str, ...] = ()
    namespaces: tuple[str, ...] | None = None
    owns: bool = False
    voter: str = ""

    def keys(self) -> list[tuple[str, str]]:
        """Return what of respondents means this visitor: each key, and whether as everybody, user or group."""
        return [
            (EVERYONE, "everyone"),
            (user_key(self.user), "user"),
            *((group_key(each), "group") for each in dict.fromkeys(self.groups)),
        ]


async def rights_of(principal: Principal, namespaces: Sequence[str]) -> Rights:
    """Return what a visitor may see.

    Args:
        principal: The visitor.
        namespaces: Those of all questions that the index knows.

    Raises:
        ClusterError: when nobody can say what this visitor may see.
    """
    voter = voter_hash(principal)
    if not principal.limited:
        return Rights(principal.name, principal.groups, owns=principal.owns, voter=voter)
    allowed: list[str] = []
    for start in range(0, len(namespaces), _AT_ONCE):
        some = namespaces[start : start + _AT_ONCE]
        may = await asyncio.gather(*(principal.may_list_in(each) for each in some))
        allowed += [each for each, shown in zip(some, may, strict=True) if shown]
    return Rights(principal.name, principal.groups, tuple(allowed), voter=voter)


async def may_see_damaged(principal: Principal) -> bool:
    """Tell whether a visitor is told which questions are damaged."""
    # A damaged question does not say who may see it: only a right to all questions shows it. Without such
    # rights, only the log reports it.
    return (principal.limited or principal.owns) and await _may_see_all(principal)


async def nowhere(principal: Principal, rights: Rights) -> bool:
    """Tell whether a visitor may see nothing: a root without questions is no reason for that."""
    return rights.namespaces == () and not await _may_see_all(principal)


async def _may_see_all(principal: Principal) -> bool:
    try:
        await principal.require_may_see_all()
    except NotAllowed:
        return False
    return True
