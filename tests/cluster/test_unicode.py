"""Every character goes from an answer to the status that shows it."""

import random
import sys
from collections.abc import Iterator

from hitl.cluster.client import HUMAN_INPUTS, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import Questions, Root, question

_CHUNK = 8192


def _all_of_unicode() -> Iterator[str]:
    characters = [chr(each) for each in range(sys.maxunicode + 1) if not 0xD800 <= each <= 0xDFFF]
    for start in range(0, len(characters), _CHUNK):
        yield "".join(characters[start : start + _CHUNK])


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
