"""Find words that the glossary rules out: in pages, docstrings, comments, messages, templates, scripts and charts.

Usage: ``python docs/tools/words.py``. It prints one line for each word that it finds.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

REPO: Final = Path(__file__).parents[2]
GLOSSARY: Final = REPO / "docs" / "glossary.md"
HEADING: Final = "## Words that we do not use"
# What a user or an engineer reads. The changelog tells of old releases in their words.
PAGES: Final = ("*.md", "docs/**/*.md", "examples/**/*.md", "dropin/**/*.md", "charts/**/*.md")
CODE: Final = (
    "hitl/**/*.py",
    "operator/hitl_operator/**/*.py",
    "webapp/hitl_webapp/**/*.py",
    "dropin/**/*.py",
    "docs/tools/*.py",
    "tools/*.py",
    "tools/crd/*.py",
)
TEMPLATES: Final = ("webapp/hitl_webapp/templates/*.html",)
# These are read as they are: nearly all words in them are somebody's to read.
PLAIN: Final = (
    "charts/**/*.yaml",
    "charts/**/*.txt",
    "charts/**/*.tpl",
    "charts/**/*.json",
    "crds/*.yaml",
    "webapp/hitl_webapp/static/*.js",
    "pyproject.toml",
    "dropin/pyproject.toml",
    "mkdocs.yml",
    "Dockerfile",
    "Makefile",
    "tools/*[!y]",
)
NOT_READ: Final = {"CHANGELOG.md", "docs/tools/words.py"}


class Word(NamedTuple):
    """A word or phrase that is not used, and what to write."""

    phrase: str
    instead: str


class Finding(NamedTuple):
    """Where a word was found."""

    path: str
    line: int
    word: Word

    def __str__(self) -> str:
        """Return the finding as one line, which says what to write."""
        return f'{self.path}:{self.line}: "{self.word.phrase}": {self.word.instead}'


@functools.cache
def words() -> tuple[Word, ...]:
    """Return the words of the glossary's table. A cell may hold several, with commas between them."""
    table = GLOSSARY.read_text().split(HEADING)[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return tuple(
        Word(phrase.strip(), instead) for cell, instead in rows if cell != "not" for phrase in cell.split(",")
    )


def find(text: str) -> Iterator[tuple[int, Word]]:
    """Yield each ruled-out word of a text, with its line from 0. A phrase may be broken over two lines."""
    for pattern, word in _patterns():
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()), word


def prose_of_page(text: str) -> str:
    """Return a page's prose: code, targets of links and the glossary's own table are blanked, lines are kept."""
    blanked = re.sub(r"^```.*?^```", _blank, text, flags=re.MULTILINE | re.DOTALL)
    blanked = re.sub(r"`[^`\n]+`|\]\([^)\n]*\)|<!--.*?-->", _blank, blanked, flags=re.DOTALL)
    if HEADING in blanked:
        before, after = blanked.split(HEADING)
        table, next_heading, rest = after.partition("\n## ")
        blanked = before + re.sub(r"[^\n]", " ", table) + next_heading + rest
    return blanked


def prose_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield the prose of a module, with first lines: comments, and texts with a blank in them."""
    tree = ast.parse(text)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            # What is put in is no prose: a sign stands for it.
            pieces = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            said = "".join(str(piece) for piece in pieces)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            said = node.value
        else:
            continue
        if " " in said:
            yield node.lineno, _uncoded(said)
    yield from _comments(text)


def prose_of_template(text: str) -> str:
    """Return what a template shows: its tags, and what is put in, are blanked."""
    return re.sub(r"\{#.*?#\}|\{%.*?%\}|<[^>]*>", _blank, text, flags=re.DOTALL)


def findings() -> list[Finding]:
    """Return every ruled-out word of the repository."""
    found = []
    for path, name in files(PAGES):
        found += [Finding(name, 1 + line, word) for line, word in find(prose_of_page(path.read_text()))]
    for path, name in files(CODE):
        for first, text in prose_of_code(path.read_text()):
            found += [Finding(name, first + line, word) for line, word in find(text)]
    for path, name in files(TEMPLATES):
        found += [Finding(name, 1 + line, word) for line, word in find(prose_of_template(path.read_text()))]
    for path, name in files(PLAIN):
        found += [Finding(name, 1 + line, word) for line, word in find(path.read_text())]
    return found


def files(patterns: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the files that are read, with their names in the repository."""
    for pattern in patterns:
        for path in sorted(REPO.glob(pattern)):
            name = str(path.relative_to(REPO))
            if path.is_file() and name not in NOT_READ:
                yield path, name


def main() -> int:
    """Print what was found."""
    found = findings()
    print(*found, sep="\n")
    return 1 if found else 0


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield a module's comments. Those on lines one below the other are one text."""
    first, lines = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] == first + len(lines):
            lines.append(token.string)
            continue
        if lines:
            yield first, _uncoded("\n".join(lines))
        first, lines = token.start[0], [token.string]
    if lines:
        yield first, _uncoded("\n".join(lines))


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], Word], ...]:
    # Comments of YAML and JavaScript begin each line with a sign, which may stand within a phrase.
    return tuple(
        (re.compile(r"\b" + r"[\s#/]+".join(map(re.escape, word.phrase.split())) + r"\b", re.IGNORECASE), word)
        for word in words()
    )


def _uncoded(text: str) -> str:
    return re.sub(r"`[^`\n]+`", _blank, text)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


if __name__ == "__main__":
    sys.exit(main())
