"""The decision records: each has a date, a status and three sections, and the list names them all."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.stem))
def test_a_record_is_dated_and_has_its_sections(record: Path) -> None:
    page = record.read_text()
    facts = dict(re.findall(r"^\| (date|status|made in) \| (.+) \|$", page, re.MULTILINE))

    assert date.fromisoformat(facts["date"])
    assert re.match(r"accepted$|replaced by \[", facts["status"])
    assert facts["made in"]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_list_names_every_record_with_its_title_and_date() -> None:
    rows = re.findall(
        r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \| (\S+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    records = [(each.name[:4], each.read_text().splitlines()[0].removeprefix("# "), each.name) for each in RECORDS]

    assert [row[:3] for row in rows] == records
    assert [int(number) for number, *_ in records] == list(range(1, len(records) + 1))
    assert [row[3] for row in rows] == [
        re.findall(r"\| date \| (\S+) \|", each.read_text())[0] for each in RECORDS
    ]
