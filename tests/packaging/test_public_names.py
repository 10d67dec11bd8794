"""The names that programs may rely on. Who takes one away breaks them."""

import importlib
import tomllib
from pathlib import Path

import pytest

import hitl
from hitl import errors

REPO = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["scripts"]
NAMES = {
    "Approval",
    "BusinessHours",
    "Change",
    "Event",
    "EventFormLink",
    "EventScope",
    "File",
    "HITLSubmissionTyped",
    "MISSING",
    "Outcome",
    "Vote",
    "ask",
    "env",
    "escape",
    "evidence",
    "new_event",
}


def test_the_public_names_are_these() -> None:
    raised = {
        name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, Exception)
    }

    assert set(hitl.__all__) == NAMES | {name for name in raised if not name.startswith("_")}
    assert [name for name in hitl.__all__ if not hasattr(hitl, name)] == []


def test_the_old_plugin_s_names_are_the_same_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = importlib.import_module("flyteplugins.hitl")
    old_app = importlib.import_module("flyteplugins.hitl._app")

    assert [name for name in hitl.__all__ if getattr(plugin, name) is not getattr(hitl, name)] == []
    assert old_app.HITLSubmissionTyped is hitl.HITLSubmissionTyped
    monkeypatch.setenv("HITL_STORAGE_ROOT", "memory://old-plugin")
    assert "/submit/json" in old_app.app.openapi()["paths"]
    assert not hasattr(old_app, "nonsense")


@pytest.mark.parametrize("script", ["hitl", "kubectl-hitl", "hitl-operator"])
def test_the_target_of_a_command_is_there(script: str) -> None:
    module, _, name = SCRIPTS[script].partition(":")

    assert callable(getattr(importlib.import_module(module), name))
