"""The page of the storage names every field of every document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from hitl.core.approval import Approval
from hitl.core.business_hours import BusinessHours
from hitl.core.delegation import DelegationDocument
from hitl.core.documents import CopiedPolicy, CountedVote, Origin, OutcomeDocument, RequestDocument, Respondent
from hitl.core.escalation import Step
from hitl.core.evidence import Evidence
from hitl.core.links import LinkDocument
from hitl.core.reminders import Reminders
from hitl.core.respondents import Respondents
from hitl.core.votes import VoteDocument, VoteEnd
from hitl.records.outbox import Claimed, Ended, Failed

PAGE = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()


def rows(head: str) -> list[str]:
    """Return the rows of the table whose first cell this is."""
    [found] = re.findall(rf"^\| {re.escape(head)} \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    lines: list[str] = found.splitlines()
    return lines


def named(head: str) -> set[str]:
    """Return the names in the first column of a table."""
    return {name for row in rows(head) for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def stored(*models: type[BaseModel]) -> set[str]:
    """Return the fields of models, as they are stored."""
    return {
        field.serialization_alias or field.alias or name
        for model in models
        for name, field in model.model_fields.items()
    }


@pytest.mark.parametrize(
    ("head", "models"),
    [
        ("field of `request.json`", [RequestDocument]),
        ("field of `origin`", [Origin]),
        ("field of `evidence`", [Evidence]),
        ("field of `reminders`", [Reminders]),
        ("field of `response.json`", [OutcomeDocument]),
        ("field of `respondent`", [Respondent]),
        ("field of `votes`", [CountedVote]),
        ("field of `approval`", [Approval]),
        ("field of `votes/{hash}.json`", [VoteDocument]),
        ("field of `votes/{hash}.end.json`", [VoteEnd]),
        ("field of a delegation", [DelegationDocument]),
        ("field of `links/{hash}.json`", [LinkDocument]),
        ("field of a notice", [Claimed, Failed, Ended]),
    ],
)
def test_a_table_has_every_field_and_no_other(head: str, models: list[type[BaseModel]]) -> None:
    assert named(head) == stored(*models)


@pytest.mark.parametrize(
    ("head", "field", "model"),
    [
        ("field of `request.json`", "respondents", Respondents),
        ("field of `request.json`", "escalation", Step),
        ("field of `origin`", "policy", CopiedPolicy),
        ("field of `reminders`", "business_hours", BusinessHours),
    ],
)
def test_a_row_names_the_fields_of_what_it_holds(head: str, field: str, model: type[BaseModel]) -> None:
    [row] = [each for each in rows(head) if each.startswith(f"| `{field}` |")]

    assert stored(model) <= set(re.findall(r"`(\w+)`", row))
