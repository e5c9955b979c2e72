"""Main parameters: they are made from what decides, most important first, and say what changed."""

import pytest

from nextpaint.decide import Diversify, Experiment, Given, Model, Own, PlackettLuce, Recent, Weighted
from nextpaint.decide.parameters import changed, in_force_for, said
from nextpaint.record.errors import ApplicationError
from tests.decide.surfaces import HOME, decider


def told(surface):
    return decider(surface).parameters()[0]


def test_weights_are_listed_by_size_with_their_shares_their_reasons_and_whether_they_are_about_the_person():
    found = told(HOME.but("home", because={"heat": "Sellers know."}))
    weights = [each["weight"] for each in found["parameters"]]
    assert weights == sorted(weights, key=abs, reverse=True)
    assert sum(each["share"] for each in found["parameters"]) == pytest.approx(1.0)
    by_name = {each["name"]: each for each in found["parameters"]}
    assert by_name["heat"]["because"] == "Sellers know." and by_name["heat"]["personal"]
    assert all(each["because"] and each["means"] for each in found["parameters"])
    assert set(found["profiling"]["uses"]) >= {each["name"] for each in found["parameters"] if each["personal"]}
    assert set(by_name) | set(found["read_besides"]) == set(HOME.features)


def test_every_stage_is_said_in_words_and_as_declared():
    found = told(HOME)
    for part in ("sources", "never_shown", "page_rules"):
        assert all(each["text"] and each["declared"] for each in found[part]), part
    assert len(found["sources"]) == len(HOME.retrieve) and len(found["never_shown"]) == len(HOME.require)
    for stage in (
        Own("t", by="n"),
        Recent("recent.items"),
        Given(),
        Diversify("category", 2),
        lambda rows, context: rows,
    ):
        assert said(stage)


def test_the_version_is_that_of_the_content_and_changes_are_named():
    weights = dict(HOME.rank.until_trained.weights)
    home = HOME.but("home_carousel", rank=Weighted(**weights))
    before = told(home)
    assert told(home)["version"] == before["version"]
    name = next(iter(weights))
    after = told(home.but("home_carousel", rank=Weighted(**{**weights, name: 9.0}), require=HOME.require[1:], limit=3))
    assert after["version"] != before["version"]
    lines = changed(before, after)
    assert f"weight of {name}: {weights[name]:g} -> 9" in lines
    assert any(line.startswith("never shown: no longer ") for line in lines)
    assert f"limit: {home.limit} -> 3" in lines


def test_models_experiments_and_exploration_are_told():
    surface = HOME.but("home", rank=Model("ctr", until_trained=HOME.rank.until_trained), explore=PlackettLuce(0.5),
                       experiment=Experiment("e", variants={"on": {}, "off": {"explore": None}}))  # fmt: skip
    found = told(surface)
    assert found["ranked_by"]["kind"] == "model" and found["ranked_by"]["model"] == "ctr"
    assert found["parameters"], "the weights until one is trained"
    assert "PlackettLuce" in found["exploration"]["declared"] and found["experiment"]["shares"] == {
        "on": 0.5,
        "off": 0.5,
    }
    assert told(HOME.but("home", rank=None))["ranked_by"]["kind"] == "order"


def test_a_reason_for_a_feature_that_is_not_there_is_an_error_of_the_application():
    with pytest.raises(ApplicationError, match="because"):
        decider(HOME.but("home", because={"warmth": "x"}))


def test_rules_are_public_without_their_owners():
    rules = [
        {"surface": "*", "rule_id": "a", "kind": "pin", "reason": "new", "owner": "anna", "sponsored": True,
         "behalf": "ACME", "paid": "ACME"},
        {"surface": "home", "rule_id": "b", "kind": "hide", "reason": "recall", "owner": "ben", "expires_ms": 5},
        {"surface": "other", "rule_id": "c", "kind": "hide", "reason": "x", "owner": "ben"},
    ]  # fmt: skip
    assert [each["rule_id"] for each in in_force_for("home", rules, 4)] == ["a", "b"]
    shown = in_force_for("home", rules, 6)
    assert shown == [
        {"rule_id": "a", "kind": "pin", "reason": "new", "sponsored": True, "behalf": "ACME", "paid": "ACME"}
    ]
