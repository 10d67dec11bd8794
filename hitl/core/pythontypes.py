"""The Python types that an answer can be: how a question asks for each, and an answer as a value of the type.

What JSON holds by itself is in `hitl.core.jsontypes`. Everything else is whatever pydantic knows: models,
dataclasses, TypedDict, Enum, Literal, Optional, dates, Decimal, UUID, constrained types. Only the JSON Schema that
pydantic writes of it lies in storage, so that every channel refuses what the program could not take.
"""

import json
import typing
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic import JsonValue, Secret, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import SchemaError

from hitl.core import decimals
from hitl.core.branches import exact_validator
from hitl.core.faults import faults, sentence
from hitl.core.jsontypes import Schema, type_schema
from hitl.core.limits import MAX_CHOICE_CHARS, MAX_CHOICES
from hitl.core.strictjson import shortened
from hitl.core.text import is_blank
from hitl.core.typeddicts import readable
from hitl.core.typeschemas import schemas_of
from hitl.core.values import DataType, NoJsonType, type_name
from hitl.errors import InvalidRequest, InvalidValue

_KINDS: Final[dict[str, DataType]] = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
# They say nothing of the value.
_ANNOTATIONS: Final = ("title", "description", "default", "examples")
_REFUSED: Final = (
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    PydanticUserError,
    NameError,
    RecursionError,
    SchemaError,
    SyntaxError,
    TypeError,
)


class Unusable(ValueError):
    """An answer that fits the question, and that the type's own validators refuse.

    Args:
        details: A sentence for each fault, which names the part of the value.
    """

    def __init__(self, details: tuple[str, ...]) -> None:
        super().__init__(" ".join(details))
        self.details = details


class AnswerType(NamedTuple):
    """How a question asks for a type.

    Args:
        kind: Under which of the five names it is stored.
        schema: What an answer must fit besides, if anything.
        choices: The only values there are, if they can be listed.
        pydantic: Whether only pydantic knows the type.
        former: The schema of releases until 0.2.0, if it was another one, see `hitl.core.typeschemas`.
    """

    kind: DataType
    schema: Schema | None = None
    choices: tuple[JsonValue, ...] | None = None
    pydantic: bool = False
    former: Schema | None = None


def answer_type(data_type: Any) -> AnswerType:
    """Return how a question asks for a type.

    Raises:
        InvalidRequest: for a type that no question can ask for; says what to write instead.
    """
    return _by_json(data_type) or _by_pydantic(data_type)


def as_json(data_type: Any, value: Any) -> JsonValue:
    """Return a value of a type, such as a default, as JSON has it; what is no such value, as it is."""
    if _by_json(data_type) is not None:
        return typing.cast("JsonValue", value)
    adapter = _adapter(data_type)
    sent: list[JsonValue] = []
    # A field may be written under another name than it is read: what is read as the same value is right.
    for by_alias in (True, False):
        try:
            sent.append(
                adapter.dump_python(value, mode="json", by_alias=by_alias, round_trip=True, warnings="error")
            )
        except ValueError:
            return typing.cast("JsonValue", value)
    return max(sent, key=lambda each: _likeness(adapter, each, value))


def offered_values(data_type: Any, asked: AnswerType, choices: Any) -> Any:
    """Return what an author offers, or else the values that the type itself lists.

    Args:
        data_type: The type.
        asked: How a question asks for it.
        choices: What the author offers; None: nothing.
    """
    if choices is None:
        return None if asked.choices is None else list(asked.choices)
    if asked.pydantic and isinstance(choices, list | tuple):
        return [as_json(data_type, each) for each in choices]
    return choices


def typed(data_type: Any, value: JsonValue) -> Any:
    """Return a recorded value as one of the type.

    Raises:
        InvalidValue: when it does not fit what the type's schema says.
        Unusable: when it does, but for its formats and a Decimal's bounds; or does, and the type refuses it.
    """
    asked = answer_type(data_type)
    if not asked.pydantic:
        return _of_json(data_type, asked.schema, value)
    # What an earlier release recorded must fit no more than what it asked for.
    schema = asked.former or asked.schema
    if schema is not None:
        # Loaded only here: a program that asks for a scalar never needs it.
        from hitl.core.schema import check_value

        try:
            check_value(schema, value)
        except InvalidValue as error:
            # Earlier releases check fewer formats, so that it may have come in by one of them.
            check_value(schema, value, formats=False)
            raise Unusable(error.details) from error
    return of_type(data_type, value)


def _of_json(data_type: Any, schema: Schema | None, value: JsonValue) -> Any:
    """Return a recorded value as one of a type that JSON can hold: ``[1.0]`` is ``[1]`` for ``list[int]``."""
    if schema is None:
        return value
    # Loaded only here: a program that asks for a scalar never needs it.
    from hitl.core.schema import check_value

    # A question may have been asked before the type was enforced.
    check_value(schema, value)
    adapter = _adapter(data_type)
    try:
        return (exact_validator(adapter) or adapter).validate_python(value)
    except ValidationError as error:
        raise InvalidValue(f"The value is no {_shown(data_type)}: {sentence(error)}.") from error


