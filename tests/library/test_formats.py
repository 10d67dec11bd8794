"""`format` is enforced where an RFC says what it means, for texts, wherever an answer comes from."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import UUID4, AnyUrl, EmailStr, TypeAdapter

from hitl.core.question import parse_answer
from hitl.core.schema import check_value
from hitl.core.schema.formats import CHECKED, wanted_instead
from hitl.errors import InvalidRequest, InvalidValue
from hitl.records.requests import read_request
from hitl.storage import Store
from tests.library.samples import create_request, draft_request

GOOD = {
    "date": ["2026-02-28", "2024-02-29", "0001-01-01"],
    "date-time": ["2026-02-28T09:30:00Z", "2026-02-28t09:30:00.123z", "2026-02-28T09:30:00-23:30"],
    "time": ["09:30:00", "23:59:59.999999", "09:30:00Z", "09:30:00+01:00"],
    "duration": ["P3DT4H30M", "P1Y2M3D", "PT0S", "P2W", "PT2.5S", "-P1D"],
    "uuid": ["123e4567-e89b-42d3-a456-426614174000", "123E4567-E89B-42D3-A456-426614174000"],
    "email": ["ann@example.com", "ann.o'neil+tag@mail.example.co.uk", "ann@exämple.de", "änn@example.com"],
    "uri": [
        "https://example.com/page?x=1#top",
        "mailto:ann@example.com",
        "urn:isbn:0451450523",
        "http://[2001:db8::1]:80/",
        "s3://bucket/key%20with",
    ],
    "ipv4": ["192.0.2.1", "0.0.0.0"],
    "ipv6": ["::", "2001:db8::1", "::ffff:192.0.2.1"],
    "uuid4": ["123e4567-e89b-42d3-a456-426614174000"],
    "ipv4network": ["192.0.2.0/24"],
    "ipv6network": ["2001:db8::/32"],
    "ipvanyaddress": ["192.0.2.1", "2001:db8::1"],
}
BAD = {
    "date": [
        "banana",
        "2026-02-31",
        "2025-02-29",
        "2026-2-28",
        "28.02.2026",
        "20260228",
        "1654646400",
        "2026-02-28 ",
    ],
    "date-time": [
        "soon",
        "2026-02-28T09:30:00",
        "2026-02-28",
        "2026-02-28T25:00:00Z",
        "2026-02-31T09:30:00Z",
        "1654646400",
    ],
    "time": ["noon", "9:30:00", "24:00:00", "09:60:00", "09:30", "09:30:00+25:00", "34200"],
    "duration": ["P", "PT", "1D", "P1H", "PT1D", "P1DT", "P1M2Y", "3 days", "86400", "P" + "9" * 300 + "D"],
    "uuid": ["123e4567e89b42d3a456426614174000", "{123e4567-e89b-42d3-a456-426614174000}", "123e4567", "g" * 36],
    "email": [
        "nobody",
        "a@b",
        "Ann <ann@example.com>",
        "ann@example.com ",
        "a@@example.com",
        "@example.com",
        "a" * 300 + "@b.de",
    ],
    "uri": [
        "::",
        "example.com",
        "/page",
        "https://",
        "http://a b/",
        "https://example.com/ü",
        "http://x/\n",
        "http://x:99999/",
    ],
    "ipv4": ["256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "٣.2.3.4", "3221225985"],
    "ipv6": [":::", "12345::", "fe80::1%eth0", "1.2.3.4", "1:2:3:4:5:6:7:8:9"],
    "uuid4": ["123e4567-e89b-12d3-a456-426614174000"],
    "ipv4network": ["192.0.2.1/24", "192.0.2.0/33"],
    "ipv6network": ["2001:db8::1/32", "::/129"],
    "ipvanyaddress": ["somewhere"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts])
def test_texts_of_the_format_pass(name: str, text: str) -> None:
    check_value({"format": name}, text)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in BAD.items() for text in [*texts, "", f"{GOOD[name][0]}\n"]]
)
def test_other_texts_are_refused_with_what_is_wanted(name: str, text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_value({"format": name}, text)

    assert wanted_instead(name, text) in str(refused.value)  # type: ignore[operator]  # it is a text


def test_each_sentence_gives_an_example_that_is_of_the_format() -> None:
    for name in CHECKED - {"uuid1", "uuid3", "uuid5"}:
        wanted = wanted_instead(name, "!")
        assert wanted is not None
        assert wanted_instead(name, wanted.split()[-1]) is None, wanted


@pytest.mark.parametrize("value", [5, None, True, 2.5, [], {}])
def test_formats_are_of_texts_alone(value: Any) -> None:
    for name in CHECKED:
        check_value({"format": name}, value)


@pytest.mark.parametrize("name", ["regex", "hostname", "password", "x-own", "Date"])
def test_other_formats_are_notes(name: str) -> None:
    check_value({"format": name}, "!")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (date, date(2026, 2, 28)),
        (datetime, datetime(2026, 2, 28, 9, 30, tzinfo=UTC)),
        (time, time(9, 30)),
        (timedelta, timedelta(days=-3, seconds=2.5)),
        (UUID, UUID(int=2**120)),
        (UUID4, UUID("123e4567-e89b-42d3-a456-426614174000")),
        (EmailStr, "ann@example.com"),
        (AnyUrl, AnyUrl("https://exämple.de/ü")),
        (IPv4Address, IPv4Address("192.0.2.1")),
        (IPv6Address, IPv6Address("::1")),
        (IPv4Network, IPv4Network("192.0.2.0/24")),
        (IPv6Network, IPv6Network("2001:db8::/32")),
    ],
)
def test_what_pydantic_writes_fits_the_schema_that_pydantic_gives(kind: Any, value: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = adapter.json_schema()

    assert schema["format"] in CHECKED
    check_value(schema, adapter.dump_python(value, mode="json"))


@given(
    name=st.sampled_from(sorted(CHECKED)), text=st.text(max_size=400) | st.from_regex(r"[\dA-Za-z:.@/+-]{0,40}")
)
def test_any_text_gets_an_answer(name: str, text: str) -> None:
    wanted_instead(name, text)


@given(st.datetimes(timezones=st.timezones()) | st.datetimes(timezones=st.just(UTC)))
def test_every_moment_fits(moment: datetime) -> None:
    offset = moment.utcoffset()
    assert offset is not None
    if offset.total_seconds() % 60 == 0:  # RFC 3339 has no seconds in a zone
        check_value({"format": "date-time"}, moment.isoformat())
    check_value({"format": "date"}, moment.date().isoformat())
    check_value({"format": "time"}, moment.time().isoformat())


def test_an_answer_is_checked_as_text_and_as_json() -> None:
    request = draft_request(
        request_id="r" * 26,
        event_name="d",
        data_type=str,
        prompt="When?",
        timeout_seconds=60,
        now=datetime.now(UTC),
        json_schema={"type": "string", "format": "date"},
    )

    assert parse_answer(request, "2026-02-28", text=True) == "2026-02-28"
    for text in (True, False):
        with pytest.raises(InvalidValue, match="'banana' is not a date such as 2026-02-28"):
            parse_answer(request, "banana", text=text)


def ask(default: str, data_format: str) -> Any:
    return draft_request(
        request_id="r" * 26,
        event_name="d",
        data_type=str,
        prompt="When?",
        timeout_seconds=60,
        now=datetime.now(UTC),
        json_schema={"format": data_format},
        default=default,
    )


def test_a_default_is_checked_when_it_is_asked() -> None:
    with pytest.raises(InvalidRequest, match=r"the default 'soon' does not fit .* a date such as"):
        ask("soon", "date")


async def test_what_an_older_release_stored_with_another_default_is_readable() -> None:
    store = Store("memory:///formats")
    # That release took every format for a note.
    older = ask("soon", "x-date").model_copy(update={"json_schema": {"format": "date"}})
    await create_request(store, older)

    stored = await read_request(store, "r" * 26)

    assert stored.document.default == "soon"


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys; from hitl.core.schema import check_value; check_value({'format': 'date'}, '2026-02-28');"
        "loaded = {'email_validator', 'dns', 'jsonschema'} & set(sys.modules); assert not loaded, loaded;"
        "check_value({'format': 'email'}, 'ann@example.com'); assert 'dns' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
