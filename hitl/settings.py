"""What the environment says: `HITL_*`, read when it is needed, so that a test or a notebook may change it."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ServeMode: TypeAlias = Literal["operator", "flyte", "local"]
Unproven: TypeAlias = Literal["refuse", "allow"]

_PREFIX: Final = "HITL_"
# Settings of different components that are nearly alike: each is meant.
_ALIKE: Final = frozenset({"HITL_NAMESPACE", "HITL_NAMESPACES", "HITL_AUDIT_SECONDS", "HITL_HEAD_SECONDS"})
_ALIKE_ENOUGH: Final = 0.85

_log = logging.getLogger("hitl")
_warned: set[str] = set()


def misspelt(names: Iterable[str], fields: Iterable[str]) -> dict[str, str]:
    """Return the names of the environment that look like a setting and are none, each with the one meant.

    Args:
        names: Names of environment variables.
        fields: The settings, as fields are named: ``storage_root``.
    """
    known = {f"{_PREFIX}{field.upper()}" for field in fields}
    others = sorted(name for name in set(names) - known - _ALIKE if name.startswith(_PREFIX))
    if not others:
        return {}
    import difflib  # most environments have nothing to compare

    close = {name: difflib.get_close_matches(name, known, 1, _ALIKE_ENOUGH) for name in others}
    return {name: found[0] for name, found in close.items() if found}


def warn_of_misspelt(fields: Iterable[str]) -> None:
    """Say once in the log of each misspelt setting that it has no effect: without it, anybody might answer."""
    for name, meant in misspelt(os.environ, fields).items():
        if name not in _warned:
            _warned.add(name)
            _log.warning("%s is set and is no setting: did you mean %s?", name, meant)


def _with_scheme(address: str) -> str:
    """Return the web app's address. Without a scheme, its links lead nowhere, and its host is taken for a path."""
    if address and not address.lower().startswith(("https://", "http://")):
        raise ValueError("write the web app's whole address, with https:// or http://")
    return address


Endpoint: TypeAlias = Annotated[str, AfterValidator(_with_scheme)]
"""The web app's base URL, as people reach it; empty: it is not known."""


class StorageSettings(BaseSettings):
    """Where requests lie. Shared by the library, the web app and the command line."""

    model_config = SettingsConfigDict(env_prefix="HITL_", extra="ignore", populate_by_name=True, defer_build=True)

    storage_root: str = ""
    """The root's URL, such as `s3://bucket/hitl`. Empty: a folder of this user's."""
    storage_options: dict[str, Any] = {}
    """JSON: options for the storage client, such as `{"endpoint": "http://…"}`, beside its usual credentials."""
    storage_unproven: Unproven = "refuse"
    """`allow`: use kinds of storage that HITL's contract tests do not run on, after the proof at start."""
    storage_sync: Literal["on", "off"] = "on"
    """`off`: an answer in local files is confirmed before the disk has it. A loss of power may then undo it, or
    leave an empty file in its place, which has to be repaired by hand. It changes nothing for object storage."""
    data_dir: Path | None = None
    """The folder of local mode: questions, outcomes, the last port of the web app, and the key of your inbox.
    Unset: a folder of this user's."""

    def model_post_init(self, _context: Any, /) -> None:
        """Look for settings that are misspelt."""
        warn_of_misspelt(type(self).model_fields)

    def root(self) -> str:
        """Return the root's URL or local path."""
        return self.storage_root or str(self.folder())

    def folder(self) -> Path:
        """Return the folder of local mode."""
        if self.data_dir is not None:
            return self.data_dir
        import platformdirs  # who names a root need not wait for it

        return Path(platformdirs.user_data_dir("hitl", appauthor=False))


class Settings(StorageSettings):
    """The library's settings."""

    serve: ServeMode | None = None
    """How the web app is served: `operator`, `flyte` or `local`. Unset: by what is there."""
    endpoint: Endpoint = ""
    """The web app's base URL in operator mode, as people reach it. Local mode refuses it."""
    hint_url: str = ""
    """The operator's address for hints, such as `http://hitl-operator.hitl:8080`. Empty: no hints."""
    token: SecretStr = SecretStr("")
    """The bearer token that `hitl list --server` sends; `--token-file` is used instead of it."""
    form_link: Literal["on", "off"] = "on"
    """Whether Flyte's UI shows the link "Event Form". This costs a small pod in each run whose question waits for
    10 seconds."""
    image: str = ""
    """The image of the web app as a Flyte app and of the task that shows its link; HITL and the drop-in are in it.
    Empty: one is built, with both from the index that your builds use."""
    namespace: str = ""
    """The Kubernetes namespace that a question belongs to. Empty: Flyte's `{project}-{domain}`."""
    notify: SecretStr = SecretStr("")
    """Who is told of the questions that a program waits for: a webhook's URL, or a JSON list of targets, see
    [Notices](notify.md). Empty: nobody."""
    notify_reminders: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=16)] = []
    """JSON: how many seconds before the deadline people are reminded, such as `[3600, 600]`."""
    notify_private: Literal["refuse", "allow"] = "refuse"
    """`allow`: send notices by http, and to addresses that are not public, too. For development, and for receivers
    inside the cluster."""
    retention_days: float = Field(default=30, ge=0)
    """How many days after its outcome a question is kept by `hitl gc`."""
