"""The Secret with a link to a question that was asked in Kubernetes: it is created, and never changed."""

from __future__ import annotations

from typing import Final

from cachetools import LRUCache

from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.documents import RequestDocument
from hitl.core.links import HANDED_OUT, is_handed_out
from hitl.errors import ClusterConflict, ClusterError, HITLError
from hitl.records.links import add_link, revoke_link
from hitl_operator.cluster import link_secret
from hitl_operator.context import Context
from hitl_operator.decide import Link, lacks_link
from hitl_operator.refusals import Refusals
from hitl_operator.roots import Root
from hitl_operator.work_items import IssueLink

_TOKENS: Final = 4_096


class LinkNotIssued(HITLError):
    """The API server did not take the Secret with a link, so that it is to be tried again soon."""


class Links:
    """Issues links. A link whose Secret is refused is kept in memory, so that the next try needs no other one.

    The hash of a link's token is stored in the question itself, which takes no write of its own. Where that was
    too late, as an operator stored the question and was killed before its Secret was there, a link is added.

    Args:
        context: The operator's parts.
        refusals: Where refused Secrets are counted.
    """

    def __init__(self, context: Context, refusals: Refusals) -> None:
        self._context = context
        self._refusals = refusals
        self._to_ask: LRUCache[str, str] = LRUCache(_TOKENS)
        self._added: LRUCache[str, str] = LRUCache(_TOKENS)

    def to_ask(self, human_input: HumanInput) -> str:
        """Return the hash of the token with which a HumanInput's question is to be stored; empty: it has no link.

        It is the same at each try, as the reply to the one that stored the question may be lost.
        """
        if not self._due(human_input):
            return ""
        return keys.hash_token(self._to_ask.setdefault(human_input.metadata.uid, keys.new_token()))

    async def issue(self, root: Root, human_input: HumanInput, question: RequestDocument) -> Link | None:
        """Create the Secret of a HumanInput, if one is due; None when nothing is to be said about it.

        Args:
            root: Where the question lies.
            human_input: The HumanInput that asks.
            question: Its question as it is stored.

        Raises:
            StorageUnavailable: trying again is safe.
            LinkNotIssued: it is to be tried again soon.
        """
        metadata = human_input.metadata
        work = IssueLink(metadata.namespace, metadata.name, metadata.uid)
        if not self._due(human_input) or self._refusals.rests(work):
            return None
        token = self._known(metadata.uid, question)
        added = token is None
        if token is None:
            token = await add_link(root.store, metadata.uid, now=self._context.now(), label=HANDED_OUT)
            self._added[metadata.uid] = token
        try:
            secret = await self._context.cluster.hand_out_link(human_input, token, root.form_url(metadata.uid))
        except ClusterConflict:
            # Its name holds the uid: this operator created it before it was killed, with a link of its own. Or the
            # reply to an earlier try was lost, and it holds the link of that try.
            secret = link_secret(metadata)
            if added:
                await revoke_link(root.store, metadata.uid, keys.hash_token(token))
        except ClusterError as error:
            if not self._refusals.count(work, error):
                raise LinkNotIssued(str(error)) from error
            return Link(refused=str(error))
        self._drop(metadata.uid)
        self._refusals.forget(work)
        return Link(secret=secret)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Forget the link of a HumanInput that is gone."""
        self._drop(uid)
        self._refusals.forget(IssueLink(namespace, name, uid))

    def _due(self, human_input: HumanInput) -> bool:
        return self._context.settings.auth == "link" and lacks_link(human_input)

    def _known(self, uid: str, question: RequestDocument) -> str | None:
        token = self._to_ask.get(uid)
        if token is not None and is_handed_out(question, keys.hash_token(token)):
            return token
        return self._added.get(uid)

    def _drop(self, uid: str) -> None:
        self._to_ask.pop(uid, None)
        self._added.pop(uid, None)
