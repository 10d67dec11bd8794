"""What `hitl ask` asks for: a type by its name, or one of a module or a file, such as a Pydantic model."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from hitl.core.pythontypes import answer_type
from hitl.core.values import DataType, Value, parse_text
from hitl.errors import InvalidRequest, InvalidValue

_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def type_from(place: str) -> Any:
    """Return a type by where it is written.

    Args:
        place: A module or a file, a colon, and the type's name there: ``shop.orders:Order``, ``orders.py:Order``.
            Modules are found in the present folder, too. Their code runs.

    Raises:
        InvalidRequest: there is no such module, file or name, or the module's code fails.
    """
    where, colon, name = place.rpartition(":")
    if not (colon and where and _NAME.fullmatch(name)):
        raise InvalidRequest(
            f"--type-from is {place!r}: write a module or a file, a colon and a name, such as models.py:Deploy"
        )
    module = _of_file(Path(where)) if where.endswith(".py") else _of_name(where)
    found: Any = module
    for each in name.split("."):
        if not hasattr(found, each):
            raise InvalidRequest(f"--type-from: {where} has no {name!r}{_types_in(module)}")
        found = getattr(found, each)
    return found


def value_of(data_type: Any, text: str | None, option: str) -> Value:
    """Return a value that an option gives for the type, as JSON; None for none.

    Args:
        data_type: The type, or its name.
        text: The value as text, as it is typed into a form.
        option: The option's name, for the error.

    Raises:
        InvalidRequest: the text is no such value.
    """
    if text is None:
        return None
    kind: DataType = answer_type(data_type).kind
    try:
        return parse_text(kind, text, empty=True)
    except InvalidValue as error:
        raise InvalidRequest(f"{option}: {error}") from error


def choices_of(plain: list[str], labelled: list[str]) -> list[str] | Mapping[str, str] | None:
    """Return what may be answered; None for anything.

    Args:
        plain: Values, as they are.
        labelled: Values, each with a label behind its first ``=``, or without one.
    """
    pairs = [(each, "") for each in plain]
    pairs += [(value, label.strip()) for value, _, label in (each.partition("=") for each in labelled)]
    if not any(label for _, label in pairs):
        return [value for value, _ in pairs] or None
    if len({value for value, _ in pairs}) < len(pairs):
        raise InvalidRequest("--choice: the same value is given twice")
    return {value: label or value for value, label in pairs}


def _of_name(name: str) -> ModuleType:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"--type-from: {name!r} is neither a module nor a file that ends in .py")
    # A console script does not look there by itself, as `python -m` does.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InvalidRequest(f"--type-from: no module {name!r} is here, and none is installed") from error
        raise _failed(name, error) from error
    except Exception as error:
        raise _failed(name, error) from error


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidRequest(f"--type-from: there is no file {path}")
    name = f"hitl_type_from_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pydantic look up there what their annotations name.
    sys.modules[name] = module
    # Its neighbours may be imported by it, as when it is run.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _failed(str(path), error) from error
    return module


def _failed(where: str, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"--type-from: {where} cannot be imported: {type(error).__name__}: {error}")


def _types_in(module: ModuleType) -> str:
    own = [
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and each.__module__ == module.__name__
    ]
    return f": it has {', '.join(own[:8])}" if own else ""
