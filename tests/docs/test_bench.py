"""`make bench` takes its parts from the command line, on every Python that is supported."""

from typing import Any

import pytest

from tests.bench import __main__ as bench
from tests.bench import answers, churn, inbox, kept, many, notices, pending, votes, web


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that were measured. The measuring itself takes minutes and is no test."""
    seen: list[str] = []

    def stand_in(part: str) -> Any:
        def measure(_build: object, *_: object) -> list[Any]:
            seen.append(part)
            return []

        return measure

    parts = (
        (web, "web"),
        (answers, "operator beside its floor"),
        (pending, "operator"),
        (many, "large"),
        (churn, "churn"),
        (kept, "retention"),
        (inbox, "inbox"),
        (votes, "votes"),
        (notices, "notices"),
    )
    for module, part in parts:
        monkeypatch.setattr(module, "measure", stand_in(part))
    return seen


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["web", "operator beside its floor", "operator", "churn", "retention", "inbox", "votes", "notices"]),
        (["churn", "--minutes", "10"], ["churn"]),
        (["web"], ["web"]),
        (["operator"], ["operator beside its floor", "operator"]),
        (["operator", "--large"], ["operator beside its floor", "operator", "large"]),
        (["retention"], ["retention"]),
        (["votes"], ["votes"]),
        (["notices"], ["notices"]),
        (["inbox", "--open", "500"], ["inbox"]),
        (["operator", "web"], ["operator beside its floor", "operator", "web"]),
    ],
)
def test_what_is_measured(arguments: list[str], parts: list[str], measured: list[str]) -> None:
    assert bench.main(arguments) == 0
    assert measured == parts


def test_a_part_that_does_not_exist_is_named(measured: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["webb"])

    assert "there is no part 'webb': choose from web, operator, churn, retention, inbox" in capsys.readouterr().err
    assert measured == []
