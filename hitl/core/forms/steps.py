"""A form after one of its buttons was pressed: a row more or less, an optional part filled in or left out."""

from __future__ import annotations

import re

from hitl.core.forms.names import ON, Sent, count_of, place_of


def changed(sent: Sent, step: str) -> dict[str, list[str]] | None:
    """Return a form after one of its buttons was pressed; None for a step that is not about its parts.

    Args:
        sent: What was sent.
        step: ``add``, ``remove``, ``fill`` or ``clear`` and the name of the part.
    """
    verb, _, name = step.partition(" ")
    form = {key: list(texts) for key, texts in sent.items()}
    match verb:
        case "add":
            form[f"{name}~rows"] = [str(count_of(sent, name) + 1)]
            form.pop(f"{name}~empty", None)
        case "remove":
            return _without_row(form, *name.rpartition("/")[::2])
        case "fill":
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
