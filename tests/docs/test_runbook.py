"""The runbook, docs/operate.md: complete; its figures follow from the chart and from what one question costs."""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from hitl.core.keys import TOKEN_BYTES
from hitl_operator.settings import OperatorSettings
from tests.chart.charts import CHART, PLAIN, applied_by_operator, found, render

REPO = Path(__file__).parents[2]
PAGE = (REPO / "docs" / "operate.md").read_text()
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SIGN_IN = (REPO / "docs" / "sign-in.md").read_text()
# Those of a list are indented.
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```yaml title=values\n(.*?)^ *```$", PAGE + SIGN_IN, re.MULTILINE | re.DOTALL)
]
DAY = 86_400
STALE_SWEEP_SECONDS = 300
RETENTION_REQUESTS = 9
WAIT_SECONDS = 600


def table(*headings: str) -> list[list[str]]:
    """Return the cells of the table whose first headings are these, row by row."""
    lines = PAGE[PAGE.index(f"\n| {' | '.join(headings)} |") + 1 :].splitlines()
    rows = lines[2 : lines.index("")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def number(text: str) -> int:
    """Return the number that a cell begins with."""
    return int(re.match(r"[\d,]+", text)[0].replace(",", ""))  # type: ignore[index]  # else it is no number


def test_every_alert_is_explained() -> None:
    alerts = re.findall(r"^- alert: (\w+)$", (CHART / "templates" / "monitoring.yaml").read_text(), re.MULTILINE)

    assert len(alerts) >= 6
    assert [row[0] for row in table("alert")] == alerts
    assert all(meaning and advice for _, meaning, advice in table("alert"))


@pytest.mark.parametrize("values", BLOCKS, ids=lambda values: str(values).splitlines()[0][:50])
def test_the_chart_takes_the_values_that_the_page_shows(values: str) -> None:
    objects = render(yaml.safe_load(values))

    assert found(objects, "Deployment", "hitl-operator")


def test_what_the_page_names_is_there() -> None:
    objects = render(PLAIN | {"auth": "proxy", "webapp": {"proxy": {"existingSecret": "hitl-proxy"}}})
    applied = applied_by_operator(objects)

    assert found(objects, "ClusterRole", "hitl-responder")
    assert "/etc/hitl/proxy/secret" in str(found(applied, "Deployment", "hitl-webapp"))
    assert found(render({"storage": {"embedded": {"enabled": True}}}), "StatefulSet", "hitl-storage")


def standing() -> tuple[int, ...]:
    """Return the requests of a day without any question: the operator's for each root, and one web app's."""
    operator = VALUES["operator"]
    [webapp] = [each for each in applied_by_operator(render(PLAIN)) if each["kind"] == "Deployment"]
    period = webapp["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["periodSeconds"]
    return (
        2 * DAY // operator["sweepSeconds"],
        DAY // operator["openSeconds"],
        DAY // operator["auditSeconds"],
        2 * DAY // OperatorSettings.model_fields["anchor_seconds"].default,
        RETENTION_REQUESTS * DAY // 3600,
        4 * DAY // STALE_SWEEP_SECONDS,
        DAY // period,
    )


def test_what_stands_there_costs_what_the_chart_s_defaults_make_it_cost() -> None:
    assert [number(row[1]) for row in table("what")] == list(standing())


def reads_of_a_wait(poll: float) -> int:
    """Return the requests of a program that waits, by its own schedule."""
    looks, passed, pause = 1, 0.0, 0.2
    while passed < WAIT_SECONDS:
        looks, passed, pause = looks + 1, passed + pause, min(pause * 1.5, poll)
    return looks + math.ceil(looks / 20)


def test_a_month_costs_what_its_questions_and_what_stands_there_cost() -> None:
    steps = [row for row in table("step") if not row[0].endswith("instead")]
    writes, reads, deletes = (sum(int(row[column]) for row in steps) for column in (2, 3, 4))
    *lists, ready = standing()

    for questions, roots, *shown in [[number(cell) for cell in row] for row in table("questions a day", "roots")]:
        a_day = [
            questions * writes + roots * sum(lists),
            *(questions * (reads + reads_of_a_wait(poll)) + bool(questions) * roots * ready for poll in (5, 60)),
            questions * deletes,
        ]
        assert shown == [30 * each for each in a_day]


def test_a_full_scan_takes_what_the_page_says() -> None:
    steps_a_day = DAY / VALUES["operator"]["auditSeconds"]

    for questions, objects, takes, _ in table("questions a day", "objects kept for 30 days"):
        kept = number(questions) * 4 * VALUES["operator"]["retentionDays"]
        amount, unit = takes.split()
        assert number(objects) == kept
        assert float(amount) == pytest.approx(kept / 1000 / steps_a_day * {"hours": 24, "days": 1}[unit], rel=0.01)


def test_a_token_is_as_long_as_the_pages_say() -> None:
    said = re.findall(r"(\d+)\s+random\s+bits", PAGE + (REPO / "docs" / "security.md").read_text())

    assert set(said) == {str(8 * TOKEN_BYTES)}
