"""Links for one person and one question: their tokens, and what is left of those that were revoked."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime

from hitl.core import keys
from hitl.core.approval import needs_verified
from hitl.core.documents import RequestDocument
from hitl.core.escalation import may_answer


def personal_token(key: bytes, request_sha256: str, person: str) -> str:
    """Return the token of a person's link to a question: the same at each call, as a retry sends it again.

    Args:
        key: A secret. Who has it can make the tokens of all questions.
        request_sha256: The digest of the question.
        person: The person, by the name that the link gives them.
    """
    said = b"\0".join([b"hitl link", request_sha256.encode(), person.encode("utf-8", "surrogatepass")])
    token, number = "", 0
    while not keys.looks_like_token(token):
        digest = hmac.digest(key, b"%d\0%b" % (number, said), hashlib.sha256)[: keys.TOKEN_BYTES]
        token, number = base64.urlsafe_b64encode(digest).decode().rstrip("="), number + 1
    return token


def revoked_marker(request_id: str, token_hash: str) -> str:
    """Return the key of the marker that a personal link was revoked, so that no notice makes it again."""
    name = keys.link_key(request_id, token_hash).rpartition("/")[2]
    return f"{keys.question_prefix(request_id)}/revoked/{name.removesuffix('.json')}"


def link_is_enough(question: RequestDocument, person: str, at: datetime) -> bool:
    """Tell whether a link of their own lets a person answer, where people do not sign in.

    Args:
        question: The question.
        person: The person, whose name nobody has verified.
        at: The moment, with a time zone.
    """
    if question.approval is not None and needs_verified(question.approval):
        return False
    return may_answer(question, at).allow(person, [])
