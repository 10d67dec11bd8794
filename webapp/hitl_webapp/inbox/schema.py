"""The tables of the inbox's index.

``question`` is narrow, so that filters and counts read little. What is shown of 50 of them lies in ``said`` and
``ended``. A ``scope`` is a namespace together with the respondents that questions name: there are few of them, and
what a visitor may see is said by scopes alone. ``open`` is 1 while a question waits, 2 once its deadline has
passed, and 0 once an outcome is known; ``ended`` is the deadline until then. ``widens`` has the scopes of each
question that escalates, with the moments from which on they are its own.
"""

from __future__ import annotations

from typing import Final

TABLES: Final = """
CREATE TABLE question (
  n INTEGER PRIMARY KEY, tie INTEGER NOT NULL, open INTEGER NOT NULL, scope INTEGER NOT NULL,
  expires REAL NOT NULL, asked REAL NOT NULL, ended REAL NOT NULL, outcome TEXT NOT NULL,
  namespace TEXT NOT NULL, project TEXT NOT NULL, run TEXT NOT NULL, type TEXT NOT NULL,
  asked_by TEXT NOT NULL, name_key TEXT NOT NULL, listed REAL NOT NULL, pass INTEGER NOT NULL
);
CREATE INDEX by_tie ON question (tie);
CREATE INDEX by_scope ON question (open, scope, expires, tie, ended, project, type, asked_by);
CREATE INDEX by_deadline ON question (open, expires, tie, scope);
CREATE INDEX by_age ON question (open, asked, tie, scope);
CREATE INDEX by_name ON question (open, name_key, tie, scope);
CREATE INDEX by_run ON question (run) WHERE run != '';
CREATE TABLE said (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL, sha256 BLOB NOT NULL, name TEXT NOT NULL, prompt TEXT NOT NULL,
  prompt_format TEXT NOT NULL
);
CREATE TABLE ended (
  n INTEGER PRIMARY KEY, by TEXT NOT NULL, named INTEGER NOT NULL, verified INTEGER NOT NULL,
  channel TEXT NOT NULL, value TEXT NOT NULL, shown TEXT NOT NULL,
  comment TEXT NOT NULL, default_used INTEGER NOT NULL
);
CREATE TABLE ballot (
  n INTEGER PRIMARY KEY, agree INTEGER NOT NULL, required INTEGER NOT NULL, declined INTEGER NOT NULL,
  needed TEXT NOT NULL, unreachable INTEGER NOT NULL, excluded TEXT NOT NULL
);
CREATE TABLE voter (who TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (who, n)) WITHOUT ROWID;
CREATE INDEX by_vote ON voter (n);
CREATE TABLE scope (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, namespace TEXT NOT NULL);
CREATE TABLE widens (n INTEGER NOT NULL, at REAL NOT NULL, scope INTEGER NOT NULL, PRIMARY KEY (n, at))
WITHOUT ROWID;
CREATE INDEX widens_by_time ON widens (at);
CREATE TABLE scope_who (who TEXT NOT NULL, scope INTEGER NOT NULL, PRIMARY KEY (who, scope)) WITHOUT ROWID;
CREATE INDEX by_namespace ON scope (namespace);
CREATE TABLE unreadable (id TEXT PRIMARY KEY, pass INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (name, prompt, content='said', content_rowid='n', columnsize=0);
CREATE TEMP TABLE listed (id TEXT PRIMARY KEY, at REAL NOT NULL, tie INTEGER NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE me (who TEXT PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE there (namespace TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE visible (
  scope INTEGER PRIMARY KEY, mine INTEGER NOT NULL, team INTEGER NOT NULL, namespace TEXT NOT NULL
);
"""
