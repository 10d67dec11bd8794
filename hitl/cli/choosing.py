"""Which of the questions that were found a list shows: by the inbox's own index, so that filters mean the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hitl.cli.view import RequestView
from hitl.core.documents import OutcomeKind
from hitl.core.escalation import together
from hitl.core.lifecycle import Phase
from hitl.serving.programs import this_user
from hitl_webapp.inbox.finding import find
from hitl_webapp.inbox.index import Index
from hitl_webapp.inbox.queries import Query
from hitl_webapp.inbox.rights import Rights
from hitl_webapp.inbox.rows import PROMPT_CHARS, Ended, Row

_OUTCOMES: Final[dict[Phase, OutcomeKind]] = {
    "Answered": "answered",
    "Rejected": "rejected",
    "TimedOut": "timed_out",
    "Cancelled": "cancelled",
}


def chosen(views: Sequence[RequestView], query: Query, now: datetime, *, ordered: bool) -> list[RequestView]:
    """Return the questions that match.

    Args:
        views: All questions.
        query: What is looked for. `mine` and `groups` are those that name this user of the machine, or its groups.
        now: The present moment, with a time zone.
        ordered: In the order of the query; else as they were given.
    """
    by_id = {view.id: view for view in views}
    index = Index()
    index.put(((_row(view), 0.0) for view in views), 1)
    # Who may read the root, or list the HumanInputs, may see all of them.
    rights = Rights(this_user(), _groups(), owns=True)
    found = [row.request_id for row in find(index, rights, query, now, limit=max(1, len(views))).rows]
    if ordered:
        return [by_id[each] for each in found]
    matching = set(found)
    return [view for view in views if view.id in matching]


def _row(view: RequestView) -> Row:
    ended = None
    if (outcome := _OUTCOMES.get(view.phase)) is not None:
        ended = Ended(outcome, view.settled_at or view.expires_at)
    return Row(
        request_id=view.id,
        sha256="",
        name=view.event_name,
        prompt=view.prompt[:PROMPT_CHARS],
        prompt_format="markdown",
        namespace=view.namespace,
        project=view.project,
        run=view.run,
        data_type=view.data_type,
        asked_by=view.asked_by,
        asked_at=view.created_at,
        expires_at=view.expires_at,
        respondents=view.respondents,
        later=tuple(
            (at, together(view.respondents, [each.respondents for each in view.escalation if each.at <= at]))
            for at in [each.at for each in view.escalation]
        ),
        ended=ended,
    )


def _groups() -> tuple[str, ...]:
    try:
        import grp
    except ImportError:
        # Windows has none of this kind.
        return ()
    named = {each.gr_gid: each.gr_name for each in grp.getgrall()}
    return tuple(named[each] for each in os.getgroups() if each in named)
