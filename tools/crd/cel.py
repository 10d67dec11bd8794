"""The rules by which the API server refuses invalid objects, in CEL, with sentences for people.

Each is attached to the root of its schema, where it sees `self.spec`, `self.status` and what both were before;
those of `spec.respondents`, `spec.approval` and others to that field. A rule that names `oldSelf` counts for
updates only.
They are written by hand: no library makes CEL of a pydantic model.
"""

from __future__ import annotations

from typing import Final

from hitl.core.text import FILLERS
from tools.crd import cel_times
from tools.crd.cel_times import Rule

IMMUTABLE: Final = (
    "prompt",
    "promptFormat",
    "dataType",
    "timeoutSeconds",
    "onTimeout",
    "default",
    "choices",
    "choiceLabels",
    "proposed",
    "evidence",
    "refused",
    "respondents",
    "approval",
    "policyRef",
    "requester",
    "escalation",
    "reminders",
    "ttlSecondsAfterFinished",
    "request",
)

_WANTED: Final = (
    "{'int': 'a whole number such as \"42\"', 'float': 'a number such as \"4.5\"', "
    "'bool': 'exactly \"true\" or \"false\"', 'str': 'some text', 'json': 'a JSON value'}[self.spec.dataType]"
)
# A character that can be seen, as `hitl.core.text.is_blank` has it.
# It is as short as it can be, as the API server reckons what a rule costs by it.
_FILLERS: Final = "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in FILLERS)
_NOT_BLANK: Final = rf"[^\pZ\p{{Cc}}\p{{Cf}}{_FILLERS}]"
_TAKES_EMPTY: Final = "self.spec.dataType == 'str' && has(self.spec.default) && self.spec.default == ''"
_NO_CHOICES: Final = "!has(self.spec.choices) || size(self.spec.choices) == 0"
_FINAL: Final = "(has(self.status) && has(self.status.phase) && self.status.phase != 'Pending')"
_REJECTS: Final = "(has(self.spec.response.reject) && self.spec.response.reject)"
_GIVES_REJECT: Final = "has(self.spec.reject) && self.spec.reject"
_WITHDRAWS: Final = "has(self.spec.withdraw) && self.spec.withdraw"
_DELEGATES: Final = "has(self.spec.delegateTo)"
_REFUSED: Final = (
    "(has(oldSelf.status) && has(oldSelf.status.conditions) && "
    "oldSelf.status.conditions.exists(c, c.type == 'ResponseRefused' && c.status == 'True'))"
)
_SAME: Final = (
    "(has(self.spec.response) && has(oldSelf.spec.response) && "
    "(has(self.spec.response.value) ? has(oldSelf.spec.response.value)"
    " && self.spec.response.value == oldSelf.spec.response.value : !has(oldSelf.spec.response.value)) && "
    "(has(self.spec.response.comment) ? has(oldSelf.spec.response.comment)"
    " && self.spec.response.comment == oldSelf.spec.response.comment : !has(oldSelf.spec.response.comment)))"
)
_RECORDED: Final = (
    f"(self.status.phase == 'Rejected' ? {_REJECTS} : "
    "self.status.phase == 'Answered' && has(self.spec.response.value) && has(self.status.value) && "
    "(self.spec.response.value == self.status.value"
    " || (self.spec.dataType == 'int'"
    " && self.spec.response.value.find('[1-9][0-9]*$') == self.status.value.find('[1-9][0-9]*$')"
    " && self.spec.response.value.startsWith('-') == self.status.value.startsWith('-'))"
    " || (self.spec.dataType == 'float' && double(self.spec.response.value) == double(self.status.value))))"
)

COPIED_ONCE: Final[Rule] = {
    "rule": "self == oldSelf",
    "message": "who must agree was copied when the question was asked, and never changes",
}


def human_input_rules() -> list[Rule]:
    """Return the rules of HumanInput."""
    return [
        *(_unchanged(field) for field in IMMUTABLE),
        *_rules_for_a_response(),
        *_rules_for_a_question(),
        *_rules_for_an_approval(),
        *cel_times.rules_for_an_escalation(),
        {
            "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending' || "
            f"(has(self.status) && {_equal('status.phase')} && {_equal('status.value')})",
            "message": "a final status never changes: the outcome in storage stands",
            "fieldPath": ".status",
        },
    ]


def _rules_for_a_response() -> list[Rule]:
    value = "self.spec.response.value"
    answered = "!has(self.spec.response) || !has(self.spec.response.value)"
    return [
        {
            "rule": f"{_FINAL} || !has(oldSelf.spec.response) || {_SAME} || {_REFUSED}",
            "message": "a response was given and is being recorded: it can be neither changed nor taken back",
            "fieldPath": ".spec.response",
        },
        {
            "rule": f"!{_FINAL} || !has(self.spec.response) || {_SAME} || {_RECORDED}",
            "messageExpression": "'the question is already ' + self.status.phase + "
            "', so no other response can be given: see its status for who settled it'",
            "message": "the question is already settled, so no other response can be given",
            "fieldPath": ".spec.response",
        },
        {
            "rule": f"!has(self.spec.response) || has(self.spec.response.value) != {_REJECTS}",
            "message": "a response has either a value, or reject: true",
            "fieldPath": ".spec.response",
        },
        {
            "rule": f"{answered} || ({value} == '' && {_TAKES_EMPTY}) || {_parses(value)}",
            "messageExpression": f"'the value must be ' + {_WANTED}",
            "message": "the value does not fit the dataType",
            "fieldPath": ".spec.response.value",
        },
        {
            "rule": f"{answered} || {_NO_CHOICES} || {value} in self.spec.choices",
            "messageExpression": "'the value must be one of the choices: ' + self.spec.choices.join(', ')",
            "message": "the value must be one of the choices",
            "fieldPath": ".spec.response.value",
        },
    ]


