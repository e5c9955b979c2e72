"""Experiments as OpenFeature flags, over HTTP as an OFREP client asks."""

import time

import pytest

from tests.engine.explorer import GOODS_30, clicked, explorer, patiently, shown
from tests.engine.shop import DEADLINE_S, LiveNode, asked, ids

EXPERIMENT = 'Experiment("exploration", holdout=0.1, variants={"on": {}, "off": {"explore": None}})'


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with LiveNode(tmp_path_factory.mktemp("flags") / "node", explorer(experiment=EXPERIMENT), items=GOODS_30) as live:
        yield live


def evaluated(live, key="exploration", **context):
    return live.http.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": context})


def test_a_flag_says_the_variant_that_the_surface_answers_with(live):
    for n in range(8):
        visitor = f"v{n}"
        page = {"type": "page", "anonymousId": visitor, "messageId": f"page {n}"}
        patiently(live.http, "POST", "/v1/batch", json={"batch": [page]}).raise_for_status()
        answer = patiently(live.http, "POST", "/v1/decide/tried", json=asked(visitor)).json()
        flag = evaluated(live, anonymousId=visitor)
        assert flag.status_code == 200
        assert flag.json() == {
            "key": "exploration", "variant": answer["experiment"]["variant"],
            "value": answer["experiment"]["variant"].replace("holdout", "off"),
            "reason": "SPLIT", "metadata": flag.json()["metadata"],
        }  # fmt: skip
        assert flag.json()["metadata"]["surface"] == "tried"


def test_somebody_the_node_does_not_know_gets_the_default(live):
    flag = evaluated(live, targetingKey="nobody").json()
    assert (flag["reason"], flag["variant"]) == ("DEFAULT", "off")


def test_errors_are_those_of_the_protocol(live):
    assert (evaluated(live).status_code, evaluated(live).json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert evaluated(live, key="none", targetingKey="u").json()["errorCode"] == "FLAG_NOT_FOUND"
    assert evaluated(live, key="none", targetingKey="u").status_code == 404
    assert evaluated(live, targetingKey=7).json()["errorCode"] == "INVALID_CONTEXT"
    broken = live.http.post("/ofrep/v1/evaluate/flags/exploration", content=b"{")
    assert broken.json()["errorCode"] == "PARSE_ERROR"
    assert live.http.post("/ofrep/v1/evaluate/flags", json={}).json()["errorCode"] == "INVALID_CONTEXT"


def test_all_flags_come_with_an_etag(live):
    asked_for = {"context": {"targetingKey": "u1"}}
    first = live.http.post("/ofrep/v1/evaluate/flags", json=asked_for)
    assert [each["key"] for each in first.json()["flags"]] == ["exploration"]
    again = live.http.post("/ofrep/v1/evaluate/flags", json=asked_for, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_thompson_propensities_are_estimated_after_the_answer_with_their_error(live):
    """The work rests between two decisions, so some are left out and counted."""
    made, found, ends = [], None, time.monotonic() + DEADLINE_S
    while found is None:
        assert time.monotonic() < ends, f"none of {len(made)} decisions was estimated"
        answer = patiently(live.http, "POST", "/v1/decide/tried", json=asked("stranger", profiled=False)).json()
        assert [each["propensity"] for each in answer["items"]] == [None] * 5
        made.append(answer["decision_id"])
        time.sleep(0.02)
        for name in made[-20:]:  # where the machine is slow, the estimate of one comes while others are decided
            why = live.http.get(f"/v1/decisions/{name}?view=support").json()
            found = found or why.get("estimated_propensities")
    assert found["draws"] == 256
    assert len(found["values"]) == len(found["errors"]) == 5
    assert all(0 < value < 1 for value in found["values"])
    assert all(0 < error < 0.04 for error in found["errors"])


def test_what_each_variant_earned_and_what_exploration_knows_can_be_read(live):
    for n in range(30):
        visitor = f"shopper{n}"
        page = {"type": "page", "anonymousId": visitor, "messageId": f"shopper page {n}"}
        patiently(live.http, "POST", "/v1/batch", json={"batch": [page]}).raise_for_status()
        answer = patiently(live.http, "POST", "/v1/decide/tried", json=asked(visitor)).json()
        calls = [shown(visitor, answer)] + [clicked(visitor, answer, ids(answer)[0])] * (n % 2)
        patiently(live.http, "POST", "/v1/batch", json={"batch": calls}).raise_for_status()
    live.run(live.engine.node.settled())
    (found,) = live.http.get("/v1/experiments").json()["experiments"]
    assert (found["experiment"], found["control"], found["surfaces"]) == ("exploration", "off", ["tried"])
    assert sum(each["people"] for each in found["variants"]) == 30
    assert sum(each["rewards"] for each in found["variants"]) == 15
    assert "difference" in found["variants"][0]
    (learner,) = live.http.get("/v1/learning").json()["learners"]
    assert learner["counts"]["trials"] == learner["total"][0] > 0
    assert learner["arms"][0]["trials"] >= learner["arms"][-1]["trials"]
