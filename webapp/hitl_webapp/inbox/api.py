"""The inbox as JSON, and how its routes are described. Written out: models would cost a web app its start."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from hitl.errors import printable
from hitl_webapp.inbox.queries import Asker, Sort, State, Type, View, Voted
from hitl_webapp.pages import address
from hitl_webapp.prompts import prompt_line

if TYPE_CHECKING:
    from hitl_webapp.inbox.listing import Listing
    from hitl_webapp.inbox.rows import Row

_LINE_CHARS: Final = 160
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _one_of(kind: Any) -> dict[str, Any]:
    return {"type": "string", "enum": [each for each in kind.__args__ if each]}


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


_ENDED: Final = {
    "type": ["object", "null"],
    "description": "How it ended; null while no outcome is known",
    "properties": {
        "outcome": _TEXT,
        "at": _TIME,
        "by": _TEXT,
        "named": {"type": "boolean", "description": "Whether `by` is a name that the respondent gave"},
        "verified": {"type": "boolean"},
        "via": _TEXT,
        "value": {"type": "string", "description": "The beginning of its text"},
        "comment": {"type": "string", "description": "The beginning of it"},
        "default_used": {"type": "boolean"},
        "seconds": {"type": "number", "description": "From asking to the outcome"},
    },
}
_APPROVAL: Final = {
    "type": ["object", "null"],
    "description": "How far the votes are; null where one person decides, and once there is an outcome",
    "properties": {
        "agree": _COUNT,
        "required": _COUNT,
        "declined": _COUNT,
        "needed": {"type": "string", "description": "Who is still needed, such as `1 more of sre`"},
        "unreachable": {"type": "boolean", "description": "Too few people are left to agree"},
        "voted": {"type": "boolean", "description": "Whether you have a vote on it"},
    },
}
_QUESTION: Final = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("request_id", "name", "prompt", "data_type", "namespace", "project", "run"), _TEXT),
        "state": _one_of(State),
        "asked_by": _one_of(Asker),
        "asked_at": _TIME,
        "expires_at": _TIME,
        "form": {"type": "string", "description": "The path of its form"},
        "approval": _APPROVAL,
        "ended": _ENDED,
    },
}
_LINK: Final = {"type": ["string", "null"]}
LIST: Final[dict[str, Any]] = {
    "parameters": [
        _parameter("view", _one_of(View), "All that you may see (the default), what names you, or your groups"),
        _parameter("state", _one_of(State), "`open` is the default; `settled` is all that is no longer open"),
        _parameter("namespace", _TEXT, "The namespace of its HumanInput"),
        _parameter("project", _TEXT, "The project that asked"),
        _parameter("run", _TEXT, "The run that asked"),
        _parameter("type", _one_of(Type), "The type of the answer"),
        _parameter("asked_by", _one_of(Asker), "What asked"),
        _parameter(
            "voted",
            _one_of(Voted),
            "`no`: those that wait for you: you have no vote, and may have one; `yes`: those on which you have",
        ),
        _parameter("text", _TEXT, "Beginnings of words in name or prompt, all of which must be there; or an id"),
        _parameter("sort", _one_of(Sort), "`deadline` for what is open, else `ended`, the last one first"),
        _parameter("after", _TEXT, "From `next`"),
        _parameter("before", _TEXT, "From `previous`"),
    ],
    "responses": {
        "200": {
            "description": "At most 50 questions",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "questions": {"type": "array", "items": _QUESTION},
                            "counts": {
                                "type": "object",
                                "properties": {"all": _COUNT, "mine": _COUNT, "groups": _COUNT},
                            },
                            "next": _LINK,
                            "previous": _LINK,
                            "as_of": {**_TIME, "type": ["string", "null"]},
                            "complete": {"type": "boolean"},
                            "version": {"type": "string", "description": "Another one, once the list changes"},
                            "notice": {
                                "type": ["string", "null"],
                                "description": "Why questions may be missing in the list, as a sentence",
                            },
                        },
                    }
                }
            },
        }
    },
}
EVENTS: Final[dict[str, Any]] = {
    "parameters": [
        *LIST["parameters"],
        _parameter("version", _TEXT, "That of the list that you have: if it changed since, you are told at once"),
    ],
    "responses": {
        "200": {
            "description": "An event `changed` each time that `GET /questions` would show something else. "
            "Its id is the version, which a browser that connects again sends as `Last-Event-ID`",
            "content": {"text/event-stream": {"schema": _TEXT}},
        }
    },
}
ONE: Final[dict[str, Any]] = {
    "responses": {
        "200": {
            "description": "The question and its outcome",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "request_id": _TEXT,
                            "state": _one_of(State),
                            "question": {"type": "object"},
                            "outcome": {"type": ["object", "null"]},
                            "approval": {
                                "type": ["object", "null"],
                                "description": "How far the votes are, with `votes`; null where one "
                                "person decides, and once there is an outcome",
                            },
                        },
                    }
                }
            },
        }
    },
}


def document(found: Listing) -> dict[str, Any]:
    """Return a listing as JSON has it."""
    return {
        "questions": [_question(each, found.now) for each in found.rows],
        "counts": {"all": found.counts.all, "mine": found.counts.mine, "groups": found.counts.groups},
        "next": address(f"/questions{found.next}") if found.next else None,
        "previous": address(f"/questions{found.previous}") if found.previous else None,
        "as_of": found.as_of,
        "complete": found.progress.whole and not found.away,
        "version": found.version,
        "notice": found.notice or None,
    }


def _question(row: Row, now: datetime) -> dict[str, Any]:
    ended, ballot = row.ended, row.ballot
    return {
        "request_id": row.request_id,
        "state": state_of(row, now),
        "name": printable(row.name),
        "prompt": printable(prompt_line(row))[:_LINE_CHARS],
        "data_type": row.data_type,
        "namespace": row.namespace,
        "project": row.project,
        "run": row.run,
        "asked_by": row.asked_by,
        "asked_at": row.asked_at,
        "expires_at": row.expires_at,
        "form": address(f"/form/{row.request_id}"),
        "approval": None
        if ballot is None
        else {
            "agree": ballot.agree,
            "required": ballot.required,
            "declined": ballot.declined,
            "needed": ballot.needed,
            "unreachable": ballot.unreachable,
            "voted": ballot.voted,
        },
        "ended": None
        if ended is None
        else {
            "outcome": ended.outcome,
            "at": ended.at,
            "by": printable(ended.by),
            "named": ended.named,
            "verified": ended.verified,
            "via": ended.channel,
            "value": ended.value,
            "comment": printable(ended.comment),
            "default_used": ended.default_used,
            "seconds": (ended.at - row.asked_at).total_seconds(),
        },
    }


def state_of(row: Row, now: datetime) -> str:
    """Return the state of a question, as the filter of the same name has it."""
    if row.ended is not None:
        return row.ended.outcome
    return "open" if now < row.expires_at else "overdue"
