"""The inbox of local mode: who knows the key in its address is the user of this machine who runs the program.

A browser sends nothing by itself here: no cookie and no password. What another site, or the page of another user's
program on this machine, makes a browser send has no key. A cookie would be sent to every port of the host, so also
to programs of other users.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from starlette.datastructures import Headers

from hitl.core import keys
from hitl_webapp.auth import Principal
from hitl_webapp.below import SITE


class Own(NamedTuple):
    """Whose inbox it is.

    Args:
        key: What its address begins with.
        name: The user's name, which nobody has verified; empty: it is not known.
    """

    key: str
    name: str = ""

    @property
    def link(self) -> str:
        """The hash of the key, which stands where the hash of a link's token does."""
        return keys.hash_token(self.key)


@dataclass(frozen=True)
class Owner(Principal):
    """The user whose program serves the root: sees all of it, and answers what names nobody."""

    owns: ClassVar[bool] = True


class ByAddress:
    """Knows the owner by the address of a request, from which `hitl_webapp.below` has taken the key.

    Args:
        own: Whose inbox it is.
    """

    def __init__(self, own: Own) -> None:
        self._owner = Owner(name=own.name or "the user of this machine", link=own.link)

    async def __call__(self, headers: Headers) -> Principal | None:  # noqa: ARG002 - the protocol has it
        """Return the owner, if the address has the key."""
        return self._owner if SITE.get().key else None
