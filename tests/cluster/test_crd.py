"""What the API server lets through and what it refuses, with which sentence: each rule both ways."""

import copy
import json
from typing import Any, cast

import pytest

from hitl.cluster.v1alpha1 import HumanInput, HumanInputSpec
from hitl.core.values import DataType, parse_text
from tests.cluster.control_plane import ControlPlane, Done
from tests.cluster.operators import question, response
from tools.crd import cel
from tools.crd.generate import definitions

_FULL_CHOICES = [f"{n:03d}" + "c" * 253 for n in range(64)]


_KINDS = {
    "HumanInput": "humaninputs",
    "HumanInputResponse": "humaninputresponses",
    "HumanInputPolicy": "humaninputpolicies",
}


def _path(content: dict[str, Any], name: bool = True, subresource: str = "") -> str:
    namespace = content["metadata"]["namespace"]
    path = f"/apis/hitl.flyte.org/v1alpha1/namespaces/{namespace}/{_KINDS[content['kind']]}"
    return path + (f"/{content['metadata']['name']}{subresource}" if name else "")


def _create(plane: ControlPlane, content: dict[str, Any]) -> Done:
    return plane.request("POST", _path(content, name=False), content)


def _apply(plane: ControlPlane, content: dict[str, Any], subresource: str = "") -> Done:
    path = f"{_path(content, subresource=subresource)}?fieldManager=test&force=true"
    return plane.request("PATCH", path, content, "apply-patch+yaml")


def _asked(plane: ControlPlane, namespace: str, **spec: Any) -> None:
    done = _create(plane, question(namespace, "asked", **spec))
    assert done.code == 0, done.err


def _status(plane: ControlPlane, namespace: str, name: str, **status: Any) -> Done:
    content = {**question(namespace, name), "status": status}
    del content["spec"]
    return _apply(plane, content, "/status")


def _patch(plane: ControlPlane, namespace: str, name: str, spec: dict[str, Any]) -> Done:
    return plane.request("PATCH", _path(question(namespace, name)), {"spec": spec}, "merge-patch+json")


