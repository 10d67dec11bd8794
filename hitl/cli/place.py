"""Where a command looks for questions: the options that say so, which every such command has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from hitl.cli import output
from hitl.cli.backend import Backend
from hitl.cli.options import in_cluster, rooted
from hitl.cli.storage_backend import Stored
from hitl.errors import ClusterError, InvalidRequest
from hitl.extras import how_to_install
from hitl.settings import Settings

_P = ParamSpec("_P")


@dataclass(frozen=True)
class Place:
    """Where to look: in a cluster when one is named, or when kubectl calls; else under the root.

    Args:
        namespace: A namespace of the cluster.
        everywhere: Every namespace of it.
        context: The kubeconfig's context.
        kubeconfig: The kubeconfig.
    """

    namespace: str | None = None
    everywhere: bool = False
    context: str | None = None
    kubeconfig: str | None = None

    def filtering(self, *, server: bool) -> tuple[Place, str]:
        """Return where to list questions, and the namespace that they are to have; empty: any.

        Args:
            server: A web app is asked. There, and under a root that is named, a namespace is a filter.

        Raises:
            InvalidRequest: two places are named.
        """
        if server and (self.context or self.kubeconfig or rooted.get()):
            raise InvalidRequest("--server names a web app: leave out --root, --context and --kubeconfig")
        if (server or rooted.get()) and not (self.context or self.kubeconfig or (self.everywhere and not server)):
            return Place(), self.namespace or ""
        return self, ""

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster: one is named, or kubectl called."""
        return bool(in_cluster.get() or self.namespace or self.everywhere or self.context or self.kubeconfig)

    def backend(self, warn: Callable[[str], None] = output.say) -> Backend:
        """Return the questions there.

        Args:
            warn: Told of each question that cannot be read.

        Raises:
            ClusterError: when the packages for a cluster are missing.
            StorageUnsuitable: when the root cannot be served.
        """
        if not self.is_cluster:
            return Stored(Settings(), warn)
        with needing_kubernetes():
            from hitl.cli.cluster_backend import InCluster, Target

        return InCluster(Target(self.kubeconfig, self.context, self.namespace, self.everywhere), warn)


@contextmanager
def needing_kubernetes() -> Iterator[None]:
    """Say what to install when an import for a cluster fails; raises ClusterError."""
    try:
        yield
    except ImportError as error:
        raise ClusterError(f"for a cluster more is needed: {how_to_install('kubernetes')} ({error})") from error


def looks(function: Callable[Concatenate[Place, _P], None]) -> Callable[..., None]:
    """Give a command the options that say where to look.

    Args:
        function: The command. It gets the place first, then its own arguments and options.
    """
    own = inspect.signature(function, eval_str=True)
    _, *parameters = own.parameters.values()
    called: Callable[..., None] = function

    @wraps(function)
    def command(**given: Any) -> None:
        place = Place(**{name: given.pop(name) for name in _OPTIONS})
        called(place, **given)

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    # typer reads the signature, and takes the types of what it does not find there from the wrapped function.
    command.__signature__ = own.replace(parameters=[*parameters, *shared])  # type: ignore[attr-defined]
    return command


_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "namespace": (
        Annotated[
            str | None,
            typer.Option(
                "-n",
                "--namespace",
                metavar="NAME",
                help="Look in this namespace of the cluster.",
                show_default=False,
            ),
        ],
        None,
    ),
    "everywhere": (
        Annotated[bool, typer.Option("-A", "--all-namespaces", help="Look in every namespace of the cluster.")],
        False,
    ),
    "context": (
        Annotated[
            str | None,
            typer.Option("--context", metavar="NAME", help="The kubeconfig's context.", show_default=False),
        ],
        None,
    ),
    "kubeconfig": (
        Annotated[
            str | None, typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig.", show_default=False)
        ],
        None,
    ),
}
