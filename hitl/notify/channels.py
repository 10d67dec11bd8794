"""What a channel is, and what it is given to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.notices import Notice, NoticeEvent
from hitl.core.urls import form_url
from hitl.records.outbox import receipts
from hitl.records.requests import StoredRequest
from hitl.storage import Store


@dataclass(frozen=True)
class Kept:
    """Where a message's notice lies, for channels that write links, or note who of several people was told.

    Args:
        store: Where the question lies.
        request: The question.
        notice: The notice's name.
    """

    store: Store
    request: StoredRequest
    notice: str


@dataclass(frozen=True)
class Message:
    """What is told.

    Args:
        id: The same at each try, and for no other message.
        event: What happened; empty: a test.
        at: Since when it is true, with a time zone.
        question: The question; None for a test.
        outcome: Its outcome, if it has one.
        receipts: What the target gave for earlier notices about the question, by their names.
        request_sha256: The digest of the question's very bytes.
        digest: The messages that it stands for, if it is a digest; then it is of no question and no event.
        kept: Where its notice lies; None: a test, a digest, or nothing may be written about it.
    """

    id: str
    event: NoticeEvent | None
    at: datetime
    question: RequestDocument | None = None
    outcome: OutcomeDocument | None = None
    receipts: Mapping[str, str] = field(default_factory=dict)
    request_sha256: str = ""
    digest: tuple[Message, ...] = ()
    kept: Kept | None = field(default=None, repr=False, kw_only=True)

    @classmethod
    def of(
        cls,
        request: StoredRequest,
        notice: Notice,
        outcome: OutcomeDocument | None,
        receipts: Mapping[str, str],
        store: Store | None = None,
    ) -> Message:
        """Return the message that a notice is.

        Args:
            request: The question.
            notice: The notice.
            outcome: The question's outcome, if it has one.
            receipts: What the target gave for earlier notices about the question, by their names.
            store: Where the question lies; None: the channel writes nothing.
        """
        notice_id = notice.id_of(request.request_id, request.sha256)
        kept = None if store is None else Kept(store, request, notice.name)
        document, digest = request.document, request.sha256
        return cls(notice_id, notice.event, notice.due_at, document, outcome, receipts, digest, kept=kept)

    def form_url(self) -> str:
        """Return the address of the form, by which nobody can answer without signing in; empty: not known."""
        if self.question is None or not self.question.app_endpoint:
            return ""
        return form_url(self.question.app_endpoint, self.question.request_id)


async def message_about(
    store: Store, request: StoredRequest, notice: Notice, outcome: OutcomeDocument | None, target: str
) -> Message:
    """Return the message that a notice is, with what the target gave for earlier ones.

    Args:
        store: Where the question lies.
        request: The question.
        notice: What is told.
        outcome: Its outcome, if it has one.
        target: The target's name in keys.

    Raises:
        StorageUnavailable: when the storage did not answer in time.
    """
    earlier = {} if notice.event == "asked" else await receipts(store, request.request_id, target)
    return Message.of(request, notice, outcome, earlier, store)


class Channel(Protocol):
    """A way to tell people, to one target."""

    @property
    def name(self) -> str:
        """The target's name: in keys and logs, where its address and its secrets never are."""

    @property
    def events(self) -> frozenset[NoticeEvent]:
        """What it wants to be told of."""

    async def send(self, message: Message) -> str:
        """Deliver a message, which may be delivered already: its id says which it is.

        Returns:
            By what the target knows the message, to be told of it with later ones; empty: by nothing.

        Raises:
            NotDelivered: says why, without secrets and without anything that the other side wrote.
        """
