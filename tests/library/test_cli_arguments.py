"""What a shell's words mean: a dash begins an option, and nothing that was mistyped is recorded."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hitl.cli.app import app
from hitl.cli.arguments import NotUnderstood, Option, arranged, looks_like_an_option
from hitl.cli.options import in_cluster
from hitl.records.links import list_links
from hitl.records.requests import read_outcome
from hitl.storage import Store
from tests.library.samples import asked

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
OPTIONS = [
    Option(("--comment",), valued=True),
    Option(("--choices",), valued=True, repeated=True),
    Option(("-n", "--namespace"), valued=True),
    Option(("-A", "--all-namespaces")),
    Option(("--browser", "--no-browser")),
    Option(("--json",)),
]
TYPED = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)
DASHED = st.builds(str.__add__, st.sampled_from([*DASHES, "--", "\u2014\u2014", "\u200b-", " --"]), TYPED)
MISTYPED = [
    *(
        "--reject",
        "--yes",
        "-y",
        "--value=ok",
        "--josn",
        "--coment=fine",
        "--dry-run",
        "-",
        "---",
        "--no",
        "-nope",
    ),
    *(
        "--comment",
        "--comment=x",
        "--json",
        "--json-value",
        "-A",
        "-1,5",
        "-5 apples",
        "-0x10",
        "-Infinity",
        "- ok",
    ),
    *("\u2014reject", "\u2013-reject", "\u200b--reject", "\u00a0-y", " --json", "--=", "-=", "-\u0661"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One root for all examples: whatever is recorded in it by a mistyped word is found at once."""
    store = Store(str(tmp_path_factory.mktemp("root")))
    question(store, "q")
    return store


@pytest.fixture(autouse=True)
def _root(root: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_STORAGE_ROOT", root.url)


@pytest.fixture
def as_plugin() -> Iterator[None]:
    token = in_cluster.set(True)
    yield
    in_cluster.reset(token)


def question(store: Store, request_id: str, **changes: Any) -> None:
    asyncio.run(asked(store, request_id, **{"data_type": str, "now": datetime.now(UTC), **changes}))


def hitl_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def recorded(store: Store, request_id: str = "q") -> Any:
    outcome = asyncio.run(read_outcome(store, request_id))
    return outcome and (outcome.outcome, outcome.value, outcome.comment)


def assert_nothing_happened(done: Result, store: Store) -> None:
    # Help is asked for by an option as well.
    assert done.exit_code == 2 or (done.exit_code == 0 and done.stdout.startswith("Usage:")), done.output
    assert recorded(store) is None
    assert asyncio.run(store.list_request_ids()) == ["q"]
    assert asyncio.run(list_links(store, "q")) == []


@pytest.mark.parametrize("typed", MISTYPED)
def test_a_mistyped_option_is_never_an_answer(root: Store, typed: str) -> None:
    assert_nothing_happened(hitl_("answer", "q", typed), root)
    assert_nothing_happened(hitl_("answer", typed, "q"), root)


@pytest.mark.parametrize("typed", MISTYPED)
def test_a_mistyped_option_is_never_an_answer_in_a_cluster(typed: str, root: Store, as_plugin: None) -> None:
    done = hitl_("answer", "q", typed)

    assert_nothing_happened(done, root)
    assert "no Kubernetes cluster" not in done.stderr


@given(typed=DASHED)
@example(typed="--help")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_that_begins_with_a_dash_is_an_answer(root: Store, typed: str) -> None:
    if looks_like_an_option(typed) and typed != "--":
        assert_nothing_happened(hitl_("answer", "q", typed), root)


@pytest.mark.parametrize(
    "command",
    [
        ["ask"],
        ["ask", "Why?", "--default"],
        ["ask", "Why?", "--name"],
        ["ask", "Why?", "--choices"],
        ["show"],
        ["show", "q"],
        ["wait"],
        ["wait", "q"],
        ["list"],
        ["cancel"],
        ["cancel", "q"],
        ["cancel", "q", "--comment"],
        ["reject", "q"],
        ["reject", "q", "--comment"],
        ["answer", "q", "yes"],
        ["answer", "q", "yes", "--comment"],
        ["link", "q", "--endpoint", "http://x"],
        ["link", "q", "--endpoint", "http://x", "--label"],
        ["link", "q", "--revoke"],
        ["gc"],
        ["serve"],
        ["demo"],
        ["doctor"],
        ["storage", "check"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("typed", ["--josn", "-y", "--value=ok", "-", "\u2014yes"])
def test_every_command_refuses_what_it_does_not_know(root: Store, command: list[str], typed: str) -> None:
    assert_nothing_happened(hitl_(*command, typed), root)


@given(typed=DASHED | st.sampled_from(MISTYPED))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_behind_two_dashes_every_text_is_an_answer(tmp_path_factory: pytest.TempPathFactory, typed: str) -> None:
    root = str(tmp_path_factory.mktemp("root"))
    question(Store(root), "q")

    done = hitl_("--root", root, "answer", f"--comment={typed}", "q", "--", typed)

    assert done.exit_code == 0, done.output
    assert recorded(Store(root)) == ("answered", typed, typed)


@pytest.mark.parametrize(
    ("data_type", "typed", "value"),
    [
        (int, "-5", -5),
        (float, "-4.5", -4.5),
        (float, "-1e3", -1000.0),
        (float, "-1E-3", -0.001),
        (float, "-.5", -0.5),
        (float, "-5.", -5.0),
        (int, "\u22125", -5),
        (str, "-5", "-5"),
        ("json", "-5", -5),
    ],
)
def test_a_negative_number_is_an_answer(tmp_path: Path, data_type: Any, typed: str, value: Any) -> None:
    store = Store(str(tmp_path))
    for request_id in ("one", "two", "three"):
        question(store, request_id, data_type=data_type)

    root = ["--root", str(tmp_path)]
    assert hitl_(*root, "answer", "one", typed, "--comment", typed).exit_code == 0
    assert hitl_(*root, "answer", "--comment", typed, "two", typed).exit_code == 0
    assert hitl_(*root, "answer", "three", "--comment", typed, "--", typed).exit_code == 0

    for request_id in ("one", "two", "three"):
        assert recorded(store, request_id) == ("answered", value, typed)


def test_a_sentence_says_what_was_meant_and_what_to_do(root: Store) -> None:
    said = hitl_("answer", "q", "--coment=x", "yes").stderr

    assert "no such option: --coment=x" in said
    assert "Did you mean --comment?" in said
    assert "put -- in front of it" in said
    assert "write --comment=--json" in hitl_("reject", "q", "--comment", "--json").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--root", "data"], "--root comes before the command: write `hitl --root URL list …`"),
        (["answer", "q", "3", "--root=data"], "write `hitl --root URL answer …`"),
        (["storage", "check", "--root", "data"], "write `hitl --root URL storage check …`"),
        (["list", "--version"], "write `hitl --version`"),
    ],
)
def test_an_option_of_the_program_behind_a_command_is_told_its_place(
    root: Store, words: list[str], said: str
) -> None:
    done = hitl_(*words)

    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gc", "--days", "x"], "'--days': 'x': give a number"),
        (["gc", "--days=-1"], "'--days': '-1': Input should be greater than or equal to 0"),
        (["serve", "--port", "eighty"], "'--port': 'eighty': give a whole number"),
        (["list", "--limit", "all"], "'--limit': 'all': give a whole number"),
    ],
)
def test_a_number_that_is_none_is_repeated(root: Store, words: list[str], said: str) -> None:
    done = hitl_(*words)

    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_a_reason_is_more_than_blanks(root: Store) -> None:
    for comment in ("", " \t", "\n", "\u200b", "\u3164"):
        assert_nothing_happened(hitl_("reject", "q", "--comment", comment), root)


