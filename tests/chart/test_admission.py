"""Who may answer, and as whom, by a real API server with the chart's admission policies."""

import json

import pytest

from tests.chart.installed import ANSWER, Audit, Installed

RESPONSE = {"spec": {"response": ANSWER}}
BOSS = {"username": "boss", "groups": ["bosses"]}
AUTHENTICATED = "system:authenticated"


def spoofed(**more: object) -> dict[str, object]:
    return {"spec": {"response": {**ANSWER, "respondent": BOSS, **more}}}


def test_policies_compile(stamped: Installed, unstamped: Installed) -> None:
    for kind, count in {"validatingadmissionpolicies": 6, "mutatingadmissionpolicies": 3}.items():
        policies = json.loads(stamped.plane.kubectl("get", kind, "-o=json").out)["items"]

        assert len(policies) == count
        assert [each for each in policies if each.get("status", {}).get("typeChecking", {})] == []


def test_who_patches_a_response_is_its_respondent(stamped: Installed) -> None:
    stamped.asked("patched")

    stamped.patch("patched", RESPONSE, "ed", "team")

    said = stamped.seen("patched")["spec"]["response"]
    assert said == {**ANSWER, "respondent": {"username": "ed", "groups": ["team", AUTHENTICATED]}}


def test_who_creates_a_response_is_its_respondent(stamped: Installed) -> None:
    stamped.asked("responded")

    done = stamped.create(stamped.response("responding", "responded"), "ada")

    assert json.loads(done.out)["spec"]["respondent"] == {"username": "ada", "groups": [AUTHENTICATED]}


def test_a_spoofed_respondent_is_replaced(stamped: Installed) -> None:
    stamped.asked("spoofed")

    stamped.patch("spoofed", spoofed(), "ed")
    done = stamped.create(stamped.response("spoofing", "spoofed", respondent=BOSS), "ada")

    assert stamped.seen("spoofed")["spec"]["response"]["respondent"]["username"] == "ed"
    assert json.loads(done.out)["spec"]["respondent"] == {"username": "ada", "groups": [AUTHENTICATED]}


def test_a_question_created_with_its_response_is_stamped(stamped: Installed) -> None:
    stamped.bind("both", "responder", "requester")

    stamped.create(stamped.question("at-once", response={**ANSWER, "respondent": BOSS}), "both")

    assert stamped.seen("at-once")["spec"]["response"]["respondent"]["username"] == "both"


def test_a_respondent_never_changes(stamped: Installed) -> None:
    stamped.asked("kept")
    stamped.patch("kept", RESPONSE, "ed")
    before = stamped.seen("kept")

    stamped.bind("ed2", "editor")
    stamped.patch("kept", spoofed(), "ed2")
    stamped.patch("kept", {"spec": {"response": {"respondent": None}}}, "ed2")

    assert stamped.seen("kept")["spec"] == before["spec"]
    assert stamped.seen("kept")["metadata"]["generation"] == before["metadata"]["generation"]


def test_applying_the_same_again_changes_nothing(stamped: Installed) -> None:
    stamped.bind("sync", "editor", "requester")
    content = stamped.question("synced", response=ANSWER)
    # The second time the API server stores the default status, as there is no operator to write one.
    for _ in range(2):
        stamped.apply(content, "sync")
    before = stamped.seen("synced")

    for _ in range(3):
        stamped.apply(content, "sync")

    after = stamped.seen("synced")
    assert before["spec"]["response"]["respondent"]["username"] == "sync"
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert "f:respondent" not in json.dumps(after["metadata"]["managedFields"])


TWO = {"requiredResponses": 2, "excludeRequester": True}


def test_who_creates_a_question_is_its_requester(stamped: Installed) -> None:
    stamped.bind("writer", "editor", "requester")
    content = stamped.question("requested", approval=TWO)

    spoofed = stamped.create(
        {**content, "spec": {**content["spec"], "requester": {"username": "boss"}}}, "writer", check=False
    )
    assert "the requester of a question is who creates it, writer: leave spec.requester out" in spoofed.err

    stamped.apply(content, "writer")
    before = stamped.seen("requested")
    assert before["spec"]["requester"] == {"username": "writer"}
    for _ in range(2):
        stamped.apply(content, "writer")
    stamped.bind("other", "editor")
    for change in ({"username": "other"}, None):
        stamped.patch("requested", {"spec": {"requester": change}}, "other", check=False)
    assert stamped.seen("requested")["spec"] == before["spec"]


def test_where_nobody_is_verified_several_people_cannot_agree_unless_links_vote(unstamped: Installed) -> None:
    refused = unstamped.create(unstamped.question("several", approval=TWO), "asker", check=False)
    assert "this cluster cannot verify who votes, so several people cannot agree on a question here" in refused.err

    by_links = {"requiredResponses": 2, "allowLinks": True}
    unstamped.create(unstamped.question("several-links", approval=by_links), "asker")
    assert "requester" not in unstamped.seen("several-links")["spec"]


