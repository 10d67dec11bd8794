"""What every piece of work is done with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hitl_operator.cluster import Cluster
from hitl_operator.index import Index
from hitl_operator.queues import Queues
from hitl_operator.roots import Roots
from hitl_operator.settings import OperatorSettings
from hitl_operator.task_actions import TaskActions


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """The operator's parts, as those who do its work know them.

    Args:
        cluster: What the operator writes to the API server.
        roots: The roots.
        index: What was seen of the cluster.
        queue: Where further work goes.
        settings: The operator's settings.
        task_actions: What was seen of Flyte's TaskActions; None where nobody watches them.
        tell_web_apps: Called with the root's name and the request's id when a question is shown, or its outcome.
        now: The present moment.
        lost: Why a target could not be told of a question that is open, by the question.
    """

    cluster: Cluster
    roots: Roots
    index: Index
    queue: Queues
    settings: OperatorSettings
    task_actions: TaskActions | None = None
    tell_web_apps: Callable[[str, str], None] = lambda _root, _request_id: None
    now: Callable[[], datetime] = _now
    lost: dict[str, str] = field(default_factory=dict)
