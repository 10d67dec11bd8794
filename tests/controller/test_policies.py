"""Who must agree on a HumanInput, and that it never changes once the question is stored."""

import json
import uuid
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hitl.cluster.policies import HumanInputPolicy
from hitl.cluster.v1alpha1 import HumanInput
from hitl.core import keys
from hitl.core.approval import Approval
from hitl.core.documents import CopiedPolicy, RequestDocument
from hitl.errors import DocumentDamaged, InvalidRequest
from hitl.storage import Store
from hitl_operator.context import Context
from hitl_operator.decide import Findings, due_in
from hitl_operator.policies import PolicyNotFound
from hitl_operator.request_sync import Requests
from hitl_operator.settings import OperatorSettings
from hitl_operator.short_statuses import short_status
from hitl_operator.statuses import status_for
from tests.cluster.operators import question
from tests.library.samples import NOW

TWO: dict[str, Any] = {"requiredResponses": 2, "excludeRequester": True}
RULE = "2 people must give the same answer."


class _Policies:
    """The policies of a cluster: a fake, as the real API server is asked in tests/cluster/test_policies.py."""

    def __init__(self) -> None:
        self.there: dict[str, HumanInputPolicy] = {}

    def put(
        self, name: str, generation: int = 1, *, beside: dict[str, Any] | None = None, **approval: Any
    ) -> None:
        metadata = {"name": name, "namespace": "team", "generation": generation}
        spec = {**({"approval": approval} if approval else {}), **(beside or {})}
        self.there[name] = HumanInputPolicy.from_object({"metadata": metadata, "spec": spec})

    async def policy(self, namespace: str, name: str) -> HumanInputPolicy | None:
        return self.there.get(name) if namespace == "team" else None


class _Operator:
    """What an operator has to store questions with. Another one on the same root is one that was started anew."""

    def __init__(self, policies: _Policies, root: str = "", **settings: Any) -> None:
        self.url = root or f"memory://{uuid.uuid4().hex}"
        given = OperatorSettings(storage_root=self.url, identity_verified=True, **settings)
        context = SimpleNamespace(now=lambda: NOW, settings=given, cluster=policies)
        self._requests = Requests(cast("Context", context))
        store = Store(self.url)
        self._root = cast(
            "Any",
            SimpleNamespace(
                name="default", store=store, settings=given.all_roots()[0], audit=SimpleNamespace(note=None)
            ),
        )

    async def ask(self, *, status: dict[str, Any] | None = None, **spec: Any) -> RequestDocument:
        return (await self._requests.of(self._root, _human_input(status or {}, **spec))).document


def _human_input(status: dict[str, Any], **spec: Any) -> HumanInput:
    content = question("team", "ship", requester={"username": "ruth"}, **spec)
    content["status"] = status
    content["metadata"] |= {"uid": "0d2c", "creationTimestamp": NOW.isoformat()}
    return HumanInput.from_object(content)


def _shown(asked: RequestDocument) -> dict[str, Any]:
    """Return the status of the HumanInput of a question that waits."""
    status = status_for(_human_input({}), Findings(request=asked), form_url="", now=NOW)
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


async def test_a_question_that_was_stored_keeps_its_policy_even_if_nobody_has_noted_that_yet() -> None:
    policies = _Policies()
    policies.put("production", 7, **TWO)
    before = _Operator(policies)
    asked = await before.ask(policyRef={"name": "production"})
    assert asked.approval == Approval(required=2, exclude_requester=True)
    assert (asked.requester, asked.origin.policy) == ("ruth", CopiedPolicy(name="production", generation=7))

    policies.put("production", 8, requiredResponses=1)
    assert await _Operator(policies, before.url).ask(policyRef={"name": "production"}) == asked
    # More people than may answer.
    policies.put("production", 9, requiredResponses=64)
    named: dict[str, Any] = {"policyRef": {"name": "production"}, "respondents": {"users": ["ann", "bob"]}}
    assert await _Operator(policies, before.url).ask(**named) == asked
    policies.there.clear()
    assert await _Operator(policies, before.url).ask(policyRef={"name": "production"}) == asked


@pytest.mark.parametrize("by_policy", [True, False])
async def test_a_stored_question_whose_rule_was_changed_by_hand_is_damaged(by_policy: bool) -> None:
    policies = _Policies()
    policies.put("production", **TWO)
    spec: dict[str, Any] = (
        {"policyRef": {"name": "production"}} if by_policy else {"approval": {**TWO, "rejections": 1}}
    )
    operator = _Operator(policies)
    asked = await operator.ask(**spec)
    seen = _shown(asked)
    assert await _Operator(policies, operator.url).ask(status=seen, **spec) == asked

    content = json.loads(asked.to_bytes())
    content["approval"]["requiredResponses"] = 1
    store, key = Store(operator.url), keys.request_key("0d2c")
    await store.delete(key)
    await store.create_once(key, json.dumps(content).encode())
    with pytest.raises(DocumentDamaged, match="who must agree was changed after it was asked"):
        await _Operator(policies, operator.url).ask(status=seen, **spec)


