"""Links as people open them: below an ingress's prefix, looked at by monitors, and mangled by mail programs."""

import re
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl.core import keys
from hitl.records.links import add_link
from hitl_webapp.addresses import form_address
from tests.library.samples import NOW, asked
from tests.web.serving import WebApp
from tests.web.test_guards import ID, Served

OLD_TOKEN = "xY3_-" * 8 + "abc"


async def link_to(served: Served) -> str:
    await asked(served.store, ID)
    return await add_link(served.store, ID, now=NOW)


@pytest.mark.parametrize("endpoint", ["https://a.example/hitl", "https://a.example/hitl/"])
@pytest.mark.parametrize("prefix", ["", "/hitl"])
async def test_every_page_below_a_base_path_has_addresses_below_it(endpoint: str, prefix: str) -> None:
    served = Served(endpoint=endpoint)
    async with served as client:
        token = await link_to(served)
        form = {"request_id": ID, "token": token}
        pages = [
            await client.get(f"{prefix}/form/{ID}", params={"token": token}),
            await client.post(f"{prefix}/submit", data={**form, "value": "no number"}),
            await client.post(f"{prefix}/submit", data={**form, "step": "decline"}),
            await client.get(f"{prefix}/nowhere"),
            await client.get(f"{prefix}/"),
            await client.get(f"{prefix}/docs"),
            await client.post(f"{prefix}/submit", data={**form, "value": "5"}),
        ]
        found = re.findall(r'(?:href|src|action)="([^"]+)"', "".join(page.text for page in pages))
        within = [each for each in found if not each.startswith("https://")]
        loaded = [await client.get(each) for each in set(within) if "/static/" in each]
        health = await client.get(f"{prefix}/healthz")
        servers = (await client.get(f"{prefix}/openapi.json")).json()["servers"]

    assert [page.status_code for page in pages] == [200, 422, 200, 404, 200, 200, 200]
    assert len(within) > 20
    assert all(each.startswith("/hitl/") for each in within)
    assert loaded
    assert all(each.status_code == 200 for each in loaded)
    assert health.headers["location"] == "/hitl/health"
    assert servers == [{"url": "/hitl"}]


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    served = Served()
    async with served as client:
        token = await link_to(served)
        paths = ["/", f"/form/{ID}?token={token}", f"/status/{ID}?token={token}", "/health", "/ready", "/metrics"]
        paths += ["/docs", "/openapi.json", "/healthz", "/nowhere", f"/form/{ID}?token=x"]
        for path in paths:
            head, got = await client.head(path), await client.get(path)
            assert head.status_code == got.status_code, path
            assert head.content == b""
            assert head.headers["content-type"] == got.headers["content-type"] if got.content else True
        refused = await client.head("/submit")
    assert refused.status_code == 405


@pytest.mark.parametrize(
    ("endpoint", "origin", "host", "status"),
    [
        ("https://HITL.example", "https://hitl.example", "hitl.example", 422),
        ("https://hitl.example", "https://HITL.Example", "hitl.example", 422),
        ("https://hitl.example:443", "https://hitl.example", "web:8080", 422),
        ("", "https://hitl.example", "HITL.example:443", 422),
        ("", "http://hitl.example", "hitl.example:80", 422),
        ("https://hitl.example", "https://hitl.example:444", "hitl.example", 403),
        ("https://hitl.example", "https://hitl.example.evil.example", "hitl.example", 403),
        ("", "https://hitl.example", "hitl.example:80", 403),
    ],
)
async def test_hosts_are_compared_without_case_and_usual_port(
    endpoint: str, origin: str, host: str, status: int
) -> None:
    served = Served(endpoint=endpoint)
    async with served as client:
        token = await link_to(served)
        reply = await client.post(
            "/submit",
            data={"request_id": ID, "token": token, "value": "no number"},
            headers={"Origin": origin, "Host": host},
        )
    assert reply.status_code == status


MANGLED = [
    *(
        "{link}.",
        "{link})",
        "{link}%3E",
        "{link}%22",
        "{link}%C2%A0",
        "{link}%20",
        "{link}%E2%80%9D",
        "{link},",
        "{link}_",
    ),
    *("{link}&utm_source=mail", "{link}&amp;x=y", "{link}%0D%0A", "{link}=20", "{link}%3C/a%3E", "{link}#"),
    "/form/{id}?x=1&amp;token={token}",
    "/form/{id}?request_path=&amp;token={token}.",
    "/form/{id}?token=3D{token}",
    "/form/{id}%3Ftoken%3D{token}",
    "/form/{id}%253Ftoken%253D{token}",
    "/form/{id}/{token}",
    "/form/{id}&token={token}",
    "/form/{id}%20?token={token}",
    "/form/%3C{id}?token={token}",
]


@pytest.mark.parametrize("mangled", MANGLED)
@pytest.mark.parametrize("old", [False, True])
async def test_a_mangled_link_opens_its_question(mangled: str, old: bool) -> None:
    served = Served()
    async with served as client:
        token = await link_to(served)
        if old:
            token = OLD_TOKEN
            stored = await served.store.read(
                keys.link_key(ID, keys.hash_token(await add_link(served.store, ID, now=NOW)))
            )
            assert stored is not None
            await served.store.create_once(keys.link_key(ID, keys.hash_token(token)), stored)
        link = f"/form/{ID}?token={token}"
        page = await client.get(mangled.format(link=link, id=ID, token=token))
        wrong = await client.get(mangled.format(link=link[:-1] + "~", id=ID, token=token[:-1]))
    assert page.status_code == 200, page.text
    assert f'name="token" value="{token}"' in page.text
    assert wrong.status_code == 403
    assert "copy all of it, up to its last character" in wrong.text


@given(st.text(max_size=80), st.text(max_size=200))
def test_no_link_breaks_the_reading(request_id: str, query: str) -> None:
    form_address(request_id, query)


@given(
    st.from_regex(keys.REQUEST_ID_PATTERN, fullmatch=True),
    st.from_regex("[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{43}", fullmatch=True),
)
def test_a_whole_link_is_read_as_it_is(request_id: str, token: str) -> None:
    request_id = request_id.rstrip("\n")
    address = form_address(request_id, f"token={token.strip()}")
    assert (address.request_id, address.token) == (request_id, token.strip())


def test_the_log_names_links_that_were_cut_as_the_runbook_says(shared_app: WebApp) -> None:
    question = shared_app.ask("a-cut-link")
    cut = replace(question, token=question.token[:9])

    assert httpx.get(cut.url).status_code == 403
    opened = shared_app.logged("hitl.access")[-1]
    assert (opened["path"], opened["status"]) == (f"/form/{cut.request_id}", 403)
    assert shared_app.logged("hitl.audit") == []

    assert cut.form("5").status_code == 403
    [line] = shared_app.logged("hitl.audit")
    assert (line["result"], line["attempt"]) == ("NotAllowed", None)
