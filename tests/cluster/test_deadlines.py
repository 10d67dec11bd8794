"""Whatever is wrong with a question, its HumanInput ends at its deadline: who waits for `Settled` goes on."""

import uuid
from pathlib import Path

from hitl.core import keys
from tests.backends.plugin import Backend
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess, Questions, Root, conditions, question, run
from tests.cluster.test_troubles import allow, make_namespace, refuse

_SECONDS = 8


def test_a_question_in_trouble_ends_at_its_deadline(questions: Questions, root: Root) -> None:
    plane, namespace = questions.plane, questions.namespace
    request_id = {name: questions.ask(name, timeoutSeconds=_SECONDS) for name in ("damaged", "garbled", "gone")}

    async def harm() -> None:
        for name, key in (
            ("damaged", keys.request_key(request_id["damaged"])),
            ("garbled", keys.response_key(request_id["garbled"])),
            ("gone", keys.request_key(request_id["gone"])),
        ):
            await root.store.delete(key)
            if name != "gone":
                await root.store.create_once(key, b"{not json")

    run(harm())
    plane.apply(question(namespace, "twin", timeoutSeconds=_SECONDS, request={"id": request_id["garbled"]}))
    plane.apply(question(namespace, "nothing", timeoutSeconds=_SECONDS, request={"id": uuid.uuid4().hex}))
    names = (*request_id, "twin", "nothing")
    settled = [f"hi/{name}" for name in names]
    plane.kubectl("wait", "--for=condition=Settled", *settled, "-n", namespace, "--timeout=100s")
    for name in names:
        found = questions.get(name)
        assert found is not None
        assert (name, found["status"]["phase"]) == (name, "TimedOut")
        assert conditions(found)["Stalled"] == ("True", "DeadlinePassed")
    # What storage holds is not touched.
    assert run(root.store.read(keys.response_key(request_id["garbled"]))) == b"{not json"


def test_an_end_that_the_api_server_refuses_is_shown_in_short(
    own_control_plane: ControlPlane, s3_backend: Backend, tmp_path: Path
) -> None:
    plane = own_control_plane
    questions = Questions(plane, make_namespace(plane))
    refuse(plane, "no-urls", "humaninputs/status", "!has(object.status.formURL)", "no addresses here")
    operator = OperatorProcess(plane, s3_backend, tmp_path)
    operator.start()

    def refused() -> bool:
        plane.apply(question(questions.namespace, f"probe-{uuid.uuid4().hex[:6]}"))
        return "no addresses here" in operator.said()

    plane.until("the policy counts", refused)
    plane.apply(question(questions.namespace, "asked", timeoutSeconds=40))
    questions.until_condition("asked", "Stalled", "WriteRefused")
    found = questions.until("asked", "TimedOut")
    assert conditions(found)["Settled"] == ("True", "DeadlinePassed")
    assert "no addresses here" in str(found["status"]["conditions"])
    allow(plane, "no-urls")
    operator.terminate()
