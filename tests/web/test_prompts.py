"""How a prompt is shown: what an author wrote stays readable, whether it is prose or data."""

import html
import re
from typing import Any

import nh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hitl
from hitl.core.documents import RequestDocument
from hitl.core.question import Question
from hitl_webapp import prompts
from hitl_webapp.prompts import markdown, prompt_html, prompt_line
from tests.library.samples import NOW, number_question

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
DATA = st.text(st.sampled_from("ab1*_~`#-+.:/\\()[]<>&|=!'\" \n"), min_size=1, max_size=60)


SENTENCES = st.from_regex(prompts._SENTENCE, fullmatch=True)


def seen(page: str) -> str:
    """Return what a browser shows, but for blanks, which it puts together."""
    return " ".join(html.unescape(nh3.clean(page, tags=set())).split())


def asked(prompt: str, **content: Any) -> Any:
    return RequestDocument.asking(number_question(prompt=prompt, **content), request_id="a-question", asked_at=NOW)


@given(SENTENCES)
@example('How many? (a/b, 5 % or 1-2; "quoted": it\'s)')
@example("Ünïcode и ещё 中文ﬁ")
def test_a_sentence_without_markup_is_what_markdown_makes_of_it(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "_SENTENCE", re.compile(r"(?!)"))
        made_by_markdown = prompts.markdown_once(text)
    assert prompts.markdown_once(text) == made_by_markdown


@pytest.mark.parametrize(
    "text",
    [
        "Delete /data/*.tmp and /log/*.txt?",
        "Delete *.tmp, *.log and a/*?",
        "Run __init__.py or __main__?",
        "Drop my_db.my_table_name",
        "5*3*2 and 2 ** 3 ** 4",
        "~5 min~",
        "a_1*b*c",
        "C:\\temp\\new",
    ],
)
def test_data_in_markdown_keep_their_stars_and_underscores(text: str) -> None:
    assert seen(markdown(text)) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ship **2.4** *now*.", "Ship <strong>2.4</strong> <em>now</em>."),
        ("(**a**), _b_!", "(<strong>a</strong>), <em>b</em>!"),
        ("**Note:** a", "<strong>Note:</strong> a"),
        ("これは**強調**です", "これは<strong>強調</strong>です"),
        ("***a***", "<em><strong>a</strong></em>"),
        ("~~old~~ new", "<s>old</s> new"),
    ],
)
def test_words_are_emphasised_and_struck_through(text: str, wanted: str) -> None:
    assert wanted in markdown(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://example.org/x_y_z.", "https://example.org/x_y_z"),
        ("(http://a.example/b_(c))", "http://a.example/b_(c)"),
        ("**https://a.example**", "https://a.example"),
        ("https://a.example/?a=1&b=2", "https://a.example/?a=1&amp;b=2"),
    ],
)
def test_a_bare_address_is_a_link(text: str, address: str) -> None:
    link = f'<a href="{address}" rel="noopener noreferrer nofollow">{address}</a>'
    assert link in markdown(text)
    assert link in prompt_html(asked(text, prompt_format="plain"))


@pytest.mark.parametrize("text", ["`https://a.example`", "javascript://x", "[x](javascript:alert(1))"])
def test_what_is_code_or_no_address_of_the_web_is_no_link(text: str) -> None:
    assert "<a" not in markdown(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "![loss by *step*](https://a.example/b.png)",
            '<a href="https://a.example/b.png" rel="{}">loss by step</a>',
        ),
        ("![](https://a.example/b.png)", '<a href="https://a.example/b.png" rel="{}">https://a.example/b.png</a>'),
        ("[![logo](https://a.example/b.png)](https://b.example)", '<a href="https://b.example" rel="{}">logo</a>'),
        ("![a plot](plot.png)", "a plot"),
        ("![a plot](data:image/png;base64,AAAA)", "a plot"),
        ("![a plot][p]\n\n[p]: https://a.example/c.png", '<a href="https://a.example/c.png" rel="{}">a plot</a>'),
    ],
)
def test_an_image_is_its_alternative_text_and_is_never_loaded(text: str, wanted: str) -> None:
    shown = markdown(text)
    assert f'<p dir="auto">{wanted.format("noopener noreferrer nofollow")}</p>' in shown
    assert "<img" not in shown


def test_a_link_is_not_put_into_a_link() -> None:
    assert markdown("[https://a.example](https://b.example)").count("<a ") == 1


def test_a_list_of_tasks_has_boxes() -> None:
    shown = seen(markdown("- [ ] tests\n- [x] build\n- [y] other\n\n[ ] none"))
    assert shown.split() == ["☐", "tests", "☑", "build", "[y]", "other", "[", "]", "none"]


@given(TEXTS | DATA)
def test_a_plain_prompt_shows_the_very_text(text: str) -> None:
    shown = prompt_html(asked(text, prompt_format="plain"))
    assert seen(shown) == " ".join(text.split())
    if "http" not in text:
        assert html.unescape(shown.removeprefix('<p class="plain" dir="auto">').removesuffix("</p>")) == text


@given(DATA)
def test_an_escaped_text_is_shown_as_it_is(text: str) -> None:
    assert seen(markdown(f"Delete {hitl.escape(text)}?")) == " ".join(f"Delete {text}?".split())
    if text.strip():
        assert seen(markdown(hitl.escape(text))) == " ".join(text.split())
        assert "<code" not in markdown(hitl.escape(text))


def test_the_inbox_has_a_plain_prompt_on_one_line() -> None:
    assert prompt_line(asked("a *b*\n__c__ <d>", prompt_format="plain")) == "a *b* __c__ <d>"


def test_a_table_scrolls_by_keyboard() -> None:
    shown = markdown("| a | b |\n|---|---|\n| 1 | 2 |")
    assert '<div class="table" tabindex="0" role="region" aria-label="Table"><table>' in shown
    assert shown.rstrip().endswith("</table></div>")


def test_headings_are_below_that_of_the_page() -> None:
    shown = markdown("# One\n\nTwo\n---\n\n###### Six")
    assert [part for part in ("<h1", "<h2", "<h3", "<h6") if part in shown] == ["<h2", "<h3", "<h6"]


def test_a_question_in_markdown_has_the_digest_it_always_had() -> None:
    question = Question.of("n", int, "a", 60)
    plain = Question.of("n", int, "a", 60, prompt_format="plain")

    assert question.question_digest() == "7c206c7c0a6b881e3667888ba8bf936ebc20205cb62cecaaf4375e84a4c2d1e5"
    assert plain.question_digest() != question.question_digest()
