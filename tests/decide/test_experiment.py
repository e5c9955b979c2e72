"""Experiments: everyone in one variant, always the same, also after devices are linked."""

from collections import Counter

import pytest

from nextpaint.decide import Experiment, Moment, PlackettLuce, Weighted
from nextpaint.decide.experiment import ASSIGNED
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import STRING, TIMESTAMP
from tests.decide.reading import TABLES, FakeReading, shop, table
from tests.decide.surfaces import BODY, HOME, decider, ids

LINKS = {
    "identity": table("identity", ["subject", "linked"], subject=STRING, linked=STRING, cause=STRING, ts=TIMESTAMP),
    ASSIGNED: table(ASSIGNED, ["experiment", "unit"], experiment=STRING, unit=STRING, since=TIMESTAMP),
}
EXPERIMENT = Experiment(
    "exploration", holdout=0.05, variants={"on": {}, "off": {"explore": None}, "flat": {"rank": Weighted(trend=1.0)}}
)


def reading():
    return FakeReading({**TABLES, **LINKS})


def link(where, first, second, ts):
    for subject, linked in ((first, second), (second, first)):
        where.put("identity", subject=subject, linked=linked, cause="identify", ts=ts)


def test_shares_are_as_declared():
    weighted = Experiment("w", holdout=0.1, variants={"a": {}, "b": {}}, weights={"a": 3, "b": 1})
    found = Counter(weighted.assign(f"person {n}").variant for n in range(20_000))
    assert found["holdout"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert found["a"] / 20_000 == pytest.approx(0.675, abs=0.015)
    assert found["b"] / 20_000 == pytest.approx(0.225, abs=0.015)


def test_two_experiments_divide_people_independently():
    other = Experiment("other", variants={"x": {}, "y": {}})
    both = Counter((EXPERIMENT.assign(f"p{n}").variant, other.assign(f"p{n}").variant) for n in range(20_000))
    assert both["on", "x"] == pytest.approx(both["on", "y"], rel=0.1)


def test_a_person_without_links_is_their_token_and_nobody_is_nobody():
    assert EXPERIMENT.assigned(["t1"], reading()) == EXPERIMENT.assign("t1")
    assert EXPERIMENT.assigned([], reading()) is None


def test_the_first_link_wins_over_later_ones():
    where = reading()
    link(where, "phone", "user", 1_000)
    where.put(ASSIGNED, experiment="exploration", unit="phone", since=500)
    before = EXPERIMENT.assigned(["user", "phone"], where)
    assert before.unit == "phone"
    link(where, "laptop", "user", 2_000)
    where.put(ASSIGNED, experiment="exploration", unit="laptop", since=100)
    for subjects in (["user", "phone", "laptop"], ["laptop", "user", "phone"], ["phone", "user", "laptop"]):
        assert EXPERIMENT.assigned(subjects, where) == before


def test_of_the_first_links_ends_the_one_that_was_decided_for_first_stands():
    where = reading()
    link(where, "phone", "user", 1_000)
    where.put(ASSIGNED, experiment="exploration", unit="user", since=500)
    assert EXPERIMENT.assigned(["user", "phone"], where).unit == "user"


def test_a_variant_is_an_edit_of_the_surface_and_stands_in_record_and_answer():
    surface = HOME.but("home_carousel", explore=PlackettLuce(5.0), experiment=EXPERIMENT)
    made = decider(surface)
    request = made.request("home_carousel", BODY)
    seen = {}
    for n in range(60):
        person = f"p{n}"
        found = shop()
        decision = made.decide("home_carousel", request, (person,), found, Moment("d" * 16, found.time_ms, n))
        assigned = EXPERIMENT.assign(person)
        assert decision.record.experiment == assigned
        assert decision.answer["experiment"] == {"name": "exploration", "variant": assigned.variant}
        assert (decision.record.explored is not None) == (assigned.shown != "off")
        seen.setdefault(assigned.variant, set()).add(tuple(ids(decision)))
    assert len(seen["on"]) > 1 and len(seen["off"]) == 1
    assert "Experiment(exploration: on (as declared), off (explore), flat (rank) by person, 5% held out)" in str(
        surface
    )


def test_without_a_profile_nothing_is_assigned():
    made = decider(HOME.but("home_carousel", experiment=EXPERIMENT))
    request = made.request("home_carousel", {**BODY, "profiled": False})
    found = shop()
    decision = made.decide("home_carousel", request, ("p1",), found, Moment("d" * 16, found.time_ms, 1))
    assert decision.record.experiment is None
    assert decision.answer["experiment"] == {}


def test_surfaces_may_share_an_experiment_but_not_a_name_for_two():
    home, search = HOME.but("home_carousel", experiment=EXPERIMENT), HOME.but("other", experiment=EXPERIMENT)
    assert decider(home, search).experiments == ((EXPERIMENT, ("home_carousel", "other")),)
    two = Experiment("exploration", variants={"a": {}, "b": {}})
    with pytest.raises(ApplicationError, match="declared otherwise elsewhere"):
        decider(home, HOME.but("other", experiment=two))


@pytest.mark.parametrize(
    ("experiment", "what"),
    [
        (Experiment("e", variants={"a": {}}), "needs two variants"),
        (Experiment("e", variants={"a": {}, "holdout": {}}), "none named 'holdout'"),
        (Experiment("e", variants={"a": {}, "b": {"window": 3}}), "unknown setting in variant 'b'"),
        (Experiment("e", variants={"a": {}, "b": {}}, holdout=1.0), "holdout=1.0"),
        (Experiment("e", variants={"a": {}, "b": {}}, unit="session"), "unit='session'"),
        (Experiment("e", variants={"a": {}, "b": {}}, weights={"c": 1}), "unknown variant in weights"),
        (Experiment("e", variants={"a": {}, "b": {}}, control="c"), "unknown variant in control"),
        (Experiment("an experiment", variants={"a": {}, "b": {}}), "cannot be part of an address"),
        (Experiment("e", variants={"a": {}, "b": {"rank": Weighted(nothing=1.0)}}), "unknown feature in Weighted"),
    ],
)
def test_mistakes_are_reported_where_they_are_written(experiment, what):
    with pytest.raises(ApplicationError) as error:
        decider(HOME.but("home_carousel", experiment=experiment))
    assert any(what in each.what for each in error.value.diagnostics)