ACCEPTED: dict[str, dict[str, Any]] = {
    "an int": {"dataType": "int"},
    "a deadline": {"dataType": "int", "timeoutSeconds": 31_622_400},
    "a default": {"dataType": "float", "default": "-1.5e3", "onTimeout": "UseDefault"},
    "the largest int as default": {"dataType": "int", "default": "9223372036854775807"},
    "the smallest int as default": {"dataType": "int", "default": "-9223372036854775808"},
    "choices": {"dataType": "int", "choices": ["1", "2"], "default": "2"},
    "everything at its largest": {
        "dataType": "str",
        "prompt": "p" * 16_384,
        "default": _FULL_CHOICES[-1],
        "choices": _FULL_CHOICES,
        "respondents": {"users": [f"{n:03d}" + "u" * 253 for n in range(64)], "groups": ["g" * 256]},
        "choiceLabels": dict.fromkeys(_FULL_CHOICES, "l" * 256),
        "proposed": _FULL_CHOICES[0],
        "evidence": [{"name": "n" * 128, "url": "https://" + "u" * 2_040, "alt": "a" * 1_024}] * 32,
        "refused": ["r" * 4_096] * 64,
        "escalation": [
            {
                "afterSeconds": after,
                "respondents": {
                    kind: [f"{n:03d}" + kind[0] * 253 for n in range(8)] for kind in ("users", "groups")
                },
            }
            for after in range(1, 9)
        ],
        "reminders": {
            "beforeDeadlineSeconds": list(range(1, 9)),
            "businessHours": {
                "timeZone": "z" * 64,
                "days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
                "start": "00:00",
                "end": "23:59",
                "holidays": "DE-BY",
            },
        },
    },
    "a proposed value": {"dataType": "int", "proposed": "7"},
    "labels of some choices": {"dataType": "int", "choices": ["1", "2"], "choiceLabels": {"2": "Two"}},
    "no labels": {"dataType": "int", "choiceLabels": {}},
    "a prompt of storage, whatever it is": {"dataType": "int", "request": {"id": "r-1"}, "prompt": "\u200b"},
    "a link as evidence": {"dataType": "int", "evidence": [{"name": "Run", "url": "https://example.org/run/7"}]},
    "evidence that lies in storage": {
        "dataType": "int",
        "request": {"id": "r-1"},
        "evidence": [
            {"name": "Loss", "kind": "image", "mediaType": "image/png", "sizeBytes": 9, "sha256": "0" * 64}
        ],
    },
    "an empty text as default": {"dataType": "str", "default": ""},
    "a default that is used without further words": {"dataType": "int", "default": "1"},
    "a default that is not used": {"dataType": "int", "default": "1", "onTimeout": "Fail"},
    "users": {"dataType": "int", "respondents": {"users": ["ann@example.org", "Zoë Åström"]}},
    "groups": {"dataType": "int", "respondents": {"groups": ["finance"]}},
    "a prompt that is no Markdown": {"dataType": "int", "prompt": "Delete *.tmp?", "promptFormat": "plain"},
    "a long default": {"dataType": "str", "default": "d" * 65_536},
    "a JSON Schema": {"dataType": "json", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    "an approval": {
        "dataType": "int",
        "approval": {
            "requiredResponses": 2,
            "groups": [{"name": "security", "required": 1}, {"name": "sre", "required": 1}],
            "rejections": 2,
            "excludeRequester": True,
            "commentRequired": "OnReject",
        },
        "requester": {"username": "ruth"},
        "respondents": {"users": ["ruth"], "groups": ["sre", "security"]},
    },
    "an approval at its largest": {
        "dataType": "int",
        "approval": {
            "requiredResponses": 64,
            "groups": [{"name": f"{n:02d}" + "g" * 254, "required": 4} for n in range(16)],
            "excludeRequester": True,
        },
        "requester": {"username": "r" * 256},
        "respondents": {"users": [f"{n:03d}" + "u" * 253 for n in range(64)]},
    },
    "reminders of a zone": {"dataType": "int", "reminders": {"businessHours": {"timeZone": "Europe/Berlin"}}},
    "no reminders": {"dataType": "int", "reminders": {"beforeDeadlineSeconds": []}},
    "an approval that is enough once it escalates": {
        "dataType": "int",
        "approval": {"requiredResponses": 2},
        "respondents": {"users": ["ada"]},
        "escalation": [{"afterSeconds": 60, "respondents": {"users": ["bob"]}}],
    },
    "votes by links": {"dataType": "int", "approval": {"requiredResponses": 2, "allowLinks": True}},
}

_NOBODY = (
    "respondents names nobody: give users, groups or both, each with at least one name, or leave respondents out "
    "to let everybody answer"
)

_LINKS_ONLY = (
    "spec.evidence: Invalid value: evidence of a question that is asked here can only be links: give each a name "
    "and a url; files and images are stored by a program that asks"
)

_NO_EVIDENCE: list[tuple[str, dict[str, Any], str]] = [
    ("that lies nowhere", {}, _LINKS_ONLY),
    ("by a digest", {"kind": "image", "sizeBytes": 9, "sha256": "0" * 64}, _LINKS_ONLY),
    ("of another kind", {"kind": "image", "url": "https://example.org/a.png"}, _LINKS_ONLY),
    ("of a script", {"url": "javascript:alert(1)"}, "spec.evidence[0].url"),
    ("of a file", {"url": "file:///etc/passwd"}, "spec.evidence[0].url"),
    ("without a name", {"name": "", "url": "https://example.org"}, "spec.evidence[0].name"),
]

_TWO = {"requiredResponses": 2}

_NO_APPROVAL: dict[str, tuple[dict[str, Any], str]] = {
    "an approval of nobody": ({"approval": {"requiredResponses": 0}}, "spec.approval.requiredResponses"),
    "an approval of too many": ({"approval": {"requiredResponses": 65}}, "spec.approval.requiredResponses"),
    "an approval of no group": ({"approval": {**_TWO, "groups": []}}, "spec.approval.groups"),
    "an approval of a group twice": (
        {"approval": {**_TWO, "groups": [{"name": "sre", "required": 1}] * 2}},
        "spec.approval.groups[1]",
    ),
    "more of groups than there are": (
        {"approval": {**_TWO, "groups": [{"name": "sre", "required": 2}, {"name": "db", "required": 1}]}},
        "spec.approval: Invalid value: the groups need more people than requiredResponses",
    ),
    "links of groups": (
        {"approval": {**_TWO, "allowLinks": True, "groups": [{"name": "sre", "required": 1}]}},
        "a link does not say who uses it",
    ),
    "links and respondents": (
        {"approval": {**_TWO, "allowLinks": True}, "respondents": {"groups": ["sre"]}},
        "allowLinks lets links vote, and respondents names who may",
    ),
    "too few respondents": (
        {"approval": _TWO, "respondents": {"users": ["ada"]}},
        "spec.approval: Invalid value: more people must agree than respondents names",
    ),
    "too few respondents but the requester": (
        {
            "approval": {**_TWO, "excludeRequester": True},
            "respondents": {"users": ["ada", "ruth"]},
            "requester": {"username": "ruth"},
        },
        "more people must agree than respondents names, without the requester who may not vote",
    ),
    "an approval and a policy": (
        {"approval": _TWO, "policyRef": {"name": "production"}},
        "spec.policyRef: Invalid value: policyRef stands for approval, escalation and reminders: give it, or some",
    ),
    "reminders and a policy": (
        {"reminders": {"beforeDeadlineSeconds": [60]}, "policyRef": {"name": "production"}},
        "policyRef stands for approval, escalation and reminders",
    ),
    "a policy without a name": ({"policyRef": {"name": ""}}, "spec.policyRef.name"),
    "one response where several must agree": (
        {"approval": _TWO, "response": {"value": "1"}},
        "create a HumanInputResponse for each vote",
    ),
}

_ADA = {"users": ["ada"]}
_STEP = {"afterSeconds": 60, "respondents": {"groups": ["oncall"]}}

_NO_TIMES: dict[str, tuple[dict[str, Any], str]] = {
    "escalation of what everybody may answer": (
        {"escalation": [_STEP]},
        "spec.escalation: Invalid value: escalation adds people who may answer, and everybody may already",
    ),
    "escalation at the deadline": (
        {"respondents": _ADA, "timeoutSeconds": 60, "escalation": [_STEP]},
        "each step of escalation comes before the deadline",
    ),
    "escalation backwards": (
        {"respondents": _ADA, "escalation": [_STEP, {**_STEP, "afterSeconds": 59}]},
        "the steps of escalation are in the order of afterSeconds",
    ),
    "escalation twice at once": ({"respondents": _ADA, "escalation": [_STEP, _STEP]}, "Duplicate value"),
    "escalation to nobody": (
        {"respondents": _ADA, "escalation": [{"afterSeconds": 60, "respondents": {}}]},
        "spec.escalation[0].respondents: Invalid value: respondents names nobody",
    ),
    "escalation at once": (
        {"respondents": _ADA, "escalation": [{**_STEP, "afterSeconds": 0}]},
        "spec.escalation[0].afterSeconds",
    ),
    "nine steps of escalation": (
        {"respondents": _ADA, "escalation": [{**_STEP, "afterSeconds": n} for n in range(1, 10)]},
        "spec.escalation: Too many: 9: must have at most 8 items",
    ),
    "129 names in all steps": (
        {
            "respondents": _ADA,
            "escalation": [
                {"afterSeconds": n, "respondents": {"users": [f"u{each}" for each in range(43)]}}
                for n in (1, 2, 3)
            ],
        },
        "the steps of escalation have more than 128 names together: name groups",
    ),
    "business hours over midnight": (
        {"reminders": {"businessHours": {"timeZone": "UTC", "start": "18:00"}}},
        "spec.reminders.businessHours: Invalid value: business hours end on the day on which they start",
    ),
    "business hours at 24:00": (
        {"reminders": {"businessHours": {"timeZone": "UTC", "end": "24:00"}}},
        "spec.reminders.businessHours.end",
    ),
    "business hours of no day": (
        {"reminders": {"businessHours": {"timeZone": "UTC", "days": []}}},
        "spec.reminders.businessHours.days",
    ),
    "business hours of no zone": ({"reminders": {"businessHours": {}}}, "spec.reminders.businessHours.timeZone"),
    "nine reminders": ({"reminders": {"beforeDeadlineSeconds": list(range(1, 10))}}, "must have at most 8 items"),
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{what: ({"dataType": "int", **spec}, why) for what, (spec, why) in _NO_TIMES.items()},
    **{what: ({"dataType": "int", **spec}, why) for what, (spec, why) in _NO_APPROVAL.items()},
    "no prompt": ({"dataType": "int", "prompt": ""}, "spec.prompt"),
    "a prompt of which nobody sees anything": (
        {"dataType": "int", "prompt": " \u200b"},
        "spec.prompt: Invalid value: nothing can be seen in the prompt: give some text",
    ),
    "an unknown type": ({"dataType": "complex"}, "spec.dataType"),
    "no deadline at all": ({"dataType": "int", "timeoutSeconds": 0}, "spec.timeoutSeconds"),
    "UseDefault without a default": (
        {"dataType": "int", "onTimeout": "UseDefault"},
        "spec.onTimeout: Invalid value: onTimeout: UseDefault needs a default",
    ),
    "a default of another type": (
        {"dataType": "bool", "default": "yes"},
        'spec.default: Invalid value: the default must be exactly "true" or "false"',
    ),
    "a default over 64 bits": (
        {"dataType": "int", "default": "9223372036854775808"},
        'spec.default: Invalid value: the default must be a whole number such as "42"',
    ),
    "a default under 64 bits": ({"dataType": "int", "default": "-9223372036854775809"}, "spec.default"),
    "a default that is no choice": (
        {"dataType": "int", "default": "3", "choices": ["1", "2"]},
        "spec.default: Invalid value: the default must be one of the choices",
    ),
    "choices of bool": (
        {"dataType": "bool", "choices": ["true"]},
        "choices are for int, float and str: leave them out for bool and json",
    ),
    "a choice of another type": (
        {"dataType": "int", "choices": ["1", "two"]},
        'spec.choices: Invalid value: each choice must be a whole number such as "42"',
    ),
    "a choice twice": ({"dataType": "int", "choices": ["1", "1"]}, 'spec.choices[1]: Duplicate value: "1"'),
    "no choice at all": ({"dataType": "str", "choices": []}, "spec.choices"),
    "a blank choice": (
        {"dataType": "str", "choices": ["\u00a0"]},
        "spec.choices: Invalid value: each choice must be some text",
    ),
    "a blank default": ({"dataType": "str", "default": " \u2003"}, "the default must be some text"),
    **{
        f"respondents {respondents}": ({"dataType": "int", "respondents": respondents}, sentence)
        for respondents, sentence in [
            ({}, _NOBODY),
            ({"users": []}, _NOBODY),
            ({"groups": []}, _NOBODY),
            ({"users": ["ann"], "groups": []}, _NOBODY),
            # Unknown fields are pruned with a warning, unless the client asks for an error.
            ({"user": ["ann"]}, _NOBODY),
            ({"Users": ["ann"], "emails": ["ann@example.org"]}, _NOBODY),
            ({"users": "ann"}, "spec.respondents.users"),
            ({"groups": {"sre": True}}, "spec.respondents.groups"),
            ({"users": [""]}, "spec.respondents.users[0]"),
            ({"users": [" "]}, "spec.respondents.users[0]"),
            ({"users": ["\u00a0"]}, "spec.respondents.users[0]"),
            ({"users": ["ann\n"]}, "spec.respondents.users[0]"),
            ({"groups": [" sre"]}, "spec.respondents.groups[0]"),
            ({"groups": ["sre\u200b"]}, "spec.respondents.groups[0]"),
            ({"users": ["ann", "ann"]}, 'spec.respondents.users[1]: Duplicate value: "ann"'),
            (["ann"], "spec.respondents"),
        ]
    },
    "a proposed value of another type": (
        {"dataType": "int", "proposed": "two"},
        'spec.proposed: Invalid value: the proposed value must be a whole number such as "42"',
    ),
    "a proposed value that is no choice": (
        {"dataType": "int", "proposed": "3", "choices": ["1", "2"]},
        "spec.proposed: Invalid value: the proposed value must be one of the choices",
    ),
    "a label of what is no choice": (
        {"dataType": "int", "choices": ["1"], "choiceLabels": {"1": "One", "2": "Two"}},
        "spec.choiceLabels: Invalid value: choiceLabels has a label for what is none of the choices",
    ),
    "labels without choices": ({"dataType": "bool", "choiceLabels": {"true": "Yes"}}, "spec.choiceLabels"),
    "an empty label": ({"dataType": "int", "choices": ["1"], "choiceLabels": {"1": ""}}, "spec.choiceLabels.1"),
    **{
        f"evidence {name}": ({"dataType": "int", "evidence": [{"name": "Loss", **each}]}, sentence)
        for name, each, sentence in _NO_EVIDENCE
    },
    "too many choices": ({"dataType": "str", "choices": [str(n) for n in range(65)]}, "spec.choices: Too many"),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_a_good_question_is_accepted(control_plane: ControlPlane, namespace: str, what: str) -> None:
    done = _create(control_plane, question(namespace, "good", **ACCEPTED[what]))
    assert done.code == 0, done.err


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_question_is_refused_with_a_sentence(control_plane: ControlPlane, namespace: str, what: str) -> None:
    spec, sentence = REFUSED[what]
    done = _create(control_plane, question(namespace, "bad", **spec))
    assert done.code != 0
    assert sentence in done.err


VALUES: list[tuple[str, str, bool]] = [
    ("int", "42", True),
    ("int", "-7", True),
    ("int", "+7", True),
    ("int", "9223372036854775807", True),
    ("int", "-9223372036854775808", True),
    ("int", "0" * 60_000 + "1", True),
    ("int", "9223372036854775808", False),
    ("int", "-9223372036854775809", False),
    ("int", "9" * 65_536, False),
    ("int", "4.5", False),
    ("int", "1e3", False),
    ("int", "1k", False),
    ("int", "", False),
    ("int", " 42", False),
    ("int", "\u2212" + "5", False),
    ("int", "1 000", False),
    ("int", "1'000", False),
    ("int", "1,000", False),
    ("int", "\u0663", False),
    ("int", "\uff11", False),
    ("float", "4.5", True),
    ("float", "1e308", True),
    ("float", "-.5", True),
    ("float", "1e309", False),
    ("float", "1.8e308", False),
    ("float", "NaN", False),
    ("float", "Infinity", False),
    ("float", "4,5", False),
    ("float", "0,42", False),
    ("float", "1.234,5", False),
    ("float", "12 %", False),
    ("float", "5e-324", True),
    ("float", "0.0e-400", True),
    ("float", "1e-400", False),
    ("float", "-1e-400", False),
    ("float", "0." + "0" * 280 + "1e-99", False),
    ("float", "\u2212" + "5", False),
    ("bool", "true", True),
    ("bool", "false", True),
    ("bool", "maybe", False),
    ("bool", "True", False),
    ("bool", "1", False),
    ("str", "any text", True),
    ("str", "s" * 65_536, True),
    ("str", "", False),
    ("str", " \n\t", False),
    ("str", "\u00a0", False),
    ("str", "\u2003\u3000\x85\u2028\v\x1f", False),
    ("str", "\u200b\u2060\u3164\ufe0f", False),
    ("str", "\u2764\ufe0f", True),
    ("str", "s" * 65_537, False),
    ("json", '{"a": 1}', True),
    ("json", " ", False),
    ("json", "\u00a0", False),
]


def _named(case: tuple[str, str, bool]) -> str:
    kind, value, fits = case
    return f"{kind} {value[:24]!r} {'fits' if fits else 'does not fit'}"


@pytest.mark.parametrize("case", VALUES, ids=_named)
def test_what_fits_here_fits_the_library_too(case: tuple[str, str, bool]) -> None:
    kind, value, fits = case
    if fits:
        parse_text(cast("DataType", kind), value)


@pytest.mark.parametrize("case", VALUES, ids=_named)
def test_a_value_fits_its_type_or_is_refused(
    control_plane: ControlPlane, namespace: str, case: tuple[str, str, bool]
) -> None:
    kind, value, fits = case
    _asked(control_plane, namespace, dataType=kind)
    done = _patch(control_plane, namespace, "asked", {"response": {"value": value}})
    assert (done.code == 0) is fits, done.err
    if value == "1.8e308":
        # Reading it is an error to CEL, which says so first.
        assert "the value does not fit the dataType" in done.err
    elif not fits and len(value) <= 65_536:
        wanted = {
            "int": 'a whole number such as "42"',
            "float": 'a number such as "4.5"',
            "bool": 'exactly "true" or "false"',
            "str": "some text",
            "json": "a JSON value",
        }
        assert f"spec.response.value: Invalid value: the value must be {wanted[kind]}" in done.err


def test_nothing_at_all_is_a_text_where_the_default_is_one(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace, dataType="str", default="")
    assert _patch(control_plane, namespace, "asked", {"response": {"value": " "}}).code != 0
    assert _patch(control_plane, namespace, "asked", {"response": {"value": ""}}).code == 0


def test_a_choice_not_offered_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace, choices=["1", "2"])
    done = _patch(control_plane, namespace, "asked", {"response": {"value": "3"}})
    assert "spec.response.value: Invalid value: the value must be one of the choices: 1, 2" in done.err
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "2"}}).code == 0


