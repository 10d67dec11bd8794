"""The statistics as JSON, and how their route is described. Written out: models would cost a web app its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from hitl.errors import printable
from hitl_webapp.inbox.queries import Asker, Type, View
from hitl_webapp.stats.queries import Weeks

if TYPE_CHECKING:
    from hitl_webapp.stats.figures import Figures
    from hitl_webapp.stats.shown import Statistics

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SECONDS: Final = {"type": ["number", "null"], "minimum": 0}


def _parameter(name: str, schema: dict[str, Any], text: str, example: str) -> dict[str, Any]:
    described = {"description": text, "example": example}
    return {"name": name, "in": "query", "required": False, "schema": schema, **described}


def _one_of(kind: Any) -> dict[str, Any]:
    return {"type": "string", "enum": [each for each in get_args(kind) if each]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_ENDED: Final = {
    "answered": {**_COUNT, "description": "Answered by people"},
    "rejected": {**_COUNT, "description": "Declined"},
    "timed_out": {
        **_COUNT,
        "description": "Nobody answered before the deadline, whether a default was used or not",
    },
    "cancelled": {**_COUNT, "description": "Withdrawn"},
    "seconds_to_answer": {
        **_object({"count": _COUNT, "p50": _SECONDS, "p90": _SECONDS}),
        "description": "From asking to what people answered or declined; null: nobody did",
    },
}
_FIGURES: Final = {
    "open": _COUNT,
    "oldest_open_at": {**_TIME, "type": ["string", "null"], "description": "When the oldest open one was asked"},
    "overdue": {**_COUNT, "description": "Past the deadline, without an outcome yet"},
    **_ENDED,
}
_EXAMPLE_ENDED: Final = {
    "answered": 41,
    "rejected": 3,
    "timed_out": 2,
    "cancelled": 0,
    "seconds_to_answer": {"count": 44, "p50": 310.5, "p90": 5400.0},
}
_EXAMPLE: Final = {"open": 7, "oldest_open_at": "2026-11-24T08:15:00Z", "overdue": 0, **_EXAMPLE_ENDED}
_REPLY: Final = {
    "total": _object(_FIGURES),
    "by_team": {
        "type": "array",
        "maxItems": 50,
        "items": _object({"kind": {"enum": ["group", "namespace", "none"]}, "team": _TEXT, **_FIGURES}),
        "description": "A group that a question names, each of several; if it names none, its namespace",
    },
    "more_teams": _COUNT,
    "by_project": {"type": "array", "maxItems": 50, "items": _object({"project": _TEXT, **_FIGURES})},
    "more_projects": _COUNT,
    "by_week": {
        "type": "array",
        "items": _object({"begins": {**_TEXT, "format": "date"}, **_ENDED}),
        "description": "By the week of the outcome, from Monday on in UTC; the last one first",
    },
    "settled_from": {**_TIME, "description": "Settled questions are counted that ended from then on and are kept"},
    "as_of": {**_TIME, "description": "What happened later may be missing"},
    "complete": {"type": "boolean", "description": "False: not all was read, so these are figures of a part"},
}
_EXAMPLE_REPLY: Final = {
    "total": _EXAMPLE,
    "by_team": [{"kind": "group", "team": "sre", **_EXAMPLE}],
    "more_teams": 0,
    "by_project": [{"project": "billing", **_EXAMPLE}],
    "more_projects": 0,
    "by_week": [{"begins": "2026-11-23", **_EXAMPLE_ENDED}],
    "settled_from": "2026-08-31T00:00:00Z",
    "as_of": "2026-11-26T09:00:00Z",
    "complete": True,
}
STATS: Final[dict[str, Any]] = {
    "parameters": [
        _parameter(
            "view", _one_of(View), "All that you may see (the default), what names you, or your groups", "all"
        ),
        _parameter("namespace", _TEXT, "The namespace of its HumanInput", "payments"),
        _parameter("project", _TEXT, "The project that asked", "billing"),
        _parameter("group", _TEXT, "A group that may answer", "sre"),
        _parameter("type", _one_of(Type), "The type of the answer", "bool"),
        _parameter("asked_by", _one_of(Asker), "What asked", "run"),
        _parameter("weeks", _one_of(Weeks), "From how many weeks settled questions are counted", "13"),
    ],
    "responses": {
        "200": {
            "description": "The figures of the questions that you may see",
            "content": {"application/json": {"schema": _object(_REPLY), "example": _EXAMPLE_REPLY}},
        }
    },
}


def document(shown: Statistics) -> dict[str, Any]:
    """Return statistics as JSON has them."""
    report = shown.report
    return {
        "total": _figures(report.total),
        "by_team": [
            {"kind": each.kind, "team": printable(each.name), **_figures(figures)}
            for each, figures in report.teams.items()
        ],
        "more_teams": report.more_teams,
        "by_project": [
            {"project": printable(each), **_figures(figures)} for each, figures in report.projects.items()
        ],
        "more_projects": report.more_projects,
        "by_week": [{"begins": each, **_ended(figures)} for each, figures in report.weeks.items()],
        "settled_from": report.settled_from,
        "as_of": shown.as_of or shown.now,
        "complete": shown.whole,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "open": figures.open,
        "oldest_open_at": figures.oldest,
        "overdue": figures.overdue,
        **_ended(figures),
    }


def _ended(figures: Figures) -> dict[str, Any]:
    return {
        "answered": figures.answered,
        "rejected": figures.rejected,
        "timed_out": figures.timed_out,
        "cancelled": figures.cancelled,
        "seconds_to_answer": {
            "count": len(figures.times),
            "p50": figures.after(50),
            "p90": figures.after(90),
        },
    }
