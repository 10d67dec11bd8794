"""The names that the operator gives to objects: the API server takes them, whatever object they are about."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.cluster.client import HUMAN_INPUTS
from hitl.cluster.shapes import Metadata
from hitl_operator.cluster import link_secret
from hitl_operator.decide import Notice
from hitl_operator.events import Events

# As apimachinery checks names of objects (`IsDNS1123Subdomain`).
_VALID = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST = 253


def _is_valid(name: str) -> bool:
    return len(name) <= _LONGEST and _VALID.fullmatch(name) is not None


def _long_names() -> Iterator[str]:
    """Yield a name of the greatest length with something between its letters, once at each place."""
    for between in (".", "-", "--", "a-b.c-d"):
        for before in range(1, _LONGEST - len(between)):
            yield "a" * before + between + "b" * (_LONGEST - before - len(between))


def _event_name(about: Metadata) -> str:
    nobody: Any = None
    events = Events(nobody, lambda: 0.0)
    events.emit(HUMAN_INPUTS, about, Notice("Requested", "it waits"), datetime(2026, 1, 1, tzinfo=UTC))
    waiting = events._waiting.take()
    assert waiting is not None
    return str(waiting.content["metadata"]["name"])


@pytest.mark.parametrize("name_for", [link_secret, _event_name])
def test_a_name_that_is_cut_stays_a_valid_one(name_for: Any) -> None:
    uid = "0d9e3f2a-5b1c-4c57-9d0c-0b7f6a7f9c11"
    invalid = []
    for name in _long_names():
        assert _is_valid(name)
        made = name_for(Metadata(name=name, namespace="team", uid=uid))
        invalid += [] if _is_valid(made) else [made]
    assert invalid == []
    assert len({name_for(Metadata(name=each, namespace="team", uid=uid)) for each in ("a", "b")}) == 2
