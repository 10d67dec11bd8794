"""What a JSON Schema may look like: the metaschema of draft 2020-12, its vocabularies merged into one.

Source: https://json-schema.org/draft/2020-12/schema and the vocabularies that it names. Its notes and formats are
left out. Nothing here is fetched, and a test compares it with the published one.
"""

from __future__ import annotations

from typing import Any, Final

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

# Keywords whose argument is a schema, a list of schemas, or schemas by name.
ONE: Final = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
SEVERAL: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED: Final = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

_SCHEMA: Final = {"$ref": "#"}
_SCHEMAS: Final = {"type": "array", "minItems": 1, "items": _SCHEMA}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SWITCH: Final = {"type": "boolean"}
_ANCHOR: Final = {"type": "string", "pattern": "^[A-Za-z_][-A-Za-z0-9._]*$"}
_NAMES: Final = {"type": "array", "items": _TEXT, "uniqueItems": True}
_TYPE: Final = {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}


def _by_name(part: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": part}


METASCHEMA: Final[dict[str, Any]] = {
    "type": ["object", "boolean"],
    "properties": {
        **dict.fromkeys(ONE, _SCHEMA),
        **dict.fromkeys(SEVERAL, _SCHEMAS),
        **{name: _by_name(_SCHEMA) for name in NAMED},
        **dict.fromkeys(("$comment", "$dynamicRef", "$recursiveRef", "$ref", "$schema"), _TEXT),
        **dict.fromkeys(
            ("contentEncoding", "contentMediaType", "description", "format", "pattern", "title"), _TEXT
        ),
        **dict.fromkeys(("$anchor", "$dynamicAnchor", "$recursiveAnchor"), _ANCHOR),
        **dict.fromkeys(("deprecated", "readOnly", "uniqueItems", "writeOnly"), _SWITCH),
        **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), _NUMBER),
        **dict.fromkeys(("maxContains", "maxItems", "maxLength", "maxProperties"), _COUNT),
        **dict.fromkeys(("minContains", "minItems", "minLength", "minProperties"), _COUNT),
        "$id": {"type": "string", "pattern": "^[^#]*#?$"},
        "$vocabulary": {"type": "object", "propertyNames": _TEXT, "additionalProperties": _SWITCH},
        "const": True,
        "default": True,
        "dependencies": _by_name({"anyOf": [_SCHEMA, _NAMES]}),
        "dependentRequired": _by_name(_NAMES),
        "enum": {"type": "array"},
        "examples": {"type": "array"},
        "multipleOf": {"type": "number", "exclusiveMinimum": 0},
        "required": _NAMES,
        "type": {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1, "uniqueItems": True}]},
    },
}
