"""`hitl link`: links are shown without their tokens, and end at once when they are revoked."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.cli.links import hash_of
from hitl.core import keys
from hitl.errors import InvalidRequest
from hitl.records.links import find_link, list_links, revoke_link
from hitl.storage import Store
from tests.library.samples import answer, asked, settle

TOKENS = ["one-token", "-begins-with-a-dash"]
HASHES = [keys.hash_token(token) for token in TOKENS]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("HITL_ENDPOINT", "https://hitl.example/here")
    monkeypatch.setenv("HITL_STORAGE_ROOT", str(tmp_path / "root"))
    store = Store(str(tmp_path / "root"))
    for request_id in ("q", "other"):
        asyncio.run(asked(store, request_id, now=datetime.now(UTC)))
    return store


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def new_link(request_id: str = "q", label: str = "") -> tuple[str, str]:
    """Return a new link's URL and its token."""
    url = hitl_("link", request_id, f"--label={label}").stdout.strip()
    return url, parse_qs(urlsplit(url).query)["token"][0]


def listed(request_id: str = "q") -> Any:
    return json.loads(hitl_("link", request_id, "--list", "--json").stdout)


def works(store: Store, token: str, request_id: str = "q") -> bool:
    return asyncio.run(find_link(store, request_id, keys.hash_token(token), None)) is not None


def test_links_are_shown_without_their_tokens(root: Store) -> None:
    _, ann = new_link(label="for ann\x1b[2J")
    _, bob = new_link(label="for bob")

    shown = hitl_("link", "q", "--list").stdout

    assert [each["label"] for each in listed()] == ["for ann\x1b[2J", "for bob"]
    assert [each["link"] for each in listed()] == [keys.hash_token(token)[:12] for token in (ann, bob)]
    assert {key for each in listed() for key in each} == {"link", "label", "created_at", "expires_at"}
    assert keys.hash_token(ann)[:12] in shown
    assert "\x1b" not in shown
    assert ann not in shown


@pytest.mark.parametrize("by", ["URL", "event's URL", "token", "hash", "12 of hash", "8 of hash", "upper case"])
def test_a_link_that_is_revoked_grants_nothing_any_more(root: Store, by: str) -> None:
    (_, kept), (url, token) = new_link(), new_link()
    digest = keys.hash_token(token)
    named = {
        "URL": url,
        "event's URL": url.replace("?", "?request_path=s3%3A%2F%2Fa%2Fq%2Frequest.json&"),
        "token": token,
        "hash": digest,
        "12 of hash": digest[:12],
        "8 of hash": digest[:8],
        "upper case": digest[:20].upper(),
    }[by]

    done = hitl_("link", "q", f"--revoke={named}")

    assert (done.exit_code, done.stderr) == (0, "q: 1 link was revoked.\n")
    assert [works(root, each) for each in (kept, token)] == [True, False]
    again = hitl_("link", "q", f"--revoke={named}")
    assert again.exit_code == 2
    assert "`hitl link q --list`" in again.stderr


def test_several_or_all_links_are_revoked_at_once(root: Store) -> None:
    tokens = [new_link()[1] for _ in range(4)]

    hitl_("link", "q", f"--revoke={tokens[0]}", f"--revoke={tokens[1]}")
    assert [works(root, each) for each in tokens] == [False, False, True, True]

    done = hitl_("link", "q", "--revoke-all", "--json")
    assert json.loads(done.stdout) == {
        "request_id": "q",
        "revoked": [keys.hash_token(token)[:12] for token in tokens[2:]],
    }
    assert listed() == []


def test_a_name_that_is_not_understood_revokes_nothing(root: Store) -> None:
    (_, token), (foreign_url, foreign) = new_link(), new_link("other")

    for named in (foreign_url, foreign, keys.hash_token(foreign), "0" * 64, "", "http://[", "https://x/form/q"):
        done = hitl_("link", "q", f"--revoke={token}", f"--revoke={named}")
        assert done.exit_code == 2
        assert foreign not in done.stderr

    assert works(root, token)
    assert works(root, foreign, "other")


