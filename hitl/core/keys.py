"""Object keys and request ids: the only place that builds either.

Keys are relative to the root. A request id is a DNS label, so that it also names the HumanInput, and never
holds a slash, a dot or anything else that a path could be bent with.
"""

import hashlib
import re
import secrets
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from hitl.errors import RequestNotFound

PREFIX: Final = "hitl-requests"
NEW: Final = f"{PREFIX}/_new"
ANSWERED: Final = f"{PREFIX}/_answered"
PROBES: Final = f"{PREFIX}/_probe"
DELETED: Final = f"{PREFIX}/_deleted"
OPEN: Final = f"{PREFIX}/_open"
SETTLED: Final = f"{PREFIX}/_settled"
INDEX_COMPLETE: Final = f"{PREFIX}/_index/complete"
DELETING: Final = f"{PREFIX}/_deleting"
LAST_DELETED: Final = f"{DELETING}/deleted"
AUDIT: Final = f"{PREFIX}/_audit"

REQUEST_ID_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TOKEN_BYTES: Final = 16

_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)
_TOKEN_HASH = re.compile("[0-9a-f]{64}", re.ASCII)
_SEGMENT = re.compile("([0-9-]{10})/([0-9a-f]{16})/(?!0{8})([0-9]{8})[.]jsonl", re.ASCII)
_OPEN_ROW = re.compile("([0-9a-f]{8})-(.+)", re.ASCII)
_FAR_ROW = re.compile("(.+)[.]([0-9a-f]{8})", re.ASCII)
_LAST_SECOND = 2**32 - 1
_GONE_LISTS = 16
_DIGEST_CHARS = 24
_SLUG_CHARS = 63 - _DIGEST_CHARS - 1
# With these, a link has at most 100 characters.
_SHORT_SLUG_CHARS = 16


def is_request_id(text: str) -> bool:
    """Tell whether a text could be a request id."""
    return _REQUEST_ID.fullmatch(text) is not None


def request_key(request_id: str) -> str:
    """Return the key of the question."""
    return f"{PREFIX}/{_checked(request_id)}/request.json"


def response_key(request_id: str) -> str:
    """Return the key of the outcome."""
    return f"{PREFIX}/{_checked(request_id)}/response.json"


def links_prefix(request_id: str) -> str:
    """Return the prefix of a request's links."""
    return f"{PREFIX}/{_checked(request_id)}/links"


def link_key(request_id: str, token_hash: str) -> str:
    """Return the key of a link, given the hash of its token (see `hash_token`)."""
    if not _TOKEN_HASH.fullmatch(token_hash):
        raise RequestNotFound("this is not the hash of a link's token: it has 64 hexadecimal characters")
    return f"{links_prefix(request_id)}/{token_hash}.json"


def question_prefix(request_id: str) -> str:
    """Return the prefix of all that belongs to a question."""
    return f"{PREFIX}/{_checked(request_id)}"


def evidence_prefix(request_id: str) -> str:
    """Return the prefix of what is shown beside a question."""
    return f"{PREFIX}/{_checked(request_id)}/evidence"


def evidence_key(request_id: str, sha256: str) -> str:
    """Return the key of one piece of evidence, given the digest of its bytes."""
    return f"{evidence_prefix(request_id)}/{_digest(sha256)}"


def answers_prefix(request_id: str) -> str:
    """Return the prefix of the files that were sent to answer a question."""
    return f"{PREFIX}/{_checked(request_id)}/answers"