def of_type(data_type: Any, value: JsonValue) -> Any:
    """Return a value that fits the question as one of a type that only pydantic knows.

    Raises:
        Unusable: when the type refuses it.
    """
    adapter, text = _adapter(data_type), json.dumps(value)
    exact = exact_validator(adapter)
    if exact is not None:
        # What no alternative takes as its schema says may have come in by an earlier release.
        with suppress(ValidationError):
            return exact.validate_json(text)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise Unusable(tuple(map(str, faults(error)))) from error


def require_usable(data_type: Any, value: JsonValue, what: str) -> None:
    """Refuse what an author gives, and a type that only pydantic knows refuses, before anybody is asked.

    Args:
        data_type: The type.
        value: What fits the question.
        what: The value's name in the sentence.

    Raises:
        InvalidRequest: saying why the type refuses it.
    """
    try:
        of_type(data_type, value)
    except Unusable as error:
        raise InvalidRequest(f"the {what} is refused by its own data type: {error}") from error


def _likeness(adapter: TypeAdapter[Any], sent: JsonValue, value: Any) -> int:
    try:
        return 2 if adapter.validate_json(json.dumps(sent)) == value else 1
    except ValidationError:
        return 0


def is_decimal(schema: Schema) -> bool:
    """Tell whether a schema is that of a Decimal, which travels as text to the last digit."""
    rules = {name: rule for name, rule in schema.items() if name not in _ANNOTATIONS}
    parts = rules.get("anyOf")
    return set(rules) == {"anyOf"} and isinstance(parts, list) and decimals.is_decimal(parts)


def _by_json(data_type: Any) -> AnswerType | None:
    """Return how a question asks for one of JSON's own types; None for any other."""
    try:
        return AnswerType(type_name(data_type), type_schema(data_type))
    except NoJsonType:
        return None


def _by_pydantic(data_type: Any) -> AnswerType:
    schema, former = _schemas(data_type)
    rules = {name: rule for name, rule in schema.items() if name not in _ANNOTATIONS}
    offered = _choices(rules)
    if offered is not None:
        kind: DataType = "str" if isinstance(offered[0], str) else "int"
        return AnswerType(kind, None, offered, pydantic=True)
    if is_decimal(rules):
        return AnswerType("str", schema, pydantic=True)
    of_scalar = _KINDS.get(str(rules.get("type")))
    if of_scalar is not None:
        return AnswerType(of_scalar, schema if len(rules) > 1 else None, pydantic=True, former=former)
    return AnswerType("json", schema, pydantic=True, former=former)


def _schemas(data_type: Any) -> tuple[Schema, Schema | None]:
    try:
        with warnings.catch_warnings():
            # A default that is no JSON is not told in the schema: the type fills it in.
            warnings.simplefilter("ignore")
            schema, former = schemas_of(_adapter(data_type))
    except _REFUSED as error:
        # The last line of what pydantic's core says is the fault, the first one of all others.
        why = str(error).strip().split("\n")[-1 if isinstance(error, SchemaError) else 0].rstrip(".")
        raise InvalidRequest(
            f"data_type {_shown(data_type)} has no JSON Schema, so no form can ask for it: use a Pydantic model, "
            f"a dataclass or another type that pydantic knows, or dict or list with a schema ({why})"
        ) from error
    if _holds_secret(schema) or _hides(_adapter(data_type).core_schema):
        raise InvalidRequest(
            f"data_type {_shown(data_type)} holds a secret, and answers are stored in clear: ask for the name of "
            "a Secret that holds it instead"
        )
    return schema, None if former == schema else former


def _adapter(data_type: Any) -> TypeAdapter[Any]:
    try:
        # Equal types may differ in the order of their parts: Literal["a", "b"] and Literal["b", "a"].
        return _kept_adapter(data_type, repr(data_type))
    except TypeError:
        # What is annotated may have no hash.
        return TypeAdapter(readable(data_type))


@lru_cache(maxsize=64)
def _kept_adapter(data_type: Any, _order: str) -> TypeAdapter[Any]:
    return TypeAdapter(readable(data_type))


def _choices(rules: Schema) -> tuple[JsonValue, ...] | None:
    """Return the values of a Literal or an Enum, where a question can offer them."""
    given = rules.get("enum", [rules["const"]] if "const" in rules else None)
    if not isinstance(given, list) or not 0 < len(given) <= MAX_CHOICES:
        return None
    texts = all(isinstance(each, str) and not is_blank(each) and len(each) <= MAX_CHOICE_CHARS for each in given)
    numbers = all(isinstance(each, int) and not isinstance(each, bool) for each in given)
    return tuple(given) if texts or numbers else None


def _holds_secret(part: Any) -> bool:
    if isinstance(part, dict):
        secret = part.get("format") == "password" and part.get("writeOnly") is True
        return secret or any(map(_holds_secret, part.values()))
    return isinstance(part, list) and any(map(_holds_secret, part))


def _hides(part: Any) -> bool:
    """Tell whether pydantic's core schema makes a `pydantic.Secret` of something: no JSON Schema shows it."""
    if isinstance(part, dict):
        return any(map(_hides, part.values()))
    if isinstance(part, list | tuple):
        return any(map(_hides, part))
    of_pydantic = getattr(part, "__module__", "") == Secret.__module__
    return of_pydantic and str(getattr(part, "__qualname__", "")).startswith("Secret.")


def _shown(data_type: Any) -> str:
    return data_type.__name__ if isinstance(data_type, type) else shortened(repr(data_type))
