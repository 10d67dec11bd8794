"""Asking in operator mode, as a task does whose admin set the root and the endpoint."""

import json

import pytest

from tests.backends.plugin import Backend


def operator_mode(
    monkeypatch: pytest.MonkeyPatch,
    backend: Backend,
    namespace: str,
    endpoint: str = "http://forms.test",
    hint: str = "",
) -> None:
    """Set what a platform's admin sets."""
    monkeypatch.setenv("HITL_SERVE", "operator")
    monkeypatch.setenv("HITL_STORAGE_ROOT", backend.url)
    monkeypatch.setenv("HITL_STORAGE_OPTIONS", json.dumps(backend.options))
    monkeypatch.setenv("HITL_ENDPOINT", endpoint)
    monkeypatch.setenv("HITL_NAMESPACE", namespace)
    monkeypatch.setenv("HITL_HINT_URL", hint)
