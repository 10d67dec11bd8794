"""Telling who waits that no operator shows the question: its namespace may be missing, or not the operator's."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hitl.core import keys
from hitl.errors import StorageError
from hitl.records.records import Records
from hitl.records.requests import StoredRequest

UNSEEN_SECONDS: Final = 30.0
"""How long the marker of a new question may stay: an operator's sweep takes it sooner."""

_log = logging.getLogger("hitl")


async def say_if_unseen(records: Records, request: StoredRequest) -> None:
    """Say in the log, once, if no operator has taken the question after `UNSEEN_SECONDS`.

    The operator deletes the marker of a new question when its HumanInput is there.
    """
    await asyncio.sleep(UNSEEN_SECONDS)
    try:
        unseen = await records.store.exists(keys.new_marker(request.request_id))
    except StorageError:
        # The wait itself reports the storage.
        return
    if not unseen:
        return
    if not request.document.origin.namespace:
        _log.warning(
            "%s: no operator shows this question: none runs, or its log says why. kubectl does not find the "
            "question. The form takes an answer all the same",
            request.document.event_name,
        )
    else:
        _log.warning(
            "%s: no operator shows this question in the namespace %r. The namespace may be missing, forbidden to "
            "the operator, or not one of its own: the operator's log says which. Or no operator runs. kubectl "
            "does not find the question. Create the namespace, or set HITL_NAMESPACE to one of the operator's",
            request.document.event_name,
            request.document.origin.namespace,
        )
