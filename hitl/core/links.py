"""Links: who has the token of one may answer one question.

Most are objects of their own. The one that the operator hands out as it asks is part of the question: see
`RequestDocument.link_sha256`.
"""

import hmac
from datetime import datetime
from typing import Final

from pydantic import Field

from hitl.core.documents import Document, RequestDocument
from hitl.core.moments import Moment

HANDED_OUT: Final = "HumanInput"


class LinkDocument(Document):
    """A capability to answer one request; its key holds the hash of its token.

    `person` is who gets a personal link: who uses it answers in their name, which nobody has verified.
    """

    created_at: Moment
    label: str = Field(default="", max_length=256)
    person: str = Field(default="", max_length=256)
    expires_at: Moment | None = None

    def valid(self, now: datetime) -> bool:
        """Tell whether the link still grants anything."""
        return self.expires_at is None or now < self.expires_at


def handed_out(question: RequestDocument) -> LinkDocument | None:
    """Return the link that was handed out as a question was asked, if one was. Maybe it was revoked since."""
    return LinkDocument(created_at=question.created_at, label=HANDED_OUT) if question.link_sha256 else None


def is_handed_out(question: RequestDocument, token_hash: str) -> bool:
    """Tell whether a token is the one of the link that was handed out as a question was asked."""
    return bool(question.link_sha256) and hmac.compare_digest(question.link_sha256, token_hash)