CHANGES: dict[str, Any] = {
    "prompt": "Another question?",
    "promptFormat": "plain",
    "dataType": "str",
    "timeoutSeconds": 10,
    "onTimeout": "Fail",
    "default": "2",
    "choices": ["1", "2", "3"],
    "choiceLabels": {"1": "One"},
    "proposed": "2",
    "evidence": [{"name": "Run", "url": "https://example.org/run/7"}],
    "refused": ["number: choose an even number"],
    "respondents": {"users": ["eve"]},
    "approval": {"requiredResponses": 2},
    "policyRef": {"name": "another"},
    "requester": {"username": "eve"},
    "escalation": [_STEP],
    "reminders": {"beforeDeadlineSeconds": [60]},
    "ttlSecondsAfterFinished": 1,
    "request": {"id": "another"},
}


def test_every_field_but_the_response_has_a_rule() -> None:
    assert set(CHANGES) == set(cel.IMMUTABLE)


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_the_question_is_refused(control_plane: ControlPlane, namespace: str, field: str) -> None:
    _asked(control_plane, namespace, default="1", choices=["1", "2"])
    done = _patch(control_plane, namespace, "asked", {field: CHANGES[field]})
    assert f"{field} cannot be changed, as the question was asked: create another HumanInput" in done.err


