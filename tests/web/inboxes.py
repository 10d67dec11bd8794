"""Pages of the inbox, made of questions and outcomes; and roots with many questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hitl.core import keys
from hitl.core.documents import OutcomeDocument, RequestDocument
from hitl.core.keys import OpenRow
from hitl_webapp import pages
from hitl_webapp.inbox.listing import Listing
from hitl_webapp.inbox.queries import Query
from hitl_webapp.inbox.rows import Row, row_of

Asked = tuple[RequestDocument, OutcomeDocument | None]


def row(request: RequestDocument, outcome: OutcomeDocument | None = None) -> Row:
    return row_of(request, outcome, "00" * 32)


def inbox_page(
    now: datetime,
    *,
    waiting: Sequence[RequestDocument] = (),
    ended: Sequence[Asked] = (),
    name: str = "ann",
    **more: Any,
) -> str:
    """Return the page with these questions."""
    found = Listing(
        query=more.pop("query", Query()),
        now=now,
        rows=tuple(map(row, waiting)),
        settled=tuple(row(*each) for each in ended),
        **more,
    )
    return pages.render("inbox.html", found=found, name=name)


def put(root: Path, documents: Iterable[RequestDocument]) -> None:
    """Write questions and their rows as files; as durably as they are asked would take long."""
    (root / keys.OPEN).mkdir(parents=True)
    for document in documents:
        path = root / keys.request_key(document.request_id)
        path.parent.mkdir()
        path.write_bytes(document.to_bytes())
        (root / OpenRow(document.request_id, document.expires_at).key).touch()
    complete = root / keys.INDEX_COMPLETE
    complete.parent.mkdir()
    complete.touch()
