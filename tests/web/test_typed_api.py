"""Thirty types, answered over the JSON API: the same value comes back, of the same class."""

import json

import pytest

from hitl.core.pythontypes import as_json, typed
from tests.library.typed_samples import TYPED, same, several_of_each
from tests.web.serving import WebApp

SAMPLES = several_of_each(4)


@pytest.mark.parametrize("name", TYPED)
def test_the_same_value_comes_back_over_the_json_api(shared_app: WebApp, name: str) -> None:
    data_type = TYPED[name][0]
    for number, value in enumerate(SAMPLES[name]):
        question = shared_app.ask(f"q-{list(TYPED).index(name)}-{number}", data_type=data_type)
        reply = question.api(json.loads(json.dumps(as_json(data_type, value))))
        assert reply.status_code == 200, reply.text
        stored = question.stored()
        assert stored is not None
        assert same(typed(data_type, stored["value"]), value)


def test_a_text_may_be_left_empty_where_the_default_is_an_empty_text(shared_app: WebApp) -> None:
    by_form, by_api = (shared_app.ask(name, data_type=str, default="") for name in ("by-form", "by-api"))
    needed = shared_app.ask("needed", data_type=str, default="none")
    assert by_form.form("").status_code == 200
    assert by_api.api("").status_code == 200
    for each in (by_form, by_api):
        assert (each.stored() or {})["value"] == ""
    assert (needed.form("").status_code, needed.api("").status_code) == (422, 422)