_RULE = {"requiredResponses": 2, "groups": [{"name": "sre", "required": 1}], "excludeRequester": True}


def test_who_must_agree_cannot_be_changed_while_people_vote(control_plane: ControlPlane, namespace: str) -> None:
    spec: dict[str, Any] = {
        "approval": _RULE,
        "requester": {"username": "ruth"},
        "respondents": {"users": ["ruth", "ann", "bob"], "groups": ["sre"]},
    }
    _asked(control_plane, namespace, **spec)
    for field, changed in (
        ("approval", {"requiredResponses": 1}),
        ("approval", {**_RULE, "groups": []}),
        ("approval", {**_RULE, "groups": [{"name": "sre", "required": 2}]}),
        ("approval", {**_RULE, "excludeRequester": False}),
        ("approval", None),
        ("policyRef", {"name": "another"}),
        ("prompt", "How few?"),
        ("requester", {"username": "eve"}),
        ("respondents", {"users": ["ann", "bob", "eve"], "groups": ["sre"]}),
    ):
        after = {name: given for name, given in {**spec, field: changed}.items() if given is not None}
        content = json.dumps(question(namespace, "asked", **after))
        # As `kubectl edit` and `kubectl patch`, `kubectl replace` and GitOps tools do.
        for done in (
            _patch(control_plane, namespace, "asked", {field: changed}),
            control_plane.kubectl("replace", "-f", "-", stdin=content, check=False),
        ):
            assert "cannot be changed, as the question was asked: create another HumanInput" in done.err, field
        # By server-side apply, what somebody else's manifest leaves out stays as it is.
        done = _apply(control_plane, json.loads(content))
        stored = control_plane.get(namespace, "HumanInput", "asked")
        assert stored is not None
        assert all(stored["spec"].get(name) == given for name, given in spec.items()), field
        assert done.code == 0 or "cannot be changed, as the question was asked" in done.err, field
    done = _patch(control_plane, namespace, "asked", {"response": {"value": "1"}})
    assert "create a HumanInputResponse for each vote, as `kubectl hitl answer` does" in done.err


