"""The JSON Schema of a type that only pydantic knows, as an answer must fit it."""

from __future__ import annotations

import enum
import json
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema

from hitl.core import decimals
from hitl.core.jsontypes import Schema
from hitl.core.limits import LARGEST_DOUBLE

_LOCAL: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?$"
_WHOLE_NUMBER: Final = "^(0|-?[1-9][0-9]*)$"
_NAMES: Final[dict[str, Schema]] = {
    "int": {"pattern": _WHOLE_NUMBER},
    "bool": {"enum": ["true", "false"]},
    "uuid": {"format": "uuid", "pattern": "^[0-9a-f-]*$"},
}
_IN_JSON: Final = (str, int, float, bool, type(None))


def schemas_of(adapter: TypeAdapter[Any]) -> tuple[Schema, Schema]:
    """Return the schema of a type, and the one that releases until 0.2.0 made of it, which lets more through.

    The ids of questions are made of the latter, so that a task that was restarted since finds what it asked. And
    what was answered by then is read by it.

    Args:
        adapter: The type.

    Raises:
        PydanticInvalidForJsonSchema: JSON Schema cannot say what the type takes.
    """
    return adapter.json_schema(schema_generator=_Strict), adapter.json_schema(schema_generator=_Former)


def schema_of_part(part: Any) -> Schema:
    """Return the schema of a part of a type.

    Args:
        part: The part, as pydantic's core schema has it, without references to others.
    """
    return _Strict().generate(part)


class _Former(GenerateJsonSchema):
    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        """Return what a Literal must fit, if JSON can hold each value: pydantic takes no others."""
        for each in schema["expected"]:
            if isinstance(each, enum.Enum) or not isinstance(each, _IN_JSON):
                raise PydanticInvalidForJsonSchema(
                    f"its Literal holds {each!r}, which no answer can be: list texts or numbers, or use an Enum"
                )
        return super().literal_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> dict[str, Any]:
        """Return what an Enum must fit, if JSON can hold the values of its members."""
        for each in schema["members"]:
            if not isinstance(each.value, _IN_JSON):
                raise PydanticInvalidForJsonSchema(
                    f"{each} is {each.value!r}: give each member a text or a number"
                )
        return super().enum_schema(schema)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> dict[str, Any]:
        """Return what a datetime must fit: with its zone, unless the type takes none that has one."""
        if schema.get("tz_constraint") == "naive":
            return {"type": "string", "pattern": _LOCAL}
        return super().datetime_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        """Return a field's default, if JSON can hold it; else the type alone fills it in."""
        encoded = super().encode_default(dft)
        try:
            json.dumps(encoded, allow_nan=False)
        except ValueError as error:
            raise PydanticSerializationError(str(error)) from error
        return encoded

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        """Return what a Decimal must fit: a number, or its text, which keeps the last digit."""
        return decimals.decimal_schema(schema)


class _Strict(_Former):
    """Refuses what pydantic would drop: nobody means what the program never gets."""

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """Return what a model must fit, without names that it does not know."""
        return _closed(super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> dict[str, Any]:
        """Return what a dataclass must fit, without names that it does not know."""
        return _closed(super().dataclass_schema(schema))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> dict[str, Any]:
        """Return what a TypedDict must fit, without names that it does not know."""
        return _closed(super().typed_dict_schema(schema))

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """Return what a dict must fit. Of two names that are one key, such as 1 and 01, one would win."""
        found = super().dict_schema(schema)
        names = _NAMES.get(schema.get("keys_schema", {}).get("type", ""))
        return found if names is None else {**found, "propertyNames": names}

    def float_schema(self, schema: core_schema.FloatSchema) -> dict[str, Any]:
        """Return what a float must fit: a whole number, too, may have no more digits than a double keeps."""
        found = super().float_schema(schema)
        if not {"minimum", "exclusiveMinimum"} & found.keys():
            found["minimum"] = -LARGEST_DOUBLE
        if not {"maximum", "exclusiveMaximum"} & found.keys():
            found["maximum"] = LARGEST_DOUBLE
        return found

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> dict[str, Any]:
        """Return what a datetime must fit, as one that there is in the calendar."""
        found = super().datetime_schema(schema)
        return {**found, "format": "date-time-local"} if "pattern" in found else found


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    # Who wants other names says so in the type's configuration (`extra="allow"`).
    return {"additionalProperties": False, **schema} if "properties" in schema else schema
