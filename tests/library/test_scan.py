"""Which work the full scan finds in the index for one question, by what the storage lists of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hitl.core.keys import OpenRow
from hitl.core.lifecycle import KEPT_AT_LEAST
from hitl.records.listing import Listed
from hitl.records.scan import Repair, repair_of
from tests.library.samples import DEADLINE, NOW

ID = "a-question"
RIGHT = OpenRow(ID, DEADLINE).key
OTHER = OpenRow(ID, DEADLINE + timedelta(days=1)).key
UNREADABLE = OpenRow.unreadable(ID).key
ASKED, SETTLED, EVIDENCE = "request.json", "response.json", "evidence/0"

CASES: dict[str, tuple[list[str], list[str], bool, Repair]] = {
    "open with its row": ([ASKED], [RIGHT], False, Repair("nothing")),
    "open without a row": ([ASKED], [], False, Repair("read", [])),
    "open with two rows": ([ASKED], [RIGHT, OTHER], False, Repair("read", [RIGHT, OTHER])),
    "open, and could not be read before": ([ASKED], [UNREADABLE], False, Repair("read", [UNREADABLE])),
    "open, with a row of an outcome that was deleted": ([ASKED], [RIGHT], True, Repair("nothing")),
    "settled with its row": ([ASKED, SETTLED], [], True, Repair("nothing", [])),
    "settled with a row as if it were open": ([ASKED, SETTLED], [RIGHT], True, Repair("nothing", [RIGHT])),
    "settled without a row": ([ASKED, SETTLED], [RIGHT], False, Repair("read")),
    "an outcome without its question, with a row": ([SETTLED], [], True, Repair("nothing")),
    "an outcome without its question or a row": ([SETTLED], [], False, Repair("mark orphan")),
    "evidence without a question": ([EVIDENCE], [], False, Repair("mark orphan")),
    "nothing at all": ([], [], False, Repair("nothing")),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_listed_of_a_question_and_its_rows_say_what_to_do(case: str) -> None:
    objects, opened, indexed, repair = CASES[case]
    listed = Listed(ID, dict.fromkeys(objects, NOW))

    assert repair_of(listed, opened, indexed=indexed, now=NOW + KEPT_AT_LEAST) == repair


def test_evidence_whose_question_may_still_come_is_left_alone() -> None:
    listed = Listed(ID, {"evidence/0": NOW - KEPT_AT_LEAST, "evidence/1": NOW})
    almost = NOW + KEPT_AT_LEAST - timedelta(seconds=1)

    assert repair_of(listed, [], indexed=False, now=almost) == Repair("nothing")
    assert repair_of(listed, [], indexed=False, now=NOW + KEPT_AT_LEAST) == Repair("mark orphan")