@pytest.mark.parametrize("user", ["viewer", "asker"])
def test_without_the_verb_nobody_answers(user: str, stamped: Installed, unstamped: Installed) -> None:
    for installed in (stamped, unstamped):
        installed.asked(f"verb-{user}")
        # What a cluster's `edit` role may come to allow: the objects, yet not the verb.
        installed.plane.kubectl(
            "create", "role", f"writer-{user}", "-n", installed.namespace, "--verb=create,patch,get",
            "--resource=humaninputs,humaninputresponses",
        )  # fmt: skip
        installed.plane.kubectl(
            "create", "rolebinding", f"writer-{user}", "-n", installed.namespace, f"--role=writer-{user}",
            f"--user={user}",
        )  # fmt: skip

        patched = installed.patch(f"verb-{user}", RESPONSE, user, check=False)
        created = installed.create(installed.response(f"verb-{user}", f"verb-{user}"), user, check=False)

        sentence = (
            f"{user} may not answer verb-{user}: that takes the verb answer on humaninputs.hitl.flyte.org in "
            f"namespace {installed.namespace}, as the role {installed.release}-responder gives it"
        )
        assert sentence in patched.err
        assert sentence in created.err
        assert "response" not in installed.seen(f"verb-{user}")["spec"]


def test_the_verb_can_be_given_for_one_question(stamped: Installed) -> None:
    for name in ("this", "other"):
        stamped.asked(name)
    stamped.plane.kubectl(
        "create", "role", "answers-this", "-n", stamped.namespace, "--verb=answer", "--resource=humaninputs",
        "--resource-name=this",
    )  # fmt: skip
    stamped.plane.kubectl(
        "create", "role", "responds", "-n", stamped.namespace, "--verb=create", "--resource=humaninputresponses"
    )
    for role in ("answers-this", "responds"):
        stamped.plane.kubectl(
            "create", "rolebinding", role, "-n", stamped.namespace, f"--role={role}", "--user=one"
        )
    other = {"requestRef": {"requestID": stamped.seen("other")["metadata"]["uid"]}}

    allowed = stamped.create(stamped.response("to-this", "this"), "one", check=False)
    refused = [
        stamped.create(stamped.response("to-other", "other"), "one", check=False),
        stamped.create(stamped.response("to-other-uid", "other", **other), "one", check=False),
    ]

    assert allowed.code == 0, allowed.err
    assert all("may not answer" in each.err for each in refused)


def test_only_respondents_answer(stamped: Installed) -> None:
    stamped.asked("named", respondents={"users": ["ada@example.org"], "groups": ["finance"]})
    named = {"ed": ("ops",), "system:admin": ("system:masters",)}

    for user, groups in named.items():
        done = stamped.patch("named", spoofed(), user, *groups, check=False)
        assert (
            f"{user} is not one of the respondents of named: they are ada@example.org, group finance" in done.err
        )
    assert "response" not in stamped.seen("named")["spec"]
    stamped.patch("named", RESPONSE, "ed", "finance")
    assert stamped.seen("named")["spec"]["response"]["respondent"]["username"] == "ed"


def test_admission_knows_no_time_so_it_lets_those_answer_who_may_later(stamped: Installed) -> None:
    steps = [
        {"afterSeconds": 60, "respondents": {"groups": ["oncall"]}},
        {"afterSeconds": 90, "respondents": {"users": ["bob@example.org"]}},
    ]
    stamped.asked("later", respondents={"groups": ["finance"]}, escalation=steps)

    done = stamped.patch("later", spoofed(), "ed", "ops", check=False)
    assert "they are group finance, later also group oncall, later also bob@example.org" in done.err
    # The operator refuses it until then: tests/controller/test_submissions.py.
    assert stamped.patch("later", RESPONSE, "ed", "oncall").code == 0


def test_a_named_user_answers(stamped: Installed) -> None:
    stamped.bind("bob@example.org", "editor")
    stamped.asked("by-name", respondents={"users": ["bob@example.org"]})

    assert stamped.patch("by-name", RESPONSE, "bob@example.org").code == 0


def test_only_the_operator_sets_the_request(stamped: Installed, unstamped: Installed) -> None:
    for installed in (stamped, unstamped):
        forged = installed.question("forged", request={"id": "0123456789abcdef"})

        refused = [
            installed.create(forged, user, *groups, check=False)
            for user, *groups in (("asker",), ("system:admin", "system:masters"))
        ]
        done = installed.create(forged, installed.operator, check=False)

        for each in refused:
            assert f"only the operator ({installed.operator}) sets spec.request" in each.err
        assert done.code == 0, done.err


def test_another_release_is_no_operator_here(stamped: Installed, unstamped: Installed) -> None:
    forged = stamped.question("stranger", request={"id": "0123456789abcdef"})

    done = stamped.create(forged, unstamped.operator, "system:masters", check=False)

    assert "only the operator" in done.err


