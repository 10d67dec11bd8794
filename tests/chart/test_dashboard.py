"""The dashboard for Grafana: what it asks Prometheus for is there, and it is well made. No Grafana runs here."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import promql_parser as promql
import pytest
from prometheus_client.metrics import MetricWrapperBase

from hitl_operator import metrics as of_operator
from hitl_webapp import metrics as of_webapp
from tests.chart.charts import PLAIN, Object, render

ENABLED: Object = PLAIN | {"monitoring": {"grafanaDashboard": {"enabled": True, "annotations": {"folder": "Ops"}}}}
# What Prometheus adds to each series of a target, and to a histogram.
_OF_PROMETHEUS = {"namespace", "le"}
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


@pytest.fixture(scope="module")
def dashboard() -> Any:
    [config] = [each for each in render(ENABLED) if "dashboard" in each["metadata"]["name"]]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"folder": "Ops"}
    return json.loads(config["data"]["hitl.json"])


def metrics() -> dict[str, set[str]]:
    """Return the labels of each series, by its name."""
    wrappers = [each for module in (of_operator, of_webapp) for each in vars(module).values()]
    series = {}
    for each in wrappers:
        if isinstance(each, MetricWrapperBase):
            [family] = each.describe()
            for suffix in _SUFFIXES[family.type]:
                # Before it counts anything, a metric tells its labels only in here.
                series[f"{family.name}{suffix}"] = {*each._labelnames, *_OF_PROMETHEUS}
    return series


def shown(dashboard: Any) -> list[Any]:
    return [each for each in dashboard["panels"] if each["type"] != "row"]


def expressions(dashboard: Any) -> list[tuple[str, str]]:
    targets = [target for panel in shown(dashboard) for target in panel["targets"]]
    queries = [(each["expr"], each["legendFormat"]) for each in targets]
    variables = [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    for each in variables:
        series = re.fullmatch(r"label_values\((\w+), (\w+)\)", each)
        assert series is not None
        queries.append((f"sum by ({series[2]}) ({series[1]})", ""))
    return queries


def parts(expression: str) -> list[promql.Expr]:
    """Return an expression and all within it; what Grafana fills in is filled in."""
    found: list[promql.Expr] = []
    promql.walk(promql.parse(re.sub(r"\$__\w+", "5m", expression)), found.append)
    return found


def test_it_is_there_only_where_it_is_wanted() -> None:
    assert not [each for each in render(PLAIN) if "dashboard" in each["metadata"]["name"]]


def test_each_metric_and_each_label_that_it_names_exists(dashboard: Any) -> None:
    known, used = metrics(), set()
    for expression, legend in expressions(dashboard):
        whole = parts(expression)
        selectors = [each for each in whole if isinstance(each, promql.VectorSelector)]
        assert selectors, expression
        labels = set(re.findall(r"{{(\w+)}}", legend))
        for part in whole:
            if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
                labels |= set(part.modifier.labels)
        for each in selectors:
            assert each.name in known, expression
            used.add(each.name)
            matched = {matcher.name for matcher in each.matchers.matchers}
            assert matched | labels <= known[each.name], expression
    assert {"hitl_answer_seconds_bucket", "hitl_web_answer_seconds_bucket", "hitl_pending"} <= used


def test_its_variables_are_defined_and_each_panel_says_what_it_shows(dashboard: Any) -> None:
    defined = {each["name"] for each in dashboard["templating"]["list"]}
    named = set(re.findall(r"\$\{?([a-z]\w+)", json.dumps(dashboard)))
    assert named == defined
    assert all(each["title"] and each["description"].endswith(".") for each in shown(dashboard))
    assert all(each["datasource"]["uid"] == "${datasource}" for each in shown(dashboard))
    assert (dashboard["uid"], "__inputs" in dashboard, "id" in dashboard) == ("hitl", False, False)


def test_no_panel_lies_on_another(dashboard: Any) -> None:
    places = [each["gridPos"] for each in dashboard["panels"]]
    assert len({each["id"] for each in dashboard["panels"]}) == len(places)
    assert all(each["x"] + each["w"] <= 24 for each in places)
    for a, b in combinations(places, 2):
        across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
        along = a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
        assert not (across and along)