def test_which_policy_counts_cannot_be_changed_and_a_policy_itself_can(
    control_plane: ControlPlane, namespace: str
) -> None:
    _asked(control_plane, namespace, policyRef={"name": "production"})
    for change in ({"policyRef": None}, {"policyRef": {"name": "lax"}}):
        done = _patch(control_plane, namespace, "asked", change)
        assert "policyRef cannot be changed, as the question was asked: create another HumanInput" in done.err

    def policy(**approval: Any) -> dict[str, Any]:
        metadata = {"name": "production", "namespace": namespace}
        return {
            **question(namespace),
            "kind": "HumanInputPolicy",
            "metadata": metadata,
            "spec": {"approval": approval},
        }

    for approval, why in (
        ({"requiredResponses": 0}, "spec.approval.requiredResponses"),
        (
            {**_RULE, "requiredResponses": 1, "groups": [{"name": "sre", "required": 2}]},
            "the groups need more people",
        ),
        ({**_RULE, "allowLinks": True}, "a link does not say who uses it"),
    ):
        assert why in _create(control_plane, policy(**approval)).err
    nothing = policy()
    nothing["spec"] = {}
    assert "this policy says nothing" in _create(control_plane, nothing).err
    assert _create(control_plane, policy(**_RULE)).code == 0
    assert _apply(control_plane, policy(requiredResponses=3)).code == 0


