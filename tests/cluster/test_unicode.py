"""Every character goes from an answer to the status that shows it."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from hitl.cluster.client import HUMAN_INPUTS, Kube
from hitl.core import keys
from hitl.core.documents import Origin
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Questions, Root, question, run
from tests.web.serving import running

_CHUNK = 8192
# Four bytes each, so that two of them and the question fit into one object.
_LONG = 32_768
_COMMENT = 4_096


def _all_of_unicode(chunk: int = _CHUNK) -> Iterator[str]:
    characters = [chr(each) for each in range(sys.maxunicode + 1) if not 0xD800 <= each <= 0xDFFF]
    for start in range(0, len(characters), chunk):
        yield "".join(characters[start : start + chunk])


async def test_every_character_is_written_to_a_status_and_read_from_it(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with await Kube.connect(kubeconfig=str(control_plane.kubeconfig)) as kube:
        for number, text in enumerate(_all_of_unicode()):
            content = question(namespace, f"any-{number}", dataType="str")
            await kube.create(HUMAN_INPUTS, content)
            status = {"phase": "Answered", "value": text}
            shown = {key: content[key] for key in ("apiVersion", "kind", "metadata")} | {"status": status}
            await kube.apply(HUMAN_INPUTS, shown, manager="test", subresource="status")
            found = await kube.get(HUMAN_INPUTS, f"any-{number}", namespace)
            assert found is not None
            assert found["status"]["value"] == text


def test_answers_and_comments_of_any_characters_are_shown(questions: Questions, root: Root) -> None:
    any_of = random.Random(14)
    texts = ["ship it 👍", "grüß Gott – 好", "\u2028 and \x85", "👩‍👩‍👧‍👦\ufeff", "\U0010ffff\x7f"]
    texts += ["".join(map(chr, any_of.choices(range(1, 0xD800), k=40))) for _ in range(3)]
    texts += ["".join(map(chr, any_of.choices(range(0x10000, 0x110000), k=40))) for _ in range(3)]
    for number, text in enumerate(texts):
        request_id = questions.ask(f"q-{number}", dataType="str", prompt=f"ok? 🚀 {number}")
        root.answer(request_id, text)
    for number, text in enumerate(texts):
        assert questions.until(f"q-{number}", "Answered")["status"]["value"] == text


def test_every_character_that_is_typed_into_the_form_is_shown_in_the_status(
    questions: Questions, root: Root, shared_backend: Backend, tmp_path: Path
) -> None:
    texts = list(_all_of_unicode(_LONG))
    with running(shared_backend.url, tmp_path, shared_backend.options, HITL_MARKERS="true") as app:
        asked = []
        for number, text in enumerate(texts):
            # A prompt and a comment hold other characters than the value.
            prompt = f"ok? {text[-_COMMENT:]}"
            each = app.ask(
                f"{questions.namespace}-{number}",
                data_type=str,
                prompt=prompt,
                origin=Origin(namespace=questions.namespace),
            )
            run(root.store.mark(keys.new_marker(each.request_id)))
            shown = questions.until(each.request_id, "Pending")
            assert shown["spec"]["prompt"] == prompt
            asked.append(each)
        for each, text in zip(asked, texts, strict=True):
            reply = each.form(text, comment=f"so {text[_COMMENT : 2 * _COMMENT - 3]}")
            assert reply.is_success, reply.text
        for each, text in zip(asked, texts, strict=True):
            status = questions.until(each.request_id, "Answered")["status"]
            stored = each.stored()
            assert stored is not None
            assert status["value"] == text
            assert status["comment"] == stored["comment"]
            assert status["comment"] == f"so {text[_COMMENT : 2 * _COMMENT - 3]}"
