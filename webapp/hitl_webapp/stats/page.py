"""The page of the statistics: its sections, each with plots and a table of the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final

from hitl_webapp.pages import render
from hitl_webapp.stats.figures import Figures, Team
from hitl_webapp.stats.plots import COUNTED, Plot, counts_plot, times_plot
from hitl_webapp.stats.shown import Statistics

# A picture has so many bars; the table below it has all.
_MOST_BARS: Final = 12
_LABEL_CHARS: Final = 22
_NO_PROJECT: Final = "no project"
_NO_TEAM: Final = "no group, no namespace"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Args:
        label: What it is about.
        link: The query of the page with this alone; empty: there is none.
        figures: Its figures.
    """

    label: str
    link: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page.

    Args:
        name: Its name, as the page's anchor.
        heading: Its heading.
        column: The heading of the table's first column.
        rows: The table.
        drawn: How many of its rows the plots have.
        more: How many rows are not shown.
        kinds: Which counts it shows.
        counts: How many questions there are, as a plot.
        times: How long people took, as a plot; None: nobody answered.
    """

    name: str
    heading: str
    column: str
    rows: Sequence[Row]
    drawn: int
    more: int
    kinds: Sequence[str]
    counts: Plot
    times: Plot | None


def page(shown: Statistics, name: str) -> str:
    """Return the page.

    Args:
        shown: What it shows.
        name: The visitor's name.
    """
    report, wanted = shown.report, shown.wanted
    teams = [Row(_team(each), _of_team(shown, each), figures) for each, figures in report.teams.items()]
    projects = [
        Row(each or _NO_PROJECT, wanted.but(project=each) if each else "", figures)
        for each, figures in report.projects.items()
    ]
    weeks = [Row(_week(shown, each), "", figures) for each, figures in report.weeks.items()]
    sections = [
        _section("weeks", "By week", "Week that began on", weeks, kinds=COUNTED[1:]),
        _section("teams", "By team", "Team", teams, report.more_teams),
        _section("projects", "By project", "Project", projects, report.more_projects),
    ]
    return render("statistics.html", shown=shown, sections=sections, name=name)


def _section(
    name: str, heading: str, column: str, rows: Sequence[Row], more: int = 0, kinds: Sequence[str] = COUNTED
) -> Section:
    drawn = [(_short(each.label), each.figures) for each in rows[:_MOST_BARS]]
    plots = counts_plot(drawn, kinds), times_plot(drawn)
    return Section(name, heading, column, rows, len(drawn), more, kinds, *plots)


def _team(team: Team) -> str:
    return _NO_TEAM if team.kind == "none" else f"{team.kind} {team.name}"


def _of_team(shown: Statistics, team: Team) -> str:
    if team.kind == "none":
        return ""
    return shown.wanted._replace(group="", namespace="").but(**{team.kind: team.name})


def _week(shown: Statistics, monday: date) -> str:
    text = f"{monday:%-d %b %Y}"
    if monday == max(shown.report.weeks):
        return f"{text} (goes on)"
    start = shown.report.settled_from.astimezone(UTC)
    return f"{text} (a part)" if start.date() > monday or (start.date() == monday and start.hour) else text


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_CHARS else f"{label[: _LABEL_CHARS - 1]}…"
