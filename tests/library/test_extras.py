"""How to add an extra is told by where HITL came from: its name alone may bring somebody else's package."""

import json
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from hitl import extras

WHEEL = "/srv/ann/my dist/flyte_hitl-0.2.0-py3-none-any.whl"


class Installed:
    def __init__(self, **origin: Any) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return json.dumps(self._origin) if self._origin else None


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (
            {"url": "file:///srv/ann/hitl", "dir_info": {"editable": True}},
            "pip install -e '/srv/ann/hitl[cli,flyte]'",
        ),
        ({"url": "file:///srv/ann/hitl", "dir_info": {}}, "pip install '/srv/ann/hitl[cli,flyte]'"),
        (
            {"url": "file://" + WHEEL.replace(" ", "%20"), "archive_info": {}},
            f"pip install '{WHEEL}[cli,flyte]'",
        ),
        ({}, "install it again with [cli,flyte] behind its path"),
        ({"url": "https://example.org/hitl.whl", "archive_info": {}}, "install it again with [cli,flyte]"),
    ],
)
def test_it_names_the_checkout_or_the_wheel(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(extras, "distribution", lambda name: Installed(**origin))

    assert extras.how_to_install("cli", "flyte").startswith(told)


def test_code_that_was_not_installed_at_all_says_something_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)

    assert "[webapp]" in extras.how_to_install("webapp")