def answer_part_key(request_id: str, submission_id: str, number: int) -> str:
    """Return the key of one part of a file that answers, counted from 0.

    Senders may choose submission ids, so a hash of it stands in the key.
    """
    folder = hashlib.sha256(submission_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{answers_prefix(request_id)}/{folder}/{number:05d}"


def new_marker(request_id: str) -> str:
    """Return the key of the marker that announces a request without a HumanInput."""
    return f"{NEW}/{_checked(request_id)}"


def answered_marker(request_id: str) -> str:
    """Return the key of the marker that announces an outcome."""
    return f"{ANSWERED}/{_checked(request_id)}"


def deleted_marker(request_id: str) -> str:
    """Return the key of the marker that says when a question was deleted, so that its outcome may follow."""
    return f"{DELETED}/{_checked(request_id)}"


class OpenRow(NamedTuple):
    """A row of the index of open questions.

    Args:
        request_id: The question.
        expires_at: Its deadline, in whole seconds.
    """

    request_id: str
    expires_at: datetime

    @property
    def key(self) -> str:
        """The row's key: rows are listed in the order of the deadlines."""
        return f"{OPEN}/{_hex_seconds(self.expires_at)}-{_checked(self.request_id)}"

    @classmethod
    def unreadable(cls, request_id: str) -> "OpenRow":
        """Return the row of a question that cannot be read, so that nobody knows its deadline."""
        return cls(request_id, datetime.fromtimestamp(0, UTC))

    @classmethod
    def of_key(cls, key: str) -> "OpenRow | None":
        """Return the row that a key is, if it is one."""
        found = _OPEN_ROW.fullmatch(key.removeprefix(f"{OPEN}/"))
        if found is None or not is_request_id(found[2]):
            return None
        return cls(found[2], _of_hex_seconds(found[1]))


class SettledRow(NamedTuple):
    """A row of the index of settled questions.

    Args:
        request_id: The question.
        day: The day of its outcome, in UTC.
        expires_at: Its deadline, rounded up to a second, if that is more than a day after the end of that day.
            Only then the key holds it.
    """

    request_id: str
    day: date
    expires_at: datetime | None = None

    @classmethod
    def of(cls, request_id: str, answered_at: datetime, expires_at: datetime) -> "SettledRow":
        """Return the row of a question, given when its outcome was recorded, and its deadline."""
        day = answered_at.astimezone(UTC).date()
        if expires_at - answered_at <= timedelta(days=1):
            return cls(request_id, day)
        far = expires_at > _end_of(day) + timedelta(days=1)
        whole = expires_at.replace(microsecond=0)
        return cls(
            request_id, day, (whole if whole == expires_at else whole + timedelta(seconds=1)) if far else None
        )

    @property
    def key(self) -> str:
        """The row's key."""
        far = "" if self.expires_at is None else f".{_hex_seconds(self.expires_at)}"
        return f"{settled_prefix(self.day)}/{_checked(self.request_id)}{far}"

    @property
    def expires_by(self) -> datetime:
        """A moment by which the deadline has passed."""
        return self.expires_at or _end_of(self.day) + timedelta(days=1)

    @classmethod
    def of_key(cls, key: str) -> "SettledRow | None":
        """Return the row that a key is, if it is one."""
        day, _, name = key.removeprefix(f"{SETTLED}/").partition("/")
        far = _FAR_ROW.fullmatch(name)
        request_id = name if far is None else far[1]
        found = day_of(day)
        if found is None or not is_request_id(request_id):
            return None
        return cls(request_id, found, None if far is None else _of_hex_seconds(far[2]))


def settled_prefix(day: date) -> str:
    """Return the prefix of the rows of the questions that were settled on a day."""
    return f"{SETTLED}/{day.isoformat()}"


def day_of(text: str) -> date | None:
    """Return the day of a folder's name, ``yyyy-mm-dd``, if it is one."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # The last year of the calendar has no day after it.
    return day if day.isoformat() == text and day.year < date.max.year else None


class SegmentName(NamedTuple):
    """Where a segment of the audit lies.

    Args:
        day: The day on which it was written, in UTC.
        writer: Who wrote it: 16 random hexadecimal characters for each process.
        number: Which one of its writer's it is, counted from 1.
    """

    day: date
    writer: str
    number: int

    @property
    def key(self) -> str:
        """The segment's key: those of a writer are listed in their order."""
        return f"{audit_prefix(self.day)}/{self.writer}/{self.number:08d}.jsonl"

    @classmethod
    def of_key(cls, key: str) -> "SegmentName | None":
        """Return the segment that a key is, if it is one."""
        found = _SEGMENT.fullmatch(key.removeprefix(f"{AUDIT}/"))
        day = None if found is None else day_of(found[1])
        return None if found is None or day is None else cls(day, found[2], int(found[3]))


def new_writer() -> str:
    """Return a random id for a process that writes the audit."""
    return secrets.token_hex(8)


def audit_prefix(day: date) -> str:
    """Return the prefix of the segments that were written on a day."""
    return f"{AUDIT}/{day.isoformat()}"


def deletion_key(number: int) -> str:
    """Return the key of the n-th claim to be the only one who deletes under a root."""
    return f"{DELETING}/{number:08d}"


def gone_key(request_id: str) -> str:
    """Return the key of the list of ids that may not be asked under for a while; some share one."""
    return f"{DELETED}/_{hashlib.sha256(_checked(request_id).encode()).digest()[0] % _GONE_LISTS:02d}"


def probe_key() -> str:
    """Return a random key for the start-up probe."""
    return f"{PROBES}/{uuid.uuid4().hex}"


def path_under(root: str, key: str) -> str:
    """Return the full path of a key, as documents and clients of the old plugin name it."""
    return f"{root.rstrip('/')}/{key}"


def new_token() -> str:
    """Return a new link token: 128 random bits, safe in a URL.

    Each has small and large letters and a digit, by which logs know it wherever it stands.
    """
    while True:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        if looks_like_token(token):
            return token


def looks_like_token(text: str) -> bool:
    """Tell whether a text has small and large letters and a digit, as each token of this release has."""
    return all(any(map(kind, text)) for kind in (str.isupper, str.isdigit, str.islower))


def hash_token(token: str) -> str:
    """Return the hash by which a token is stored: 64 hexadecimal characters."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def random_request_id(event_name: str) -> str:
    """Return an id for a question asked outside any Flyte action and without a key."""
    return short_request_id(_named(event_name, secrets.token_hex(_DIGEST_CHARS // 2)))


def derived_request_id(event_name: str, *identity: str) -> str:
    """Return the id that the same identity always gets, so that a restarted task finds its question.

    Args:
        event_name: Shown at the front of the id, for people.
        identity: What sets this question apart; hashed with unambiguous borders between the parts.
    """
    digest = hashlib.sha256()
    for part in (event_name, *identity):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return _named(event_name, digest.hexdigest())


def short_request_id(request_id: str) -> str:
    """Return a random or derived id with less of the event's name in it, as this release asks.

    Releases before this one asked under the whole id.
    """
    slug, digest = request_id[: -_DIGEST_CHARS - 1], request_id[-_DIGEST_CHARS:]
    return f"{slug[:_SHORT_SLUG_CHARS].strip('-')}-{digest}"


def _named(event_name: str, digest: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", event_name.lower()).strip("-")[:_SLUG_CHARS].strip("-")
    return f"{slug or 'event'}-{digest[:_DIGEST_CHARS]}"


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _hex_seconds(moment: datetime) -> str:
    return f"{min(max(int(moment.timestamp()), 0), _LAST_SECOND):08x}"


def _of_hex_seconds(text: str) -> datetime:
    return datetime.fromtimestamp(int(text, 16), UTC)


def _digest(sha256: str) -> str:
    if not _TOKEN_HASH.fullmatch(sha256):
        raise RequestNotFound("this is not the digest of a file: it has 64 hexadecimal characters")
    return sha256


def _checked(request_id: str) -> str:
    if not is_request_id(request_id):
        raise RequestNotFound("this is not a question's id: it has 1 to 63 of a-z, 0-9 and '-'")
    return request_id