def test_a_schema_never_changes(stamped: Installed) -> None:
    schema = {"type": "object", "properties": {"size": {"maximum": 3}}}
    stamped.asked("schema", dataType="json", schema=schema)
    stamped.asked("schemaless", dataType="json")
    looser = {"spec": {"schema": {"properties": {"size": {"maximum": 4}}}}}

    refused = [
        stamped.patch("schema", looser, "ed", check=False),
        stamped.patch("schema", {"spec": {"schema": None}}, "ed", check=False),
        stamped.patch("schemaless", looser, "ed", check=False),
    ]
    same = stamped.patch("schema", {"spec": {"schema": schema}}, "ed", check=False)

    assert all("schema cannot be changed, as the question was asked" in each.err for each in refused)
    assert same.code == 0, same.err


def test_a_question_with_a_generated_name_can_be_answered_at_once(stamped: Installed) -> None:
    stamped.bind("gen", "responder", "requester")
    content = stamped.question("", response=ANSWER)
    content["metadata"] = {"generateName": "gen-", "namespace": stamped.namespace}

    done = stamped.create(content, "gen", check=False)

    assert done.code == 0, done.err


def test_where_nobody_is_stamped_a_respondent_is_oneself(unstamped: Installed) -> None:
    for name in ("honest", "silent", "lying"):
        unstamped.asked(name)
    honest = {"username": "ed", "groups": ["team"]}

    unstamped.patch("honest", spoofed(respondent=honest), "ed", "team")
    unstamped.patch("silent", RESPONSE, "ed")
    lying = [
        unstamped.patch("lying", spoofed(), "ed", check=False),
        unstamped.patch("lying", spoofed(respondent={"username": "ed", "groups": ["bosses"]}), "ed", check=False),
        unstamped.create(unstamped.response("lying", "lying", respondent=BOSS), "ada", check=False),
    ]

    assert all("a respondent can only be yourself" in each.err for each in lying)
    assert unstamped.seen("honest")["spec"]["response"]["respondent"] == honest
    assert "respondent" not in unstamped.seen("silent")["spec"]["response"]
    assert "response" not in unstamped.seen("lying")["spec"]


def test_where_nobody_is_stamped_a_respondent_never_changes(unstamped: Installed) -> None:
    unstamped.asked("fixed")
    unstamped.patch("fixed", RESPONSE, "ed")
    mine = {"spec": {"response": {"respondent": {"username": "ed2"}}}}

    unstamped.bind("ed2", "editor")
    done = unstamped.patch("fixed", mine, "ed2", check=False)

    assert "the respondent of a response never changes" in done.err


def test_where_nobody_is_stamped_a_question_names_no_respondents(unstamped: Installed) -> None:
    content = unstamped.question("wants-names", respondents={"users": ["ada"]})

    done = unstamped.create(content, "asker", check=False)

    assert "a question here cannot name respondents" in done.err


@pytest.mark.parametrize(
    "owners",
    [[], [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]],
    ids=["nobody's", "another's"],
)
def test_the_operator_reads_no_secret_but_its_links(owners: list[dict[str, str]], stamped: Installed) -> None:
    name = f"bank-{len(owners)}"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": stamped.namespace},
              "stringData": {"pin": "1234"}}  # fmt: skip
    secret["metadata"] = {**secret["metadata"], "ownerReferences": owners}  # type: ignore[dict-item]  # as written above
    stamped.plane.kubectl("create", "-f", "-", stdin=json.dumps(secret))
    owned = [{"apiVersion": "hitl.flyte.org/v1alpha1", "kind": "HumanInput", "name": "x", "uid": "x"}]

    for change in ({}, {"metadata": {"ownerReferences": owned}}):
        for more in ([], ["--dry-run=server"]):
            done = stamped.plane.kubectl(
                "patch", "secret", name, "-n", stamped.namespace, "--type=merge", "-o=json",
                "-p", json.dumps(change), *more, user=stamped.operator, check=False,
            )  # fmt: skip
            assert done.code != 0
            assert "MTIzNA==" not in done.out


def test_the_operator_makes_no_token_of_a_service_account(stamped: Installed) -> None:
    owned = [{"apiVersion": "hitl.flyte.org/v1alpha1", "kind": "HumanInput", "name": "x", "uid": "x"}]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "token",
            "namespace": stamped.namespace,
            "ownerReferences": owned,
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
    }

    done = stamped.create(secret, stamped.operator, check=False)

    assert "the operator may only write Secrets that belong to a HumanInput" in done.err


def test_submissions_are_in_the_audit_log_refused_ones_too(stamped: Installed, audit: Audit) -> None:
    stamped.bind("noted", "editor", "responder")
    stamped.asked("noted", respondents={"users": ["noted"]})
    stamped.create(stamped.response("noted", "noted"), "noted")
    stamped.patch("noted", {"spec": {"response": {"value": "1"}}}, "ed", check=False)
    stamped.patch("noted", {"spec": {"response": {"reject": True}}}, "noted")

    said = [each.get("annotations", {}) for user in ("noted", "ed") for each in audit.by(user)]

    assert [each[name] for each in said for name in each if name == "hitl-responses/submission"] == [
        f"noted answers {stamped.namespace}/noted"
    ]
    assert f"noted rejects {stamped.namespace}/noted" in [each.get("hitl-inputs/submission") for each in said]
    failures = [each.get("validation.policy.admission.k8s.io/validation_failure", "") for each in said]
    assert any("ed is not one of the respondents of noted" in each for each in failures)
