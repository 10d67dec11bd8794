"""Authentication and authorization, before anything is shown or recorded."""

import hmac
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from hitl.core import keys
from hitl.core.documents import Respondent, Via
from hitl.core.links import LinkDocument, is_handed_out
from hitl.errors import DocumentDamaged, NotAllowed, RequestNotFound
from hitl.records.creation import Looked
from hitl.records.delegating import acting_as
from hitl.records.links import find_link
from hitl.records.requests import StoredRequest
from hitl.storage import Store, ticks
from hitl_webapp.auth import NO_LINK, SIGN_IN, Authenticator, Principal
from hitl_webapp.caches import Memory, Read
from hitl_webapp.clock import Clock
from hitl_webapp.problems import Unauthenticated
from hitl_webapp.questions import SEEN_SECONDS, Questions
from hitl_webapp.settings import AuthMode

# The placeholder is read for a malformed id, so that both take the same time. It never grants access.
_NOBODY: Final = "none"


class Address(NamedTuple):
    """Which question a request is about, and by which link it comes.

    Args:
        request_id: As the client gave it.
        token: The link's token, or empty.
    """

    request_id: str
    token: str


class Admitted(NamedTuple):
    """A visitor who may see a question, and the question.

    Args:
        request: The question.
        principal: The visitor.
        looked: What was seen of the question as it was read from the storage; None: it may have come from memory.
    """

    request: StoredRequest
    principal: Principal
    looked: Looked | None = None

    def respondent(self, via: Via, name: str = "") -> Respondent:
        """Return the visitor as an outcome names them.

        Args:
            via: The channel.
            name: What they call themselves, if no name is verified.
        """
        principal = self.principal
        return Respondent(
            name=principal.name or principal.person or name,
            via=via,
            verified=principal.verified,
            groups=list(principal.groups),
            link=principal.link,
        )


