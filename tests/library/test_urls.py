"""Addresses are built in one place, and what is put into them comes out again."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core.urls import form_url, hint_url, submit_url

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    "endpoint", ["https://hitl.example", "https://hitl.example/", "https://hitl.example/below/"]
)
def test_a_slash_at_the_end_of_a_base_makes_no_difference(endpoint: str) -> None:
    base = endpoint.rstrip("/")

    assert form_url(endpoint, "a") == f"{base}/form/a"
    assert form_url(endpoint, "a", token="t") == f"{base}/form/a?token=t"
    assert form_url(endpoint, "a", token="t", request_path="p") == f"{base}/form/a?request_path=p&token=t"
    assert submit_url(endpoint) == f"{base}/submit/json"
    assert hint_url(endpoint, "a") == f"{base}/hints/a"


@given(texts, texts)
def test_token_and_path_come_out_as_they_went_in(token: str, path: str) -> None:
    address = urlsplit(form_url("https://hitl.example", "a", token=token, request_path=path))

    assert address.path == "/form/a"
    assert not address.fragment
    assert parse_qs(address.query) == {
        name: [text] for name, text in (("request_path", path), ("token", token)) if text
    }