def _rules_for_a_question() -> list[Rule]:
    return [
        {
            # What an earlier release asked, and what is shown of storage, is there already.
            "rule": f"has(self.spec.request) || has(self.status) || self.spec.prompt.matches(r'{_NOT_BLANK}')",
            "message": "nothing can be seen in the prompt: give some text",
            "fieldPath": ".spec.prompt",
        },
        {
            "rule": "!has(self.spec.onTimeout) || self.spec.onTimeout != 'UseDefault' || has(self.spec.default)",
            "message": "onTimeout: UseDefault needs a default",
            "fieldPath": ".spec.onTimeout",
        },
        *_rules_for_a_value("default", "default"),
        *_rules_for_a_value("proposed", "proposed value"),
        {
            "rule": f"{_NO_CHOICES} || !(self.spec.dataType in ['bool', 'json'])",
            "message": "choices are for int, float and str: leave them out for bool and json",
            "fieldPath": ".spec.choices",
        },
        {
            "rule": f"!has(self.spec.choices) || self.spec.choices.all(c, {_parses('c')})",
            "messageExpression": f"'each choice must be ' + {_WANTED}",
            "message": "each choice must fit the dataType",
            "fieldPath": ".spec.choices",
        },
        {
            # The choices differ, so as many of them have a label as there are labels: none is of anything else.
            "rule": "!has(self.spec.choiceLabels) || size(self.spec.choiceLabels) == 0 || "
            "(has(self.spec.choices) && size(self.spec.choiceLabels) == "
            "size(self.spec.choices.filter(c, c in self.spec.choiceLabels)))",
            "message": "choiceLabels has a label for what is none of the choices: give labels for choices only",
            "fieldPath": ".spec.choiceLabels",
        },
        {
            "rule": "!has(self.spec.evidence) || has(self.spec.request) || self.spec.evidence.all(e, "
            "has(e.url) && !has(e.sha256) && !has(e.sizeBytes) && (!has(e.kind) || e.kind == 'link'))",
            "message": "evidence of a question that is asked here can only be links: give each a name and a url; "
            "files and images are stored by a program that asks",
            "fieldPath": ".spec.evidence",
        },
    ]


def _rules_for_a_value(field: str, called: str) -> list[Rule]:
    """Return the rules of a value that the question itself gives."""
    value = f"self.spec.{field}"
    takes_empty = [_TAKES_EMPTY] if field == "default" else []
    return [
        {
            "rule": " || ".join((f"!has({value})", *takes_empty, _parses(value))),
            "messageExpression": f"'the {called} must be ' + {_WANTED}",
            "message": f"the {called} does not fit the dataType",
            "fieldPath": f".spec.{field}",
        },
        {
            "rule": f"!has({value}) || {_NO_CHOICES} || {value} in self.spec.choices",
            "message": f"the {called} must be one of the choices",
            "fieldPath": f".spec.{field}",
        },
    ]


def _rules_for_an_approval() -> list[Rule]:
    """Return the rules of who must agree, together with the rest of the question."""
    approval, named = "self.spec.approval", "self.spec.respondents"
    links = f"(has({approval}.allowLinks) && {approval}.allowLinks)"
    excludes = f"(has({approval}.excludeRequester) && {approval}.excludeRequester)"
    voters = (
        f"{named}.users.filter(u, !{excludes} || !has(self.spec.requester) || u != self.spec.requester.username)"
    )
    return [
        {
            "rule": f"!has({approval}) || !has(self.spec.response)",
            "message": "several people must agree on this question, and response holds one response: create a "
            "HumanInputResponse for each vote, as `kubectl hitl answer` does",
            "fieldPath": ".spec.response",
        },
        {
            "rule": f"!has(self.spec.policyRef) || !(has({approval}) || has(self.spec.escalation) || "
            "has(self.spec.reminders))",
            "message": "policyRef stands for approval, escalation and reminders: give it, or some of them",
            "fieldPath": ".spec.policyRef",
        },
        {
            "rule": f"!has({approval}) || !{links} || !has({named})",
            "message": "allowLinks lets links vote, and respondents names who may: leave one of them out",
            "fieldPath": ".spec.approval",
        },
        {
            "rule": f"!has({approval}) || !has({named}) || !has({named}.users) || has({named}.groups) || "
            f"has(self.spec.escalation) || size({voters}) >= {approval}.requiredResponses",
            "message": "more people must agree than respondents names, without the requester who may not vote: "
            "name more, or a group",
            "fieldPath": ".spec.approval",
        },
    ]


