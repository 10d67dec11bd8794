"""No text uses a word that the glossary rules out; the tool that looks for them reads what people read."""

from __future__ import annotations

import pytest

from docs.tools import words


def test_no_text_has_a_word_that_the_glossary_rules_out() -> None:
    found = words.findings()

    assert not found, "\n".join(map(str, found))


def test_the_glossary_rules_out_words_and_says_what_to_write() -> None:
    assert len(words.words()) >= 40
    assert [word for word in words.words() if not word.phrase or not word.instead] == []


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "Makefile", "webapp/hitl_webapp/static/inbox.js", "tools/venv", "charts/hitl/values.yaml"],
)
def test_what_is_neither_a_page_nor_code_is_read_too(path: str) -> None:
    assert path in {name for _, name in words.files(words.PLAIN)}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("It is retried\nby whoever comes.", "whoever"),
        ("All roots are out of\nreach.", "out of reach"),
        ("# It is kept in\n# step.", "in step"),
        ("// It is kept in\n// step.", "in step"),
    ],
)
def test_a_word_is_found_also_where_a_line_ends_within_it(text: str, phrase: str) -> None:
    assert [word.phrase for _, word in words.find(text)] == [phrase]


def test_code_and_targets_of_links_are_no_prose() -> None:
    page = "Set `whoever`, see [the page](whoever.md).\n\n```python\nwhoever = 1\n```\n"

    assert list(words.find(words.prose_of_page(page))) == []


def test_comments_docstrings_and_messages_of_a_module_are_prose() -> None:
    code = '"""What whoever reads."""\nwhoever = f"{1} in vain"  # anew\n'

    found = {word.phrase for _, text in words.prose_of_code(code) for _, word in words.find(text)}

    assert found == {"whoever", "in vain", "anew"}
