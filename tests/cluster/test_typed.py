"""Thirty types, asked by manifests and answered over each channel of Kubernetes: the same value comes back."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl.cli.cluster_backend import InCluster, Target
from hitl.cluster.mapping import human_input_of
from hitl.core import keys
from hitl.core.documents import Origin
from hitl.core.evidence import MAX_EVIDENCE, Evidence
from hitl.core.pythontypes import as_json, typed
from hitl.core.question import Question
from hitl.core.values import format_value
from hitl.errors import ClusterConflict, InvalidValue
from tests.cluster.operators import Questions, Root, response
from tests.library.samples import NOW, asked, draft_request
from tests.library.typed_samples import TYPED, Deploy, Team, same, several_of_each

SAMPLES = {name: values[0] for name, values in several_of_each(1).items()}


def spec_of(data_type: Any, **more: Any) -> dict[str, Any]:
    """Return what a manifest says to ask for a type: its name, its JSON Schema, its choices."""
    request = draft_request(
        request_id="a",
        event_name="a",
        data_type=data_type,
        prompt="Which one?",
        timeout_seconds=600,
        now=NOW,
        origin=Origin(namespace="team"),
        **more,
    )
    spec: dict[str, Any] = human_input_of(request, 60).to_object()["spec"]
    return {name: each for name, each in spec.items() if name not in ("request", "ttlSecondsAfterFinished")}


def text_of(data_type: Any, value: Any) -> str:
    """Return a value as people and tools write it into a manifest."""
    kind = Question.of("typed", data_type, "Which one?", 60).data_type
    return format_value(kind, json.loads(json.dumps(as_json(data_type, value))))


def patched(questions: Questions, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        questions.patch(name, {"response": {"value": text}})


def responded(questions: Questions, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        questions.plane.apply(response(questions.namespace, name, name, value=text))


def by_command(questions: Questions, texts: dict[str, str]) -> None:
    backend = InCluster(Target(str(questions.plane.kubeconfig), None, questions.namespace))

    async def answer() -> None:
        await asyncio.gather(*(backend.answer(name, text, text=True, comment="") for name, text in texts.items()))

    asyncio.run(answer())


@pytest.mark.parametrize("give", [patched, responded, by_command], ids=lambda give: str(give.__name__))
def test_the_same_value_comes_back_over_each_channel(
    questions: Questions, root: Root, give: Callable[[Questions, dict[str, str]], None]
) -> None:
    names = {f"typed-{number}": name for number, name in enumerate(TYPED)}
    for each, name in names.items():
        questions.plane.apply(
            {
                "apiVersion": "hitl.flyte.org/v1alpha1",
                "kind": "HumanInput",
                "metadata": {"name": each, "namespace": questions.namespace},
                "spec": spec_of(TYPED[name][0]),
            }
        )
    for each in names:
        questions.until(each, "Pending")

    give(questions, {each: text_of(TYPED[name][0], SAMPLES[name]) for each, name in names.items()})

    for each, name in names.items():
        status = questions.until(each, "Answered")["status"]
        outcome = root.outcome(status["requestID"])
        assert outcome is not None
        assert outcome.value_text() == status["value"]
        assert same(typed(TYPED[name][0], outcome.value), SAMPLES[name]), name


def test_what_does_not_fit_is_refused_with_the_name_of_each_part(questions: Questions) -> None:
    questions.ask("deploy", **spec_of(Deploy))

    questions.patch("deploy", {"response": {"value": '{"region": "mars", "replicas": 10, "level": 1}'}})

    found = questions.until_condition("deploy", "ResponseRefused", "Invalid")
    [refused] = [each for each in found["status"]["conditions"] if each["type"] == "ResponseRefused"]
    assert refused["message"].startswith("The value does not fit: ")
    for part in ("region", "replicas"):
        assert refused["message"].count(f"{part}:") == 1
    given = {"members": [{"name": "Ann", "home": {"street": "A"}}, {"name": "", "home": {}}], "name": "Red"}
    questions.ask("team", **spec_of(Team))
    questions.plane.apply(response(questions.namespace, "team-1", "team", value=json.dumps(given)))
    found = questions.until_condition("team-1", "Accepted", "Invalid", "HumanInputResponse")
    assert "members.1.home" in found["status"]["conditions"][0]["message"].replace("/", ".").replace("[1]", ".1")


def test_a_status_says_what_was_edited_and_a_command_shows_it(questions: Questions, root: Root) -> None:
    proposed = Deploy(region="eu", replicas=3)
    links = [{"name": "Run", "url": "https://example.org/run/7"}]
    request_id = questions.ask("proposed", **spec_of(Deploy, proposed=proposed), evidence=links)
    root.answer(request_id, {**json.loads(proposed.model_dump_json()), "replicas": 5})

    status = questions.until("proposed", "Answered")["status"]
    assert status["edited"] == [{"path": "/replicas", "proposed": "3", "answered": "5"}]

    backend = InCluster(Target(str(questions.plane.kubeconfig), None, questions.namespace))
    view = asyncio.run(backend.show("proposed"))
    assert [(each.path, each.proposed, each.answered) for each in view.edited or ()] == [("/replicas", "3", "5")]
    assert [(each.name, each.kind, each.url) for each in view.evidence] == [
        ("Run", "link", "https://example.org/run/7")
    ]
    assert view.proposed is not None
    assert json.loads(view.proposed)["replicas"] == 3

    with pytest.raises(ClusterConflict, match="settled already"):
        asyncio.run(backend.answerable("proposed"))

    questions.ask("as-proposed", **spec_of(int, proposed=3))
    assert asyncio.run(backend.answerable("as-proposed")).proposed == "3"
    questions.patch("as-proposed", {"response": {"value": "3"}})
    assert questions.until("as-proposed", "Answered")["status"]["edited"] == []


def test_no_answer_is_an_answer_where_the_type_says_so(questions: Questions, root: Root) -> None:
    for name, value in (("by-patch", "null"), ("by-response", "null"), ("by-command", "null"), ("empty", "")):
        questions.ask(name, **(spec_of(str, default="") if name == "empty" else spec_of(int | None)))
        give = {"by-response": responded, "by-command": by_command}.get(name, patched)
        give(questions, {name: value})
        outcome = root.outcome(questions.until(name, "Answered")["status"]["requestID"])
        assert outcome is not None
        assert outcome.value == ("" if name == "empty" else None)


FORMATS = {
    "date": "2026-02-30",
    "date-time": "2026-02-28T09:30:00",
    "time": "25:00:00",
    "duration": "P1H",
    "uuid": "1234",
    "email": "ann",
    "uri": "example",
    "ipv4": "256.0.0.1",
    "ipv6": "::g",
}


def test_formats_are_checked_over_each_channel(questions: Questions) -> None:
    backend = InCluster(Target(str(questions.plane.kubeconfig), None, questions.namespace))
    for kind, wrong in FORMATS.items():
        questions.ask(f"a-{kind}", dataType="str", schema={"type": "string", "format": kind})
        questions.patch(f"a-{kind}", {"response": {"value": wrong}})
        questions.plane.apply(response(questions.namespace, f"r-{kind}", f"a-{kind}", value=wrong))
        with pytest.raises(InvalidValue, match="The value does not fit"):
            asyncio.run(backend.answer(f"a-{kind}", wrong, text=True, comment=""))
    for kind in FORMATS:
        questions.until_condition(f"a-{kind}", "ResponseRefused", "Invalid")
        questions.until_condition(f"r-{kind}", "Accepted", "Invalid", "HumanInputResponse")
        assert questions.until(f"a-{kind}", "Pending")


def test_a_question_larger_than_etcd_takes_is_shown_without_what_the_form_has(
    questions: Questions, root: Root
) -> None:
    wide = "\U0001f600" * 65_000
    link = Evidence(name="Run", kind="link", url=f"https://{wide[:2_040]}", alt=wide[:1_024])
    origin = Origin(namespace=questions.namespace)

    async def ask() -> None:
        now = datetime.now(UTC)
        asking: dict[str, Any] = {
            "data_type": str,
            "proposed": wide,
            "default": wide,
            "evidence": [link] * MAX_EVIDENCE,
        }
        await asked(root.store, "large", now=now, origin=origin, **asking)
        await root.store.mark(keys.new_marker("large"))

    asyncio.run(ask())

    shown = questions.until("large", "Pending")
    assert shown["metadata"]["annotations"]["hitl.flyte.org/left-out"] == "evidence"
    assert "evidence" not in shown["spec"]
    assert shown["spec"]["proposed"] == wide
    # The longest answer finds its place too, in the response and in the status.
    longest = "\U0001f680" * 65_536
    path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{questions.namespace}/humaninputs/large"
    done = questions.plane.request("PATCH", path, {"spec": {"response": {"value": longest}}}, "merge-patch+json")
    assert done.code == 0, done.err
    status = questions.until("large", "Answered")["status"]
    assert status["value"] == longest
    assert [each["path"] for each in status["edited"]] == [""]
