"""Who visits, and what they may do, as the Kubernetes API server says: `HITL_AUTH=kubernetes`.

Loaded in this mode alone: the others start sooner and smaller without a client of the API server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Generic, TypeVar

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers

from hitl.cluster.client import ACCESS_REVIEWS, HUMAN_INPUTS, TOKEN_REVIEWS, Kube, Object, Resource
from hitl.core import keys
from hitl.core.audit import Right
from hitl.core.documents import RequestDocument
from hitl.errors import NotAllowed
from hitl_webapp.auth import Principal, bearer, recordable

_KEPT: Final = 4_096
_KEPT_SECONDS: Final = 5.0
# A stolen token that was made for us alone is useless elsewhere; others are those of the API server itself.
_AUDIENCES: Final[tuple[list[str], ...]] = ([HUMAN_INPUTS.group], [])
_RESOURCE: Final = f"{HUMAN_INPUTS.plural}.{HUMAN_INPUTS.group}"
# The same sentence whether or not there is such a question, so that nobody learns from it which there are.
_NOT_SHOWN: Final = (
    "There is no such question, or {name} may not see it: that needs the verb get or answer on {resource}, in the "
    "question's namespace and for its name. An admin there can help, for example with the chart's role "
    "responder."
)
_NOT_ANSWERED: Final = (
    "{name} may not answer {question}: that needs the verb answer on {resource} {where}. An admin there "
    "can help, for example with the chart's role responder."
)

_V = TypeVar("_V")


class Remembered(Generic[_V]):
    """What was asked within the last seconds: once, however many want to know. Failures are not remembered."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, tuple[float, _V]] = LRUCache(_KEPT)
        self._asked: dict[str, asyncio.Task[_V]] = {}

    async def get(self, key: str, ask: Callable[[], Awaitable[_V]]) -> _V:
        """Return what is known by a key, and ask where nothing is."""
        known = self._kept.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(key, ask))
        # One visitor who gives up does not take the answer from the others.
        return await asyncio.shield(self._asked[key])

    async def _ask(self, key: str, ask: Callable[[], Awaitable[_V]]) -> _V:
        until = time.monotonic() + _KEPT_SECONDS
        try:
            found = await ask()
            self._kept[key] = (until, found)
            return found
        finally:
            del self._asked[key]


class Subject(BaseModel):
    """Whose a token is, as a TokenReview says it and a SubjectAccessReview takes it."""

    model_config = ConfigDict(frozen=True)

    user: str = Field(validation_alias="username")
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class Reviews:
    """Asks the API server whose a bearer token is, and what that user may do with a HumanInput.

    What it says holds for five seconds. Tokens are kept nowhere, only their hashes.

    Args:
        kube: The API server, where this process may create both kinds of review.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._users: Remembered[User | None] = Remembered()
        self._allowed: Remembered[bool] = Remembered()

    async def __call__(self, headers: Headers) -> Principal | None:
        """Return the user whose bearer token it is, or None when there is none that the API server knows.

        Raises:
            NotAllowed: the user's name is too long to be recorded.
            ClusterError: the API server cannot be asked.
        """
        token = bearer(headers)
        if not token:
            return None
        token_hash = keys.hash_token(token)
        return await self._users.get(token_hash, lambda: self._user(token, token_hash))

    async def allows(self, user: User, verb: str, namespace: str, name: str) -> bool:
        """Tell whether a user may do something with a HumanInput.

        Args:
            user: The user.
            verb: Such as `answer`.
            namespace: Empty: with those of every namespace.
            name: Empty: with every one there.

        Raises:
            ClusterError: the API server cannot be asked.
        """
        attributes = {
            "verb": verb,
            "group": HUMAN_INPUTS.group,
            "resource": HUMAN_INPUTS.plural,
            "namespace": namespace,
            "name": name,
        }
        spec = {**user.subject.model_dump(), "resourceAttributes": attributes}

        async def ask() -> bool:
            return (await self._review(ACCESS_REVIEWS, spec)).get("allowed") is True

        return await self._allowed.get(f"{user.token_hash} {verb} {namespace}/{name}", ask)

    async def _user(self, token: str, token_hash: str) -> User | None:
        for audiences in _AUDIENCES:
            status = await self._review(TOKEN_REVIEWS, {"token": token, "audiences": audiences})
            if status.get("authenticated") is True:
                subject = Subject.model_validate(status["user"])
                return User(
                    name=recordable(subject.user),
                    groups=tuple(subject.groups),
                    verified=True,
                    subject=subject,
                    token_hash=token_hash,
                    reviews=self,
                )
        return None

    async def _review(self, resource: Resource, spec: Object) -> Object:
        review = await self._kube.create(resource, {"metadata": {}, "spec": spec}, manager="")
        status: Object = review["status"]
        return status


@dataclass(frozen=True, kw_only=True)
class User(Principal):
    """A user of the API server, who may do what both it and the question allow."""

    subject: Subject
    token_hash: str
    reviews: Reviews
    limited: ClassVar[bool] = True

    @property
    def right(self) -> Right:
        """By which right this user answers: the API server says who and whether."""
        return "kubernetes"

    async def require_may_see_all(self) -> None:
        """Let through who may get or answer every HumanInput."""
        await self._require_may_see("", "")

    async def require_may_see(self, request: RequestDocument, now: datetime) -> None:
        """Let through who may get or answer the question's HumanInput."""
        await self._require_may_see(request.origin.namespace, request.human_input)
        await super().require_may_see(request, now)

    async def may_list_in(self, namespace: str) -> bool:
        """Tell whether this user may see every question of a namespace: one review serves for all of them."""
        return await self._may_see(namespace, "")

    async def require_may_answer(self, request: RequestDocument, now: datetime) -> None:
        """Let through who may answer the question's HumanInput."""
        namespace = request.origin.namespace
        if not await self.reviews.allows(self, "answer", namespace, request.human_input):
            raise NotAllowed(
                _NOT_ANSWERED.format(
                    name=self.name,
                    question=f"{namespace}/{request.human_input}" if namespace else request.human_input,
                    resource=_RESOURCE,
                    where=f"in namespace {namespace}" if namespace else "in every namespace, as it names none",
                )
            )
        await super().require_may_answer(request, now)

    async def _require_may_see(self, namespace: str, name: str) -> None:
        if not await self._may_see(namespace, name):
            raise NotAllowed(_NOT_SHOWN.format(name=self.name, resource=_RESOURCE))

    async def _may_see(self, namespace: str, name: str) -> bool:
        return await self.reviews.allows(self, "get", namespace, name) or await self.reviews.allows(
            self, "answer", namespace, name
        )