def test_what_is_not_given_for_the_deadline_is_not_filled_in(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace, default="1")

    stored = control_plane.get(namespace, "HumanInput", "asked")

    assert stored is not None
    assert "onTimeout" not in stored["spec"]
    assert HumanInput.from_object(stored).spec.at_deadline() == "UseDefault"


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        # Release 0.1.0 had the API server write Fail where a manifest gave nothing.
        ({"onTimeout": "Fail"}, {}, True),
        ({}, {"onTimeout": "Fail"}, True),
        ({"default": "1", "onTimeout": "UseDefault"}, {"default": "1"}, True),
        ({"default": "1"}, {"default": "1", "onTimeout": "UseDefault"}, True),
        ({"default": "1", "onTimeout": "Fail"}, {"default": "1"}, False),
        ({"default": "1"}, {"default": "1", "onTimeout": "Fail"}, False),
    ],
)
def test_ontimeout_may_be_said_or_left_out_while_it_means_the_same(
    control_plane: ControlPlane, namespace: str, before: dict[str, Any], after: dict[str, Any], same: bool
) -> None:
    assert _create(control_plane, question(namespace, "asked", **before)).code == 0

    content = json.dumps(question(namespace, "asked", **after))
    done = control_plane.kubectl("replace", "-f", "-", stdin=content, check=False)

    assert (done.code == 0) is same, done.err
    assert same or "onTimeout cannot be changed, as the question was asked" in done.err


