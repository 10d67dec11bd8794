"""Schemas that try to make the page of a form long, or its making slow: made by number, the same each time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

from hitl.core.limits import MAX_SCHEMA_CHARS

Schema = dict[str, Any]
_TYPES: Final = ("string", "integer", "number", "boolean", "null", "array", "object")
_PATTERNS: Final = (
    "^(a+)+$",
    "(x+x+)+y",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(?:a|aa)+$",
    "[\\s\\S]*" * 20,
    "a{1,50}{1,50}",
)


def _recursion(rng: random.Random) -> Schema:
    there = {"$ref": rng.choice(["#", "#/$defs/a", "#/$defs/b"])}
    inside = {
        f"p{number}": rng.choice([there, {"type": "array", "items": there, "minItems": 3}]) for number in range(9)
    }
    return {"type": "object", "properties": inside, "$defs": {"a": {"$ref": "#"}, "b": {"$ref": "#/$defs/a"}}}


def _many(rng: random.Random) -> Schema:
    count = rng.choice([300, 3_000, 10_000])
    return {"type": "object", "properties": {f"{number}": True for number in range(count)}}


def _deep(rng: random.Random) -> Schema:
    schema: Schema = {"type": rng.choice(_TYPES)}
    for level in range(64):
        if rng.random() < 0.5:
            schema = {
                "type": "array",
                "items": schema,
                "minItems": rng.randint(0, 64),
                "title": "t" * rng.randint(0, 99),
            }
        else:
            schema = {"type": "object", "properties": {f"l{level}": schema, "other": {"type": "integer"}}}
    return schema


def _loops(rng: random.Random) -> Schema:
    names = [f"d{number}" for number in range(rng.randint(2, 40))]
    def_of = {name: {"anyOf": [{"$ref": f"#/$defs/{rng.choice(names)}"} for _ in range(8)]} for name in names}
    return {"$ref": "#/$defs/d0", "$defs": def_of}


def _patterns(rng: random.Random) -> Schema:
    fields = {
        f"f{number}": {"type": "string", "pattern": rng.choice(_PATTERNS)} for number in range(rng.randint(1, 200))
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _same_long_list(rng: random.Random) -> Schema:
    values = ["&" * rng.randint(50, 190) + str(number) for number in range(rng.randint(2, 256))]
    fields = {f"f{number}": {"$ref": "#/$defs/long"} for number in range(250)}
    return {"type": "object", "properties": fields, "$defs": {"long": {"enum": values}}}


def _long_texts(rng: random.Random) -> Schema:
    text = rng.choice(["<", "&", '"', "\u202e", "é"]) * 9_000
    row = {"type": "object", "title": text, "description": text, "properties": {text[:500]: {"type": "integer"}}}
    return {"type": "object", "properties": {"rows": {"type": "array", "items": row, "minItems": 64}}}


def _branches(rng: random.Random) -> Schema:
    def branch(level: int) -> Schema:
        if level == 0:
            return {"type": "object", "properties": {"x": {"type": "integer"}}, "title": "x"}
        return {"oneOf": [branch(level - 1) for _ in range(rng.choice([2, 3]))]}

    return {"type": "object", "properties": {"shape": branch(5)}}


def _anything(rng: random.Random, level: int = 0) -> Any:
    if level > 5 or rng.random() < 0.2:
        return rng.choice([True, {}, {"const": 0}, {"type": rng.choice(_TYPES)}, {"$ref": "#"}])
    inner: Callable[[], Any] = lambda: _anything(rng, level + 1)  # noqa: E731 - it is short
    parts: dict[str, Callable[[], Any]] = {
        "properties": lambda: {rng.choice("abcdefgh"): inner() for _ in range(6)},
        "items": inner,
        "prefixItems": lambda: [inner() for _ in range(3)],
        "anyOf": lambda: [inner() for _ in range(3)],
        "oneOf": lambda: [inner(), {"type": "null"}],
        "allOf": lambda: [inner() for _ in range(2)],
        "enum": lambda: [rng.choice([0, "a", None, True, [1], {"a": 1}]) for _ in range(rng.randint(1, 30))],
        "type": lambda: rng.choice(_TYPES),
        "default": lambda: rng.choice([0, "a", None, [], {}, [[[]]]]),
        "minItems": lambda: rng.randint(0, 99),
        "title": lambda: "t" * rng.randint(0, 300),
        "required": lambda: ["a", "b"],
        "pattern": lambda: rng.choice(_PATTERNS),
        "additionalProperties": lambda: rng.choice([False, True]),
    }
    return {name: parts[name]() for name in rng.sample(sorted(parts), rng.randint(1, 5))}


_KINDS: Final = (
    _recursion,
    _many,
    _deep,
    _loops,
    _patterns,
    _same_long_list,
    _long_texts,
    _branches,
    _anything,
    _anything,
)


def hostile_schema(number: int) -> Schema:
    """Return a hostile schema, as large as one may be at most."""
    rng = random.Random(number)
    schema = _KINDS[number % len(_KINDS)](rng)
    while not isinstance(schema, dict) or len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
        kind = _many if isinstance(schema, dict) and len(schema.get("properties", ())) > 999 else _anything
        schema = kind(rng)
    return schema


def long_to_explain() -> tuple[Schema, Any, dict[str, list[str]]]:
    """Return a schema of alternatives, a value that fits none, and the form that holds it.

    It is refused at once. What is wrong in each row takes long to find.
    """
    rungs = {f"a{n}": {"not": {"not": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2}}} for n in range(15)}
    parts = {"a": {"not": {"const": 9}}, "b": {"$ref": "#/$defs/a0"}}
    rows = [{"type": "object", "title": title, "properties": parts, "required": ["a"]} for title in ("one", "two")]
    schema = {"type": "array", "items": {"anyOf": rows}, "$defs": {**rungs, "a15": {"minimum": 5}}}
    sent = {"v~rows": ["20"]}
    for number in range(20):
        sent |= {f"v/{number}~of": ["1"], f"v/{number}~1/a": ["9"], f"v/{number}~1/b": ["9"]}
    return schema, [{"a": 9, "b": 9}] * 20, sent
