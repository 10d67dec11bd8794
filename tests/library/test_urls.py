"""Addresses are built in one place, and what is put into them comes out again."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.keys import derived_request_id, is_request_id, new_token, random_request_id, short_request_id
from hitl.core.urls import form_url, hint_url, submit_url

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    "endpoint", ["https://hitl.example", "https://hitl.example/", "https://hitl.example/below/"]
)
def test_a_slash_at_the_end_of_a_base_makes_no_difference(endpoint: str) -> None:
    base = endpoint.rstrip("/")

    assert form_url(endpoint, "a") == f"{base}/form/a"
    assert form_url(endpoint, "a", token="t") == f"{base}/form/a?token=t"
    assert submit_url(endpoint) == f"{base}/submit/json"
    assert hint_url(endpoint, "a") == f"{base}/hints/a"


@given(texts)
def test_a_token_comes_out_as_it_went_in(token: str) -> None:
    address = urlsplit(form_url("https://hitl.example", "a", token=token))

    assert address.path == "/form/a"
    assert not address.fragment
    assert parse_qs(address.query) == ({"token": [token]} if token else {})


@given(texts)
def test_a_link_has_at_most_100_characters(name: str) -> None:
    for request_id in (random_request_id(name), short_request_id(derived_request_id(name, "run", "action"))):
        assert is_request_id(request_id)
        assert len(form_url("https://hitl.example.com", request_id, token=new_token())) <= 100