def test_links_of_a_settled_or_damaged_question_are_revoked_too(root: Store) -> None:
    (_, settled), (_, damaged) = new_link(), new_link("other")
    now = datetime.now(UTC)
    asyncio.run(settle(root, asyncio.run(asked(root, "q", now=now)), answer(), now=now, markers=False))
    asyncio.run(root.delete(keys.request_key("other")))
    asyncio.run(root.create_once(keys.request_key("other"), b"{"))

    assert hitl_("link", "q", "--revoke", keys.hash_token(settled)).exit_code == 0
    assert hitl_("link", "other", "--revoke-all").exit_code == 0

    assert not works(root, settled)
    assert not works(root, damaged, "other")


def test_the_link_that_was_handed_out_is_listed_and_revoked_like_others(root: Store) -> None:
    tokens = [keys.new_token() for _ in range(2)]
    for name, token in zip(("born", "grown"), tokens, strict=True):
        asyncio.run(asked(root, name, now=datetime.now(UTC), link_sha256=keys.hash_token(token)))
    asyncio.run(settle(root, asyncio.run(asked(root, "grown")), answer(), now=datetime.now(UTC), markers=False))
    [shown] = listed("born")
    assert (shown["label"], shown["link"]) == ("HumanInput", keys.hash_token(tokens[0])[:12])
    for token in tokens:
        for name in ("born", "grown"):
            told = "".join(hitl_(*each).output for each in (("show", name), ("show", name, "--json")))
            assert name in told
            assert keys.hash_token(token)[:12] not in told

    assert hitl_("link", "born", f"--revoke={tokens[0]}").stderr == "born: 1 link was revoked.\n"
    assert listed("born") == []
    assert hitl_("link", "born", f"--revoke={tokens[0]}").exit_code == 2
    assert hitl_("link", "grown", "--revoke-all").stderr == "grown: 1 link was revoked.\n"
    assert listed("grown") == []


def test_a_damaged_link_hides_no_other_one(root: Store) -> None:
    _, token = new_link()
    asyncio.run(root.create_once(keys.link_key("q", "0" * 64), b"{"))

    assert [each["link"] for each in listed()] == [keys.hash_token(token)[:12]]


def test_there_must_be_such_a_question(root: Store) -> None:
    for more in (["--list"], ["--revoke=12345678"], ["--revoke-all"], []):
        for request_id in ("unknown", "../../etc", ""):
            done = hitl_("link", request_id, *more)
            assert done.exit_code == 2
            assert "there is no question" in done.stderr


def test_one_thing_is_done_at_a_time(root: Store) -> None:
    _, token = new_link()

    for more in (
        ["--list", "--revoke-all"],
        [f"--revoke={token}", "--label=x"],
        ["--list", "--endpoint=http://x"],
    ):
        assert hitl_("link", "q", *more).exit_code == 2

    assert works(root, token)
    assert len(listed()) == 1


def test_a_label_that_is_too_long_is_explained(root: Store) -> None:
    assert "--label has 257 characters" in hitl_("link", "q", "--label", "x" * 257).stderr
    assert listed() == []


async def test_revoking_tells_whether_there_was_a_link(tmp_path: Path) -> None:
    store = Store(str(tmp_path))

    assert not await revoke_link(store, "q", HASHES[0])
    assert await list_links(store, "q") == []


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_names_its_link(token: str) -> None:
    assert hash_of("q", token, HASHES) == keys.hash_token(token)


@pytest.mark.parametrize("given", ["", HASHES[0][:7], "abc", "0" * 8, "/", "https://x/form/q?token=", "*" * 64])
def test_what_names_no_link_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest):
        hash_of("q", given, HASHES)


def test_a_beginning_that_two_links_share_is_refused() -> None:
    shared = ["12345678" + "0" * 56, "12345678" + "1" * 56]

    with pytest.raises(InvalidRequest, match="2 links of q begin like that"):
        hash_of("q", "12345678", shared)
    assert hash_of("q", "123456781", shared) == shared[1]