@pytest.mark.parametrize("told", [RULE, "As an earlier release said it.", ""])
async def test_a_sentence_for_people_decides_nothing(told: str) -> None:
    policies = _Policies()
    policies.put("production", **TWO)
    spec: dict[str, Any] = {"policyRef": {"name": "production"}}
    operator = _Operator(policies)
    asked = await operator.ask(**spec)
    seen = _shown(asked) | {"approval": {"progress": "0/2", "requires": told}}
    assert await _Operator(policies, operator.url).ask(status=seen, **spec) == asked
    # A release before this one kept no digest.
    del seen["policy"]["approvalSha256"]
    assert await _Operator(policies, operator.url).ask(status=seen, **spec) == asked


async def test_the_digest_of_a_policy_is_the_same_in_every_release() -> None:
    policies = _Policies()
    policies.put("production", **TWO)
    asked = await _Operator(policies).ask(policyRef={"name": "production"})
    digest = "7547a149c54a91688fcb8e25278501ac7b9e6ce6de32e531556d678a94abb70a"
    assert _shown(asked)["policy"] == {"name": "production", "generation": 1, "approvalSha256": digest}
    short = short_status(_human_input(_shown(asked), policyRef={"name": "production"}), "too large", NOW)
    assert short.policy is not None
    assert short.policy.approval_sha256 == digest


async def test_a_question_without_its_policy_or_with_one_that_never_could_be_fulfilled_is_not_asked() -> None:
    policies = _Policies()
    operator = _Operator(policies)
    with pytest.raises(PolicyNotFound, match="no HumanInputPolicy production in namespace team"):
        await operator.ask(policyRef={"name": "production"})
    policies.put("production", requiredResponses=3)
    with pytest.raises(InvalidRequest, match="3 people must agree, and respondents names 2"):
        await operator.ask(policyRef={"name": "production"}, respondents={"users": ["ann", "bob"]})


async def test_escalation_and_reminders_of_a_policy_are_copied_as_far_as_they_say_something() -> None:
    policies = _Policies()
    steps = [
        {"afterSeconds": 60, "respondents": {"groups": ["oncall"]}},
        {"afterSeconds": 3_600, "respondents": {"users": ["boss"]}},
    ]
    policies.put("on-call", beside={"escalation": steps, "reminders": {"beforeDeadlineSeconds": [30]}})
    ref: dict[str, Any] = {"policyRef": {"name": "on-call"}}
    asked = await _Operator(policies).ask(**ref, respondents={"users": ["ann"]}, timeoutSeconds=3_600)
    assert asked.approval is None
    assert [(each.after_seconds, each.respondents.groups) for each in asked.escalation] == [(60, ["oncall"])]
    assert asked.reminders is not None
    assert list(asked.reminders.before_deadline_seconds or ()) == [30]
    # Everybody may answer it from the beginning.
    assert (await _Operator(policies).ask(**ref)).escalation == []


async def test_the_default_counts_where_nothing_else_is_said_and_not_in_the_namespaces_without_it() -> None:
    policies = _Policies()
    policies.put("lax", requiredResponses=1)
    default = Approval(required=2, exclude_requester=True)
    settings: dict[str, Any] = {"default_approval": default}
    asked = await _Operator(policies, **settings).ask()
    assert (asked.approval, asked.requester, asked.origin.policy) == (default, "ruth", CopiedPolicy())
    own = await _Operator(policies, **settings).ask(approval={"requiredResponses": 1})
    assert (own.approval, own.origin.policy) == (Approval(required=1), None)
    named = await _Operator(policies, **settings).ask(policyRef={"name": "lax"})
    assert named.approval == Approval(required=1)
    without = await _Operator(policies, **settings, default_except="sandbox,team").ask()
    assert (without.approval, without.requester, without.schema_version) == (None, "", 1)


async def test_which_policy_it_was_is_no_part_of_what_is_asked() -> None:
    policies = _Policies()
    policies.put("production", requiredResponses=2)
    asked = await _Operator(policies).ask(policyRef={"name": "production"})
    content = json.loads(asked.to_bytes())
    del content["origin"]["policy"]
    stored = RequestDocument.from_bytes(json.dumps(content).encode(), "request.json")
    assert stored.question_digest() == asked.question_digest()
    assert stored.origin.policy is None


async def test_a_status_of_another_object_does_not_keep_a_question_from_being_asked() -> None:
    # As a backup of the cluster restores it: the status is the former object's, and the uid is a new one.
    restored = {"requestID": "former", "phase": "Pending", "observedGeneration": 0}
    assert due_in(_human_input(restored), NOW) == 0
    asked = await _Operator(_Policies()).ask(status=restored)
    assert (asked.request_id, asked.prompt) == ("0d2c", "How many?")
    # Nor does one that somebody wrote before the operator saw the object.
    assert due_in(_human_input({"phase": "Pending", "observedGeneration": 0}), NOW) == 0
