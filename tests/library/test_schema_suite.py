"""The required tests of JSON Schema, draft 2020-12: each passes, but for what the docs say is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hitl.core.schema import check_schema, check_value
from hitl.errors import InvalidRequest, InvalidValue
from tests.library.schema_suite import home, required_cases

# As docs/authors.md says it: nothing is fetched, one document, no patternProperties, no other dialect.
REFUSED = (
    "the schema has patternProperties, which is not served",
    "the schema refers to ",
    "the schema is written for ",
)
NAMED_INSIDE = "inside: leave it out"


def refusal(schema: dict[str, Any]) -> str:
    """Return why a schema is refused; empty: it is not."""
    try:
        check_schema(schema)
    except InvalidRequest as error:
        return str(error)
    return ""


@pytest.mark.skipif(
    not home().exists(), reason="the published tests of JSON Schema are not there: tools/test-tools"
)
def test_every_required_test_passes_but_for_what_is_refused_as_documented() -> None:
    wrong, refused, passed = [], 0, 0
    for case in required_cases():
        schema = case.schema if isinstance(case.schema, dict) else {"allOf": [case.schema]}
        if why := refusal(schema):
            refused += len(case.tests)
            if not (why.startswith(REFUSED) or NAMED_INSIDE in why):
                wrong.append((case.file, case.description, why))
            continue
        for test in case.tests:
            try:
                # To the published tests a format is a note, as it is where it is not checked.
                check_value(schema, test["data"], formats=False)
                fits = True
            except InvalidValue:
                fits = False
            passed += fits is test["valid"]
            if fits is not test["valid"]:
                wrong.append((case.file, case.description, test["description"]))

    assert wrong == []
    assert passed > 1_000
    assert refused < 250
