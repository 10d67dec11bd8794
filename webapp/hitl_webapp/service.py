"""What the routes work with: the parts of the web app, over one root."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from hitl.records.audit import AuditWriter
from hitl.records.index import Later
from hitl.records.records import Records
from hitl.storage import Store
from hitl_webapp.admission import Admission
from hitl_webapp.auth import Authenticator
from hitl_webapp.clock import Clock
from hitl_webapp.evidence import EvidenceReader
from hitl_webapp.hints import Hints
from hitl_webapp.questions import Questions
from hitl_webapp.settings import WebSettings
from hitl_webapp.submissions import Submissions
from hitl_webapp.turns import Turns

if TYPE_CHECKING:
    from hitl_webapp.inbox.events import Streams
    from hitl_webapp.inbox.inbox import Inbox


class Service:
    """The questions under one root, as visitors may see and answer them.

    Args:
        store: The root's store.
        settings: The web app's settings.
        authenticate: Finds out who sends a request.
        own_link: In local mode, the hash in the addresses of evidence of the owner's pages; else empty.

    Attributes:
        clock: This machine's clock beside the storage's.
        questions: Questions and outcomes, for pages.
        admission: Lets visitors in.
        evidence: What is shown beside questions.
        uploads: Lets some files arrive at once.
        submissions: Records what they submit.
        audit: Says its result.
        ending: Set when the server is told to end, so that replies without an end have to.
    """

    def __init__(
        self, store: Store, settings: WebSettings, authenticate: Authenticator, own_link: str = ""
    ) -> None:
        self.store = store
        self.settings = settings
        self.clock = Clock(store)
        self._later = Later(store)
        self.audit = AuditWriter(store, "web", now=lambda: self.clock.now())
        records = Records(
            store,
            settings.markers,
            now=lambda: self.clock.now(),
            later=self._later.add,
            audited=self.audit.note,
        )
        self.questions = Questions(records, self.clock)
        self.admission = Admission(store, settings.auth, authenticate, self.questions, self.clock, own_link)
        self.evidence = EvidenceReader(store)
        self.uploads = Turns(settings.large_bodies)
        self._hints = Hints(settings.hint_url)
        self._inbox: Inbox | None = None
        self.ending = asyncio.Event()
        self.submissions = Submissions(
            records, self.admission, self.questions, self.clock, self._hints, self.evidence, self.hinted
        )

    @property
    def inbox(self) -> Inbox:
        """The inbox, made when it is first needed: a web app that only serves forms starts sooner without."""
        if self._inbox is None:
            from hitl_webapp.inbox.inbox import Inbox

            self._inbox = Inbox(self.store, rows=self.settings.inbox_rows, tends=not self.settings.markers)
            self.questions.told = self._inbox.note
        return self._inbox

    @cached_property
    def streams(self) -> Streams:
        """The streams that tell open pages of changes, made when they are first needed."""
        from hitl_webapp.inbox.events import Streams

        return Streams(self.inbox, self.ending)

    def hinted(self, request_id: str) -> None:
        """Look at a question soon, if there is an inbox that shows it."""
        if self._inbox is not None:
            self._inbox.hint(request_id)

    async def close(self) -> None:
        """Wait for hints, rows of the index, and lines of the audit that are under way."""
        if self._inbox is not None:
            self._inbox.close()
        await self._later.close()
        await self.audit.close()
        await self._hints.close()
