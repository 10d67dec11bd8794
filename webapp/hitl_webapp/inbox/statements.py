"""The statements that insert a question into the inbox's index, each with the values that it binds by name."""

from __future__ import annotations

from typing import Final

from hitl_webapp.inbox.rows import Ended, Row, tie_of

_NAME_KEY_CHARS: Final = 100

INSERT_QUESTION: Final = """
INSERT INTO question (n, tie, open, scope, expires, asked, ended, outcome, namespace, project, run, type, asked_by,
  name_key, listed, pass)
VALUES (:n, :tie, 1, :scope, :expires, :asked, :expires, '', :namespace, :project, :run, :type, :asked_by,
  :name_key, :listed, :pass)
"""
"""Inserts an open question, which ends at its deadline until an outcome is known."""
INSERT_SAID: Final = """
INSERT INTO said (n, id, sha256, name, prompt, prompt_format)
VALUES (:n, :id, :sha256, :name, :prompt, :prompt_format)
"""
INSERT_WORDS: Final = "INSERT INTO words (rowid, name, prompt) VALUES (:n, :name, :prompt)"
INSERT_ENDED: Final = """
INSERT OR REPLACE INTO ended (n, by, named, verified, channel, value, shown, comment, default_used)
VALUES (:n, :by, :named, :verified, :channel, :value, :shown, :comment, :default_used)
"""


def question_values(n: int, row: Row, scope: int, listed: float, number: int) -> dict[str, object]:
    """Return what `INSERT_QUESTION` binds.

    Args:
        n: The question's number in the index.
        row: The question.
        scope: Its scope's number there.
        listed: When its row was listed, in seconds since 1970; 0: it has none.
        number: The pass over the storage in which it was read.
    """
    return {
        "n": n,
        "tie": tie_of(row.request_id),
        "scope": scope,
        "expires": row.expires_at.timestamp(),
        "asked": row.asked_at.timestamp(),
        "namespace": row.namespace,
        "project": row.project,
        "run": row.run,
        "type": row.data_type,
        "asked_by": row.asked_by,
        "name_key": row.name.casefold()[:_NAME_KEY_CHARS],
        "listed": listed,
        "pass": number,
    }


def said_values(n: int, row: Row) -> dict[str, object]:
    """Return what `INSERT_SAID` and `INSERT_WORDS` bind."""
    return {
        "n": n,
        "id": row.request_id,
        "sha256": bytes.fromhex(row.sha256),
        "name": row.name,
        "prompt": row.prompt,
        "prompt_format": row.prompt_format,
    }


def ended_values(n: int, ended: Ended) -> dict[str, object]:
    """Return what `INSERT_ENDED` binds."""
    return {
        "n": n,
        "by": ended.by,
        "named": ended.named,
        "verified": ended.verified,
        "channel": ended.channel,
        "value": ended.value,
        "shown": ended.shown,
        "comment": ended.comment,
        "default_used": ended.default_used,
    }