def test_kubectl_that_only_warns_of_misspelt_respondents_is_refused(
    control_plane: ControlPlane, namespace: str
) -> None:
    for respondents in ({"user": ["ann"]}, {"group": ["sre"], "emails": ["ann@example.org"]}, {}):
        content = json.dumps(question(namespace, "misspelt", respondents=respondents))
        for validate in ("warn", "ignore"):
            done = control_plane.kubectl("create", f"--validate={validate}", "-f", "-", stdin=content, check=False)
            assert _NOBODY in done.err

    assert control_plane.get(namespace, "HumanInput", "misspelt") is None


def test_what_the_previous_release_stored_goes_on(own_control_plane: ControlPlane) -> None:
    plane, namespace = own_control_plane, "default"
    [now] = [each for name, each in definitions().items() if name.startswith("humaninputs.")]
    before = copy.deepcopy(now)
    spec = before["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec["onTimeout"]["default"] = "Fail"
    del spec["choices"]["minItems"], spec["respondents"]["x-kubernetes-validations"]
    for names in spec["respondents"]["properties"].values():
        del names["minItems"], names["items"]["pattern"]
    del spec["approval"]["properties"]["groups"]["minItems"]
    plane.kubectl("replace", "-f", "-", stdin=json.dumps(before))
    odd = {"default": "1", "choices": [], "respondents": {"users": [], "groups": []}}
    several = {"approval": {"requiredResponses": 2, "groups": []}}
    plane.until("the old definition", lambda: _create(plane, question(namespace, "old", **odd)).code == 0)
    assert _create(plane, question(namespace, "several", **several)).code == 0
    plane.kubectl("replace", "-f", "-", stdin=json.dumps(now))
    plane.until("the new definition", lambda: _create(plane, question(namespace, "new", choices=[])).code != 0)

    stored = plane.get(namespace, "HumanInput", "old")

    assert stored is not None
    assert HumanInput.from_object(stored).spec.at_deadline() == "Fail", "what was stored keeps its meaning"
    assert _status(plane, namespace, "several", phase="Pending").code == 0
    assert _status(plane, namespace, "old", phase="Pending").code == 0
    assert _patch(plane, namespace, "old", {"response": {"value": "1"}}).code == 0
    assert _status(plane, namespace, "old", phase="Answered", value="1").code == 0


def test_an_identical_question_is_accepted_again(control_plane: ControlPlane, namespace: str) -> None:
    content = question(namespace, "asked", default="1", choices=["1", "2"], schema={"minimum": 0})
    assert _apply(control_plane, content).code == 0
    assert _apply(control_plane, content).code == 0
    assert control_plane.kubectl("replace", "-f", "-", stdin=json.dumps(content)).code == 0


def test_a_response_has_either_a_value_or_a_rejection(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace)
    for both in ({"value": "1", "reject": True}, {"comment": "neither"}, {"reject": False}):
        done = _patch(control_plane, namespace, "asked", {"response": both})
        assert "a response has either a value, or reject: true" in done.err
    assert _patch(control_plane, namespace, "asked", {"response": {"reject": True}}).code == 0


def test_a_given_response_can_be_neither_changed_nor_taken_back(
    control_plane: ControlPlane, namespace: str
) -> None:
    _asked(control_plane, namespace)
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "1"}}).code == 0
    for change in ({"value": "2"}, {"comment": "really"}, None):
        done = _patch(control_plane, namespace, "asked", {"response": change})
        assert "it can be neither changed nor taken back" in done.err
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "1"}}).code == 0


def _condition(kind: str) -> dict[str, str]:
    moment = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": "True", "reason": "Invalid", "message": "m", "lastTransitionTime": moment}


def test_a_response_that_the_operator_refused_can_be_changed(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace)
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "1"}}).code == 0
    _status(control_plane, namespace, "asked", phase="Pending", conditions=[_condition("ResponseRefused")])
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "2"}}).code == 0
    assert _patch(control_plane, namespace, "asked", {"response": None}).code == 0


def test_after_the_answer_the_response_may_go_and_come_back_but_not_become_another(
    control_plane: ControlPlane, namespace: str
) -> None:
    _asked(control_plane, namespace)
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "042"}}).code == 0
    _status(control_plane, namespace, "asked", phase="Answered", value="42")
    other = _patch(control_plane, namespace, "asked", {"response": {"value": "43"}})
    assert "the question is already Answered, so no other response can be given" in other.err
    assert _patch(control_plane, namespace, "asked", {"response": None}).code == 0
    again = _patch(control_plane, namespace, "asked", {"response": {"value": "43"}})
    assert "the question is already Answered" in again.err
    assert _patch(control_plane, namespace, "asked", {"response": {"value": "042"}}).code == 0


