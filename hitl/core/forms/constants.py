"""Values that are always the same: which of them a person is asked for, and which go without saying."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pydantic import JsonValue

from hitl.core.forms.labels import plainly
from hitl.core.forms.parts import MISSING, Choice, Constant, Group, Part


def constant(value: JsonValue, notes: Mapping[str, Any]) -> Part:
    """Return a box to tick for what somebody consents to or may leave out; else a part that nobody is asked for.

    What is the default goes without saying, and so does null.

    Args:
        value: The value.
        notes: What every part has, see `Part`.
    """
    usual = notes["default"] is not MISSING and json.dumps(notes["default"]) == json.dumps(value)
    if value is None or usual or not (isinstance(value, bool) or not notes["required"]):
        return Constant(value=value, **notes)
    label = ("Yes" if value else "No") if isinstance(value, bool) else plainly(value)
    return Choice(options=((label, value),), **notes)


def without_tags(branches: list[tuple[str, Part]]) -> list[tuple[str, Part]]:
    """Return alternatives without the boxes that go without saying once one of them is chosen.

    Such a box is the alternative itself, or a name that tells them all apart.

    Args:
        branches: The alternatives, each with its label.
    """
    groups = [dict(part.fields) for _, part in branches if isinstance(part, Group)]
    tags = [name for name in groups[0] if _tells_apart(name, groups)] if len(groups) == len(branches) else []
    return [(label, _said(part, tags)) for label, part in branches]


def _tells_apart(name: str, groups: list[dict[str, Part]]) -> bool:
    parts = [group[name] for group in groups if name in group]
    values = {json.dumps(part.schema["const"], sort_keys=True) for part in parts if "const" in part.schema}
    return len(values) == len(groups)


def _said(part: Part, tags: list[str]) -> Part:
    if isinstance(part, Group):
        inside = [(name, _said(each, []) if name in tags else each) for name, each in part.fields]
        return replace(part, fields=tuple(inside))
    if isinstance(part, Choice) and "const" in part.schema:
        return Constant(
            value=part.schema["const"], **{each.name: getattr(part, each.name) for each in fields(Part)}
        )
    return part
