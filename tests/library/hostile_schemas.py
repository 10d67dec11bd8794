"""Schemas and values that take long, and what checking them takes: as a program, it prints a line of JSON each.

CPU seconds and peak memory are those of a process of its own, so that neither coverage nor other tests count.
"""

import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hitl.core.schema import check_schema, check_value
from hitl.errors import InvalidRequest, InvalidValue

LONG = "a" * 65_535 + "!"
MANY: list[Any] = [[n] for n in range(9_000)]
ITEMS: list[Any] = [0] * 32_000
NAMES: dict[str, Any] = {f"p{n}": n for n in range(6_000)}
BITS = "".join(random.Random(1).choices("01", k=65_000))
NESTED: list[Any] = [{name: {name: "x"} for name in "abcdef"}] * 700
# All of these have one hash.
COLLIDING: list[Any] = [n * (2**61 - 1) for n in range(3_000)]


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def ladder(depth: int, rung: Callable[[dict[str, Any]], dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Make a schema whose parts each refer to the next, as often as a rung does."""
    parts = {f"a{n}": rung({"$ref": f"#/$defs/a{n + 1}"}) for n in range(depth)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{depth}": {}}, **more}


def each(keyword: str, argument: Any, count: int, how: str = "allOf") -> dict[str, Any]:
    return {how: [{keyword: argument}] * count}


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "16,000 parts": ({"anyOf": [{}] * 16_000}, 1),
    # Each of them finds faults that nobody is told.
    "1,800 alternatives that no item fits": ({"anyOf": [{"contains": {"type": "null"}}] * 1_800}, NESTED),
    "addresses of many labels beyond ASCII": (
        {"anyOf": [{"contains": {"format": "email", "minLength": 400}}] * 6},
        ["a@" + "\u00e4." * 30 + "de"] * 700,
    ),
    "addresses of many encoded labels": (
        {"anyOf": [{"contains": {"format": "email", "minLength": 400}}] * 6},
        ["a@" + "xn--4ca." * 30 + "de"] * 200,
    ),
    "5,000 properties": ({"properties": {f"p{n}": {} for n in range(5_000)}}, NAMES),
    "1,500 references to 1,500 parts": (
        {
            "$defs": {"b": {"anyOf": [{"const": n} for n in range(1_500)]}},
            "allOf": [{"$ref": "#/$defs/b"}] * 1_500,
        },
        1,
    ),
    "references to each of 1,000 parts": (
        {
            "$defs": {"b": {"anyOf": [{"const": n} for n in range(1_000)]}},
            "allOf": [{"$ref": f"#/$defs/b/anyOf/{n}"} for n in range(1_000)],
        },
        1,
    ),
    "references into a default": (
        {"default": [{"items": {}}] * 1_000, "allOf": [{"$ref": f"#/default/{n}"} for n in range(1_000)]},
        ITEMS,
    ),
    "800 anchors": (
        {
            "$defs": {f"a{n}": {"$anchor": f"a{n}"} for n in range(800)},
            "allOf": [{"$ref": f"#a{n}"} for n in range(800)],
        },
        1,
    ),
    "references that double": (ladder(40, lambda next_part: {"allOf": [next_part] * 2}), 1),
    "$ref and $dynamicRef under unevaluatedProperties": (
        ladder(40, lambda part: {**part, "$dynamicRef": part["$ref"]}, unevaluatedProperties=False),
        {"x": 1},
    ),
    "$ref and $dynamicRef under unevaluatedItems": (
        ladder(40, lambda part: {**part, "$dynamicRef": part["$ref"]}, unevaluatedItems=False),
        [1],
    ),
    "dependentSchemas under unevaluatedProperties": (
        ladder(30, lambda part: {"dependentSchemas": {"x": part, "y": part}}, unevaluatedProperties=False),
        {"x": 1, "y": 2},
    ),
    "if, then, else": (ladder(30, lambda part: {"if": part, "then": part, "else": part}), 1),
    "not and not": (ladder(30, lambda part: {"not": {"allOf": [part, {"not": part}]}}), 1),
    "oneOf": (ladder(30, lambda part: {"oneOf": [part, part]}), 1),
    "items that double": (
        ladder(60, lambda part: {"items": {"anyOf": [part, part]}, "minItems": 2}),
        nested(60, 1),
    ),
    "a reference to itself": ({"$ref": "#"}, 1),
    "a longer circle": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}, 1),
    "a tree that is walked twice at each level": (
        {"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}, "allOf": [{"items": {"$dynamicRef": "#n"}}]},
        nested(60, 1),
    ),
    "unevaluatedProperties, 1,500 times": (each("unevaluatedProperties", False, 1_500, "anyOf"), NAMES),
    "unevaluatedItems, 2,000 times": (each("unevaluatedItems", {}, 2_000), ITEMS),
    "evaluated items, 2,500 times": ({"unevaluatedItems": False, **each("items", {}, 2_500, "anyOf")}, ITEMS),
    "unevaluatedItems and 900 contains": (
        {"unevaluatedItems": False, "anyOf": [{"contains": {"const": n}} for n in range(900)]},
        MANY,
    ),
    "additionalProperties, 2,000 times": (each("additionalProperties", True, 2_000), NAMES),
    "propertyNames, 2,500 times": (each("propertyNames", True, 2_500), NAMES),
    "contains, 2,500 times": (each("contains", {}, 2_500), ITEMS),
    "items, 3,500 times": (each("items", True, 3_500), ITEMS),
    "dependentRequired of 3,000 names": (
        {
            "allOf": [
                {"dependentRequired": {"p1": ["p1", *(f"p{n}" for n in range(2, 3_000))]}},
                *[{"$ref": "#/allOf/0"}] * 1_000,
            ]
        },
        NAMES,
    ),
    "3,000 alternatives": ({"items": {"anyOf": [{"type": "string"}] * 3_000}}, MANY),
    "3,000 faults with long messages": ({"allOf": [{"type": "string"}] * 3_000}, MANY),
    "a long enum for each item": ({"items": {"enum": list(range(10_000))}}, MANY),
    "enum of lists, 2,500 times": (each("enum", [[1], [2]], 2_000, "anyOf"), MANY),
    "uniqueItems, 2,500 times": (each("uniqueItems", True, 2_500), MANY),
    "uniqueItems of one hash": (each("uniqueItems", True, 2_500), COLLIDING),
    "uniqueItems, deep": (each("uniqueItems", True, 2_500), [nested(60, n) for n in range(500)]),
    "a number beyond a double": ({"multipleOf": 0.1}, 10**400),
    "multiples of the smallest": (each("multipleOf", 2.5e-308, 2_400, "anyOf"), 1.7e308),
    "large whole numbers": ({"items": each("multipleOf", int("9" * 4_000), 15, "anyOf")}, [int("7" * 4_000)] * 16),
    "large bounds": (each("minimum", -int("9" * 4_000), 15), int("7" * 4_000)),
    "many types": ({"items": each("type", ["string", "null", "boolean", "array", "number"], 600)}, ITEMS),
    "a long pointer": ({"$defs": {"a" * 30_000: {}}, "allOf": [{"$ref": "#/$defs/" + "a" * 30_000}]}, 1),
    "10,000 states on 65,536 characters": ({"pattern": "[01]*1([01]{100}){100}2"}, BITS),
    "800 states": ({"pattern": "[01]*1[01]{800}2"}, BITS),
    "many states, many times": ({"anyOf": [{"pattern": f"[01]*1[01]{{{n}}}2"} for n in range(20, 320)]}, BITS),
    "many patterns, many texts": (
        {"items": {"anyOf": [{"pattern": f"[01]*1[01]{{{n}}}2"} for n in range(20, 320)]}},
        [BITS[n : n + 600] for n in range(100)],
    ),
    "a pattern that takes Python exponential time": ({"pattern": "^(a+)+$"}, LONG),
    "a property's name": ({"propertyNames": {"pattern": "^(a|a)*$"}}, {LONG: 1}),
    "500 patterns": ({"anyOf": [{"pattern": f"\\w{{{40 + n % 50}}}{n}"} for n in range(500)]}, LONG),
    "patterns nearly too large": ({"anyOf": [{"pattern": f"[\\w\\s]{{{90 + n}}}"} for n in range(13)]}, LONG),
    "a pattern of nothing": ({"pattern": "(?:){1000}{1000}{1000}{10}"}, "x"),
    "patterns of nothing": (
        {"anyOf": [{"pattern": f"((a{{0}}){{999999999}}){{999999999}}{n}"} for n in range(800)]},
        "x",
    ),
    "a pattern whose brackets are comments": ({"pattern": "(?x)(a{100} # )\n){100}b"}, LONG),
    "classes of classes": ({"anyOf": [{"pattern": "(?i)[" + "\\pL\\pN" * 60 + f"]{n}"} for n in range(100)]}, "x"),
    "a long URI, 2,500 times": (each("format", "uri", 2_500), "http://a/" + "b" * 65_000),
    "email addresses": ({"items": {"format": "email"}}, [f"ann.{n}@exämple.com" for n in range(2_500)]),
    "email addresses of many labels": (
        {"items": each("format", "email", 100, "anyOf")},
        ["a@" + "é." * 150 + "de"] * 200,
    ),
    "dates": ({"items": each("format", "date-time", 100)}, ["2026-02-28T00:00:00Z"] * 2_500),
}


def results() -> Iterator[dict[str, Any]]:
    for name, (schema, value) in CASES.items():
        started, memory = time.process_time(), resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        outcome = "fits"
        try:
            check_schema(schema)
        except InvalidRequest as refused:
            outcome = f"refused: {refused}"
        asked = time.process_time()
        if outcome == "fits":
            try:
                check_value(schema, value)
            except InvalidValue as refused:
                outcome = f"does not fit: {refused}"
        answered = time.process_time()
        yield {
            "name": name,
            "asked": asked - started,
            "answered": answered - asked,
            "mebibytes": (resident("VmHWM") - memory) / 1_024,
            "outcome": outcome,
        }


def resident(what: str) -> int:
    """Return a line of the kernel's about this process, in KiB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1])


if __name__ == "__main__":
    # A check that takes longer than this is no better than one that does not end.
    resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
    for each_result in results():
        json.dump(each_result, sys.stdout)
        print(flush=True)