@pytest.mark.parametrize("phase", ["Rejected", "TimedOut", "Cancelled"])
def test_an_answer_to_a_settled_question_is_refused(
    control_plane: ControlPlane, namespace: str, phase: str
) -> None:
    _asked(control_plane, namespace)
    _status(control_plane, namespace, "asked", phase=phase)
    done = _patch(control_plane, namespace, "asked", {"response": {"value": "1"}})
    assert f"the question is already {phase}, so no other response can be given" in done.err
    rejected = _patch(control_plane, namespace, "asked", {"response": {"reject": True}})
    assert (rejected.code == 0) is (phase == "Rejected")


def test_a_final_status_never_changes(control_plane: ControlPlane, namespace: str) -> None:
    _asked(control_plane, namespace)
    _status(control_plane, namespace, "asked", phase="Pending")
    _status(control_plane, namespace, "asked", phase="Answered", value="42")
    for status in ({"phase": "Pending"}, {"phase": "Answered", "value": "43"}, {"phase": "Cancelled"}):
        assert "a final status never changes" in _status(control_plane, namespace, "asked", **status).err
    assert _status(control_plane, namespace, "asked", phase="Answered", value="42", observedGeneration=2).code == 0


def test_a_humaninputresponse_never_changes(control_plane: ControlPlane, namespace: str) -> None:
    assert _apply(control_plane, response(namespace, "given", "asked", value="1")).code == 0
    done = _apply(control_plane, response(namespace, "given", "asked", value="2"))
    assert "a response never changes: create another HumanInputResponse" in done.err
    assert _apply(control_plane, response(namespace, "given", "asked", value="1")).code == 0


def test_a_humaninputresponse_names_one_question_and_one_answer(
    control_plane: ControlPlane, namespace: str
) -> None:
    twice = ({"value": "1", "withdraw": True}, {"reject": True, "delegateTo": "bob"}, {"withdraw": False})
    for spec in ({"value": "1", "reject": True}, {}, *twice):
        done = _create(control_plane, response(namespace, "given", "asked", **spec))
        assert "a response has either a value, or reject: true" in done.err
    for blank in (" ", " \n", "\u00a0\u2003"):
        done = _create(control_plane, response(namespace, "given", "asked", value=blank))
        assert "the value is blank: an answer is needed" in done.err
    for misspelt in ({"vlaue": "1"}, {"rejct": True}, {"comment": "yes"}):
        done = _create(control_plane, response(namespace, "given", "asked", **misspelt))
        assert "a response has either a value, or reject: true" in done.err
    for what in ({"withdraw": True}, {"delegateTo": "bob"}):
        said = _create(control_plane, response(namespace, "given", "asked", comment="why", **what))
        assert "withdraw and delegateTo take no comment" in said.err
    for target in ({}, {"nam": "a"}, {"name": "a", "requestID": "b"}):
        content = response(namespace, "given", "asked", value="1", requestRef=target)
        assert "requestRef has either a name or a requestID" in _create(control_plane, content).err
    good = response(namespace, "given", "asked", value="v" * 65_536, comment="c" * 4_096)
    assert _create(control_plane, good).code == 0


def test_kubectl_explain_is_a_manual(control_plane: ControlPlane) -> None:
    shown = control_plane.kubectl("explain", "hi.spec").out
    for field in HumanInputSpec.model_json_schema(by_alias=True)["properties"]:
        assert field in shown
    assert "The question, in Markdown" in shown
    assert "Settled, Answered, Ready" in control_plane.kubectl("explain", "hi.status").out
    assert "Where a link leads" in control_plane.kubectl("explain", "hi.spec.evidence").out
    assert "as a JSON Pointer" in control_plane.kubectl("explain", "hi.status.edited").out
    assert "What people read instead of a choice" in control_plane.kubectl("explain", "hi.spec.choiceLabels").out


def test_questions_can_be_selected_by_their_phase(own_control_plane: ControlPlane) -> None:
    # No operator is there, which would write the status that it finds right.
    plane, namespace = own_control_plane, "default"
    for name in ("one", "two"):
        assert _create(plane, question(namespace, name)).code == 0
    assert _status(plane, namespace, "two", phase="Pending", requestID="r-2").code == 0
    selected = ("get", "hi", "-n", namespace, "-o", "name", "--field-selector")
    assert plane.kubectl(*selected, "status.phase=Pending").out.strip().endswith("/two")
    assert plane.kubectl(*selected, "status.requestID=r-2").out.strip().endswith("/two")
    assert "two" in plane.kubectl("get", "hitl", "-n", namespace).out
