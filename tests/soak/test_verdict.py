"""The verdict of `make soak` names each thing that may be wrong, and nothing when all is right."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from hitl.cluster.mapping import outcome_shown
from hitl.core import keys
from hitl.core.documents import OutcomeDocument, Respondent
from hitl.core.keys import OpenRow, SettledRow
from tests.soak.ledger import Asked, Ledger, Told
from tests.soak.verdict import Found, faults, unsettled
from tests.soak.weather import KINDS, Spell, fault_of

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=1)
ID = "soak-1"


def outcome(**changes: Any) -> OutcomeDocument:
    content = {
        "request_id": ID,
        "data_type": "int",
        "status": "completed",
        "value": 5,
        "outcome": "answered",
        "reason": "Answered",
        "submission_id": "s",
        "answered_at": NOW,
        "respondent": Respondent(via="web"),
        "request_sha256": "0",
    }
    return OutcomeDocument(**{**content, **changes})


def shown(recorded: OutcomeDocument, name: str = ID) -> dict[str, Any]:
    told = {name: value for name, value in outcome_shown(recorded).items() if value is not None}
    words = {"answered_by": "answeredBy", "answered_via": "answeredVia", "answered_at": "answeredAt"}
    status = {words.get(name, name): value for name, value in told.items()}
    settled = {"type": "Settled", "status": "True", "reason": "Answered", "lastTransitionTime": NOW.isoformat()}
    return {
        "metadata": {"name": name, "namespace": "north", "generation": 2},
        "spec": {"prompt": "?", "dataType": "int", "request": {"id": ID}},
        "status": {**status, "observedGeneration": 2, "conditions": [settled]},
    }


def response(value: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "r-1", "namespace": "north"},
        "spec": {"requestRef": {"requestID": ID}, "value": value},
        "status": {"conditions": list(conditions)},
    }


def accepted(status: str = "True", reason: str = "Accepted") -> dict[str, Any]:
    return {"type": "Accepted", "status": status, "reason": reason, "lastTransitionTime": NOW.isoformat()}


def right() -> tuple[Ledger, Found]:
    """A question that was asked by a program, and answered in the form."""
    asked = Asked(ID, "north", ID, "program", DEADLINE, given={"5"}, told={Told("status", "answered", "5")})
    keys_ = [keys.request_key(ID), keys.response_key(ID), SettledRow.of(ID, NOW, DEADLINE).key]
    found = Found(
        dict.fromkeys(keys_, NOW), {ID: outcome()}, [shown(outcome())], [response("5", accepted())], [{}]
    )
    return Ledger({ID: asked}), found


def test_nothing_is_wrong_when_all_is_right() -> None:
    assert faults(*right()) == []


def _with(**changes: Any) -> Callable[[Ledger, Found], None]:
    def change(_: Ledger, found: Found) -> None:
        for name, value in changes.items():
            setattr(found, name, value)

    return change


def _status(**changes: Any) -> Callable[[Ledger, Found], None]:
    return lambda _, found: found.human_inputs[0]["status"].update(changes)


def _asked(**changes: Any) -> Callable[[Ledger, Found], None]:
    return lambda ledger, _: vars(ledger.asked[ID]).update(changes)


def _object(key: str) -> Callable[[Ledger, Found], None]:
    return lambda _, found: found.objects.update({key: NOW})


def _no_object(key: str) -> Callable[[Ledger, Found], None]:
    def change(_: Ledger, found: Found) -> None:
        del found.objects[key]

    return change


def _unrecorded(_: Ledger, found: Found) -> None:
    found.human_inputs[0]["spec"]["response"] = {"value": "6"}


def _timed_out(_: Ledger, found: Found) -> None:
    ended = outcome(outcome="timed_out", value=None, respondent=Respondent(via="timeout"))
    found.outcomes[ID], found.human_inputs = ended, [shown(ended)]


def _cancelled(_: Ledger, found: Found) -> None:
    ended = outcome(outcome="cancelled", value=None)
    found.outcomes[ID], found.human_inputs = ended, [shown(ended)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with(outcomes={}), "it has no outcome"),
        (_with(human_inputs=[]), "no HumanInput shows it"),
        (_with(human_inputs=[shown(outcome()), shown(outcome(), "other")]), "2 HumanInputs show it"),
        (_status(value="6"), "its status says {'value': '6'}"),
        (_status(phase="Pending"), "its status says {'phase': 'Pending'}"),
        (_status(observedGeneration=1), "not about its generation"),
        (_status(conditions=[]), "no condition Settled=True"),
        (_asked(told={Told("submit/json", "answered", "6")}), "was told, and"),
        (_asked(told={Told("status", "timed_out")}), "was told, and"),
        (_asked(given=set()), "nobody answered 5"),
        (_no_object(keys.request_key(ID)), "it is not in storage"),
        (_no_object(SettledRow.of(ID, NOW, DEADLINE).key), "is settled, and not in the index"),
        (_object(OpenRow(ID, DEADLINE).key), "a ghost in the index"),
        (_object(SettledRow.of("soak-2", NOW, DEADLINE).key), "soak-2 has no outcome, and is settled"),
        (_object(keys.answered_marker(ID)), "a marker is left"),
        (_object(keys.new_marker(ID)), "a marker is left"),
        (_unrecorded, "was not recorded, and no condition says so"),
        (_timed_out, "before its deadline"),
        (_cancelled, "nobody deleted its HumanInput"),
        (_with(responses=[response("5")]), "has no condition"),
        (_with(responses=[response("6", accepted())]), "was accepted with 6"),
        (_with(responses=[response("5", accepted())] * 2), "2 responses to soak-1 were accepted"),
        (_with(responses=[response("5", accepted("False", "StorageUnavailable"))]), "still waits for the storage"),
        (_with(metrics=[{"hitl_pending": 1.0}]), "hitl_pending is 1"),
        (_with(metrics=[None]), "operator 0 does not answer"),
        (lambda ledger, _: ledger.asked.clear(), "nobody asked the question"),
        (_asked(invalid=True), "it is invalid, and has the outcome"),
    ],
)
def test_each_thing_that_is_wrong_is_named(change: Callable[[Ledger, Found], None], said: str) -> None:
    ledger, found = right()
    change(ledger, found)
    assert said in "\n".join(faults(ledger, found))


def test_a_question_in_storage_without_an_outcome_is_to_be_answered() -> None:
    ledger, found = right()
    assert unsettled(ledger, found) == []
    found.outcomes.clear()
    assert unsettled(ledger, found) == [ledger.asked[ID]]
    del found.objects[keys.request_key(ID)]
    assert unsettled(ledger, found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_spell_strikes_the_share_of_requests_that_it_says(kind: str) -> None:
    dice = Random(1)
    struck = [fault_of(Spell(1, kind, 0.4), "PATCH", dice) for _ in range(1_000)]
    assert 300 < sum(each is not None for each in struck) < 500
    assert fault_of(Spell(1), "PATCH", dice) is None


def test_a_read_is_cut_where_a_write_would_lose_its_reply() -> None:
    spell = Spell(1, "lose", 1.0)
    assert fault_of(spell, "GET", Random(1)) == ("cut", 0)
    assert fault_of(spell, "PUT", Random(1)) == ("lose", 0)
