"""The Secret with a link to a question that was asked in Kubernetes: it is created, and never changed."""

from __future__ import annotations

from typing import Final

from cachetools import LRUCache

from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.errors import ClusterConflict, ClusterError
from hitl.records.links import add_link, revoke_link
from hitl_operator.cluster import link_secret
from hitl_operator.context import Context
from hitl_operator.decide import Link, lacks_link
from hitl_operator.refusals import Refusals, lasting
from hitl_operator.roots import Root
from hitl_operator.work_items import IssueLink

_TOKENS: Final = 4_096


class Links:
    """Issues links. A link whose Secret is refused is kept in memory, so that the next try needs no other one.

    Args:
        context: The operator's parts.
        refusals: Where refused Secrets are counted.
    """

    def __init__(self, context: Context, refusals: Refusals) -> None:
        self._context = context
        self._refusals = refusals
        self._tokens: LRUCache[str, str] = LRUCache(_TOKENS)

    async def issue(self, root: Root, human_input: HumanInput) -> Link | None:
        """Create the Secret of a HumanInput, if one is due; None when nothing is to be said about it.

        Raises:
            StorageUnavailable: trying again is safe.
            ClusterError: it was refused, and is to be tried again soon.
        """
        metadata = human_input.metadata
        work = IssueLink(metadata.namespace, metadata.name, metadata.uid)
        if self._context.settings.auth != "link" or not lacks_link(human_input) or self._refusals.rests(work):
            return None
        token = self._tokens.get(metadata.uid)
        if token is None:
            token = await add_link(root.store, metadata.uid, now=self._context.now(), label="HumanInput")
            self._tokens[metadata.uid] = token
        try:
            secret = await self._context.cluster.hand_out_link(human_input, token, root.form_url(metadata.uid))
        except ClusterConflict:
            # Its name holds the uid: this operator created it before it was killed, with a link of its own.
            secret = link_secret(metadata)
            await revoke_link(root.store, metadata.uid, keys.hash_token(token))
        except ClusterError as error:
            if not lasting(error) or not self._refusals.count(work):
                raise
            return Link(refused=str(error))
        self._tokens.pop(metadata.uid, None)
        self._refusals.forget(work)
        return Link(secret=secret)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Forget the link of a HumanInput that is gone."""
        self._tokens.pop(uid, None)
        self._refusals.forget(IssueLink(namespace, name, uid))