def test_a_root_is_no_option(root: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert hitl_("--root", "--json", "list").exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sorted_out"),
    [
        (["a", "b"], ["--", "a", "b"]),
        (["a", "--json", "-5"], ["--json", "--", "a", "-5"]),
        (["--comment", "x y", "a"], ["--comment=x y", "--", "a"]),
        (["--comment=", "a"], ["--comment=", "--", "a"]),
        (["--comment=a=b"], ["--comment=a=b"]),
        (["--comment", "-5"], ["--comment=-5"]),
        (["--comment=--json"], ["--comment=--json"]),
        (["-n", "x", "-A"], ["--namespace=x", "-A"]),
        (["-nx"], ["--namespace=x"]),
        (["-n=x"], ["--namespace=x"]),
        (["-Anx"], ["-A", "--namespace=x"]),
        (["--choices", "1", "--choices", "-2"], ["--choices=1", "--choices=-2"]),
        (["--no-browser", "--json", "--json"], ["--no-browser", "--json", "--json"]),
        (["a", "--", "--json", "--", "b"], ["--", "a", "--json", "--", "b"]),
        (["--"], []),
        ([], []),
    ],
)
def test_words_are_sorted_out(words: list[str], sorted_out: list[str]) -> None:
    assert arranged(words, OPTIONS) == sorted_out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--comment"], "--comment needs a value"),
        (["--comment", "--"], "--comment needs a value"),
        (["--comment", "--json"], "write --comment=--json"),
        (["-n", "-A"], "write -n=-A"),
        (["--json=yes"], "--json takes no value"),
        (["--comment", "a", "--comment", "a"], "--comment is given twice"),
        (["-nx", "--namespace=y"], "--namespace is given twice"),
        (["--comm=x"], "Did you mean --comment?"),
        (["\u2014json"], "Did you mean --json?"),
        (["-Ax"], "no such option: -Ax"),
    ],
)
def test_words_that_cannot_be_sorted_out_are_explained(words: list[str], why: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        arranged(words, OPTIONS)

    assert why in str(refused.value)
