"""A form after one of its buttons was pressed: a row more or less, an optional part filled in or left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hitl.core.forms.names import ON, ROOT, Sent, below, count_of, place_of
from hitl.core.forms.parts import Fixed, Group, OneOf, Part, Rows, parts_inside
from hitl.core.forms.sent import filled

if TYPE_CHECKING:
    from hitl.core.schema.work import Work


def changed(part: Part, sent: Sent, step: str, work: Work | None = None) -> dict[str, list[str]] | None:
    """Return a form after one of its buttons was pressed; None for a step that is not about its parts.

    What a step adds holds its defaults, as the form does at first.

    Args:
        part: What the form is made of.
        sent: What was sent.
        step: ``add``, ``remove``, ``fill`` or ``clear`` and the name of the part.
        work: As `hitl.core.forms.filled` takes it.

    Raises:
        TakesTooLong: as `hitl.core.forms.filled` does.
    """
    verb, _, name = step.partition(" ")
    form = {key: list(texts) for key, texts in sent.items()}
    match verb:
        case "add":
            count = count_of(sent, name)
            rows = _found(part, name)
            if isinstance(rows, Rows):
                form = filled(rows.item, name=below(name, count), work=work) | form
            form[f"{name}~rows"] = [str(count + 1)]
            form.pop(f"{name}~empty", None)
        case "remove":
            return _without_row(form, *name.rpartition("/")[::2])
        case "fill":
            left_out = _found(part, name)
            if isinstance(left_out, Group | Fixed):
                form = filled(left_out, {} if isinstance(left_out, Group) else [], name, work) | form
            form[f"{name}~on"] = [ON]
        case "clear":
            return {key: texts for key, texts in form.items() if not key.startswith((f"{name}/", f"{name}~"))}
        case _:
            return None
    return form


def _without_row(form: dict[str, list[str]], name: str, row: str) -> dict[str, list[str]]:
    count = count_of(form, name)
    gone = place_of(row, count)
    if gone is None:
        return form
    inside = re.compile(rf"{re.escape(name)}/(\d{{1,3}})(?=[/~]|\Z)", re.ASCII)
    kept: dict[str, list[str]] = {}
    for key, texts in form.items():
        found = inside.match(key)
        if found is None or int(found[1]) < gone:
            kept[key] = texts
        elif int(found[1]) > gone:
            kept[f"{name}/{int(found[1]) - 1}{key[found.end() :]}"] = texts
    kept[f"{name}~rows"] = [str(count - 1)]
    if count == 1:
        kept[f"{name}~empty"] = [ON]
    return kept


def _found(part: Part, wanted: str, name: str = ROOT) -> Part | None:
    """Return the part of a name; None: there is none."""
    if name == wanted:
        return part
    for inside, each in _inside(part, name, wanted):
        if wanted == inside or wanted.startswith((f"{inside}/", f"{inside}~")):
            found = _found(each, wanted, inside)
            if found is not None:
                return found
    return None


def _inside(part: Part, name: str, wanted: str) -> Iterator[tuple[str, Part]]:
    match part:
        case Group() | Fixed():
            for key, each in parts_inside(part):
                yield below(name, key), each
        case OneOf():
            for number, (_, branch) in enumerate(part.branches):
                yield f"{name}~{number}", branch
        case Rows():
            row = re.compile(r"/\d+", re.ASCII).match(wanted, len(name))
            if row is not None:
                yield f"{name}{row[0]}", part.item