def approval_rules() -> list[Rule]:
    """Return the rules of `spec.approval` alone."""
    grouped = "(has(self.groups) && size(self.groups) > 0)"
    excludes = "(has(self.excludeRequester) && self.excludeRequester)"
    return [
        {
            "rule": f"!{grouped} || self.groups.map(g, g.required).sum() <= self.requiredResponses",
            "message": "the groups need more people than requiredResponses, as each person counts for one group",
        },
        {
            "rule": f"!has(self.allowLinks) || !self.allowLinks || !({grouped} || {excludes})",
            "message": "a link does not say who uses it: leave out allowLinks, or groups and excludeRequester",
        },
    ]


def policy_rules() -> list[Rule]:
    """Return the rules of HumanInputPolicy, beside those of its fields."""
    given = " || ".join(f"has(self.spec.{field})" for field in ("approval", "escalation", "reminders"))
    return [
        {
            "rule": given,
            "message": "this policy says nothing: give approval, escalation or reminders",
            "fieldPath": ".spec",
        }
    ]


def response_rules() -> list[Rule]:
    """Return the rules of HumanInputResponse."""
    return [
        {
            "rule": "self.spec == oldSelf.spec",
            "message": "a response never changes: create another HumanInputResponse",
            "fieldPath": ".spec",
        },
        {
            "rule": "has(self.spec.requestRef.name) != has(self.spec.requestRef.requestID)",
            "message": "requestRef has either a name or a requestID",
            "fieldPath": ".spec.requestRef",
        },
        {
            "rule": f"[has(self.spec.value), {_GIVES_REJECT}, {_WITHDRAWS}, {_DELEGATES}].exists_one(x, x)",
            "message": "a response has either a value, or reject: true, or withdraw: true, or delegateTo",
            "fieldPath": ".spec",
        },
        {
            "rule": f"!has(self.spec.comment) || self.spec.comment == '' || !({_WITHDRAWS} || {_DELEGATES})",
            "message": "withdraw and delegateTo take no comment: leave it out",
            "fieldPath": ".spec.comment",
        },
        {
            # The operator knows whether the question takes an empty text.
            "rule": f"!has(self.spec.value) || self.spec.value == '' || self.spec.value.matches(r'{_NOT_BLANK}')",
            "message": "the value is blank: an answer is needed",
            "fieldPath": ".spec.value",
        },
    ]


def _unchanged(field: str) -> Rule:
    # Absent, onTimeout is what it stands for: release 0.1.0 had the API server write Fail where nothing was given.
    same = f"{_at_deadline('self')} == {_at_deadline('oldSelf')}"
    return {
        "rule": same if field == "onTimeout" else _equal(f"spec.{field}"),
        "message": f"{field} cannot be changed, as the question was asked: create another HumanInput",
        "fieldPath": f".spec.{field}",
    }


def _at_deadline(which: str) -> str:
    """Return an expression for what the deadline does, given or not."""
    return (
        f"(has({which}.spec.onTimeout) ? {which}.spec.onTimeout"
        f" : has({which}.spec.default) ? 'UseDefault' : 'Fail')"
    )


def _equal(path: str, new: str = "self", old: str = "oldSelf") -> str:
    """Return an expression that tells whether a field is what it was, given or not.

    Not by optional selection: of that the API server estimates the cost as if the field had no largest size.
    """
    new, old = f"{new}.{path}", f"{old}.{path}"
    return f"(has({new}) ? has({old}) && {new} == {old} : !has({old}))"


def _parses(text: str) -> str:
    """Return an expression that tells whether a text is one value of `spec.dataType`."""
    digits = f"{text}.find('[1-9][0-9]*$')"
    # Reading a number that is too large is an error in CEL; as texts of one length they compare the same.
    largest = f"({text}.startsWith('-') ? '9223372036854775808' : '9223372036854775807')"
    whole = (
        f"({text}.matches(r'^[+-]?[0-9]+$') && "
        f"(size({digits}) < 19 || (size({digits}) == 19 && {digits} <= {largest})))"
    )
    number = f"{text}.matches(r'^[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?$')"
    # Past these lengths a number may overflow a double, which would be an error rather than an answer.
    finite = (
        f"({number} && !{text}.matches(r'[eE]\\+?0*([1-9][0-9]{{3,}}|[4-9][0-9]{{2}}|3[1-9][0-9]|309)')"
        f" && size({text}) <= 300 && double({text}) <= 1.7976931348623157e308"
        f" && double({text}) >= -1.7976931348623157e308"
        # What is too close to zero becomes 0, which nobody wrote.
        f" && (double({text}) != 0.0 || !{text}.matches(r'^[^eE]*[1-9]')))"
    )
    return (
        f"(self.spec.dataType == 'int' ? {whole} : self.spec.dataType == 'float' ? {finite} : "
        f"self.spec.dataType == 'bool' ? {text} in ['true', 'false'] : {text}.matches(r'{_NOT_BLANK}'))"
    )
