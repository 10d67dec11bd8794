"""Each of the thirty types comes back from a question as what was given, by JSON and by text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question, parse_answer
from hitl.core.values import format_value
from tests.library.typed_samples import TYPED, Address, Person, same


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_same_value_comes_back(name: str, text: bool, data: st.DataObject) -> None:
    data_type, values = TYPED[name]
    value = data.draw(values)
    question = Question.of("typed", data_type, "Which one?", 60)
    sent: Any = json.loads(json.dumps(as_json(data_type, value)))
    if text:
        sent = format_value(question.data_type, sent)

    again = typed(data_type, parse_answer(question, sent, text=text))

    assert same(again, value), (again, value)


def test_there_are_thirty_and_what_differs_inside_is_not_the_same() -> None:
    assert len(TYPED) >= 30
    one = Person(name="Ann", home=Address(street="A", number=1))
    other = one.model_copy(update={"home": Address.model_construct(street="A", number=True)})
    assert one == other
    assert not same(one, other)