class Admission:
    """Finds out who a visitor is, and whether a question is shown to them.

    Args:
        store: Where links lie.
        auth: How visitors say who they are.
        authenticate: Finds the visitor in a request's header fields.
        questions: The questions.
        clock: This machine's clock.
        own_link: In local mode, what shows the evidence of every question, as a link's hash does of one.
    """

    def __init__(
        self,
        store: Store,
        auth: AuthMode,
        authenticate: Authenticator,
        questions: Questions,
        clock: Clock,
        own_link: str = "",
    ) -> None:
        self._store = store
        self._auth: AuthMode = auth
        self._own_link = own_link
        self._questions = questions
        self._clock = clock
        self._links: Memory[LinkDocument] = Memory()
        self.authenticate = authenticate

    async def to_see(self, address: Address, headers: Headers, *, link: str = "") -> Admitted:
        """Let a visitor see a question. What is remembered of the link and the question will do.

        Args:
            address: The question, and the link's token. It counts if the authenticator finds nobody.
            headers: In which the authenticator looks for the visitor.
            link: The hash of the link's token, where the token itself would be too much to give away: it shows
                what the link shows, and nothing is answered by it. Empty: the hash of the address's token.

        Raises:
            Unauthenticated: where visitors sign in, for a caller who neither did nor has a link that is accepted.
            NotAllowed: the same whether the question exists or not, for a caller without a link or right.
            RequestNotFound: for an identified visitor who may see what there is.
        """
        found = await self.authenticate(headers)
        principal = self._without_link(address, found, link)
        if principal is None:
            principal = await self._by_link(address.request_id, link or keys.hash_token(address.token))
        try:
            request = await self._questions.request(address.request_id)
        except (RequestNotFound, DocumentDamaged):
            await principal.require_may_see_all()
            raise
        return await self._shown(Admitted(request, principal))

    async def to_submit(self, address: Address, found: Principal | None) -> Admitted:
        """Let a visitor submit to a question. Link and question are read from the storage.

        Args:
            address: The question, and the link's token.
            found: The visitor, if the authenticator found one.

        Raises:
            Unauthenticated, NotAllowed, RequestNotFound: as `to_see` does.
        """
        principal = self._without_link(address, found)
        looking = self._questions.unanswered(_readable(address.request_id))
        if principal is None:
            by_link = self._by_stored_link(address.request_id, keys.hash_token(address.token))
            (principal, read), unanswered = await self._store.both(by_link, looking)
        else:
            by_name = self._seen_by(principal, address.request_id)
            read, unanswered = await self._store.both(by_name, looking)
        # A second read raises the error that says what is wrong.
        read = read or await self._seen_by(principal, address.request_id)
        return await self._shown(Admitted(read.value, principal, Looked(read.at, unanswered)))

    async def remembered(self, address: Address, headers: Headers) -> Admitted | None:
        """Return a visitor of a moment ago, who gets back what was typed while the storage does not answer.

        Nothing may be recorded by what this returns.

        Raises:
            NotAllowed, Unauthenticated: as `to_see` does.
        """
        request = self._questions.remembered(address.request_id)
        principal = await self.authenticate(headers)
        token_hash = keys.hash_token(address.token)
        if principal is None and (seen := self._links.get(f"{address.request_id}/{token_hash}")) is not None:
            principal = self._principal(token_hash, seen.value)
        if request is None or principal is None:
            return None
        await principal.require_may_see(request.document, self._clock.now())
        return Admitted(request, principal)

    def knows_link(self, request_id: str, token_hash: str) -> bool:
        """Tell whether a link was read within the last second, and is good for as long as its question."""
        seen = self._links.get(f"{request_id}/{token_hash}")
        return seen is not None and seen.value.expires_at is None and ticks() - seen.at < SEEN_SECONDS

    async def _shown(self, admitted: Admitted) -> Admitted:
        """Let a visitor see a question; on behalf of who handed it over to them, if they may not answer it.

        Raises:
            NotAllowed: the question is for others.
        """
        request, who = admitted.request, admitted.respondent("web")
        now = await self._clock.rights_time(request.document)
        acts = await acting_as(self._store, request, who, now)
        principal = admitted.principal if acts is who else replace(admitted.principal, acts=acts)
        await principal.require_may_see(request.document, now)
        return admitted._replace(principal=principal)

    def _without_link(self, address: Address, found: Principal | None, link: str = "") -> Principal | None:
        """Return a visitor who needs no link; None: it depends on the link.

        Raises:
            Unauthenticated: no link would be enough, or there is none.
        """
        if found is not None:
            return found
        if link and hmac.compare_digest(link, self._own_link):
            return Principal(link=link, site=self._auth)
        if self._auth == "kubernetes" or (self._auth == "proxy" and not (address.token or link)):
            raise Unauthenticated(SIGN_IN[self._auth])
        return None

    async def _by_link(self, request_id: str, token_hash: str) -> Principal:
        """Return a visitor by a link. What is remembered of the link and the question will do.

        Raises:
            NotAllowed: as `_by_fresh_link` does, and after as many calls of the storage.
        """
        now, seen = self._clock.now(), self._links.get(f"{request_id}/{token_hash}")
        if seen is not None and ticks() - seen.at < SEEN_SECONDS and await self._valid(seen.value, now):
            return self._principal(token_hash, seen.value)
        known = self._questions.remembered(request_id)
        if known is None:
            read = await self._stored(request_id, shown=True)
            return await self._by_fresh_link(request_id, token_hash, read, shown=True)
        began = ticks()
        link = await find_link(self._store, request_id, token_hash, known.document)
        if link is None:
            # The id may belong to a new question by now. And an unknown question takes this call too.
            read = await self._stored(request_id, shown=True)
            if read is not None and is_handed_out(read.value.document, token_hash):
                link = await find_link(self._store, request_id, token_hash, read.value.document)
        return await self._admitted(request_id, token_hash, link, began, shown=True)

    async def _by_stored_link(
        self, request_id: str, token_hash: str
    ) -> tuple[Principal, Read[StoredRequest] | None]:
        """Return a visitor by a link, and the question, both as they are in the storage.

        Raises:
            NotAllowed: the link opens nothing.
        """
        if not self._store.side_by_side:
            # The question tells where to look for the link.
            read = await self._stored(request_id, shown=False)
            return await self._by_fresh_link(request_id, token_hash, read, shown=False), read
        began, readable = ticks(), _readable(request_id)
        read, link = await self._store.both(
            self._stored(request_id, shown=False), find_link(self._store, readable, token_hash, None)
        )
        if read is not None and is_handed_out(read.value.document, token_hash):
            link = await find_link(self._store, readable, token_hash, read.value.document)
        return await self._admitted(request_id, token_hash, link, began, shown=False), read

    async def _seen_by(self, principal: Principal, request_id: str) -> Read[StoredRequest]:
        """Return a question as it is in the storage. That there is none is said to who may see what there is."""
        try:
            return await self._questions.read(request_id, shown=False)
        except (RequestNotFound, DocumentDamaged):
            await principal.require_may_see_all()
            raise

    async def _by_fresh_link(
        self, request_id: str, token_hash: str, read: Read[StoredRequest] | None, *, shown: bool
    ) -> Principal:
        """Return a visitor by a link as it is in the storage, after the question was read from there.

        Both take one call of the storage each, whether or not there is such a question and such a link.

        Raises:
            NotAllowed: the link opens nothing.
        """
        began = ticks()
        document = None if read is None else read.value.document
        link = await find_link(self._store, _readable(request_id), token_hash, document)
        return await self._admitted(request_id, token_hash, link, began, shown=shown)

    async def _stored(self, request_id: str, *, shown: bool) -> Read[StoredRequest] | None:
        try:
            return await self._questions.read(_readable(request_id), shown=shown)
        except (RequestNotFound, DocumentDamaged):
            return None

    async def _admitted(
        self, request_id: str, token_hash: str, link: LinkDocument | None, began: float, *, shown: bool
    ) -> Principal:
        name = f"{request_id}/{token_hash}"
        # The placeholder id never grants access.
        if link is None or not keys.is_request_id(request_id) or not await self._valid(link, self._clock.now()):
            self._links.drop(name)
            raise NotAllowed(NO_LINK)
        # Only pages use the memory, so links that no page shows are not kept. The same holds for questions.
        if shown or self._links.get(name) is not None:
            self._links.put(name, Read(link, began))
        return self._principal(token_hash, link)

    def _principal(self, token_hash: str, link: LinkDocument) -> Principal:
        return Principal(link=token_hash, site=self._auth, person=link.person)

    async def _valid(self, link: LinkDocument, now: datetime) -> bool:
        # With a wrong clock we cannot know whether the link has expired.
        if link.expires_at is not None:
            await self._clock.require(now)
        return link.valid(now)


def _readable(request_id: str) -> str:
    return request_id if keys.is_request_id(request_id) else _NOBODY
