"""What a learner counts, and what it does not: each trial and each reward once, in any cut, from any checkpoint."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.erasures import ERASE_TOPIC, Erasure
from nextpaint.process.graph import EXPLORED, BuiltIn, Design, Learner
from nextpaint.process.operators.learning import LearnerSpec, Learning, inner, times
from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, records, reloaded, whole

SQL = """
CREATE TABLE shows (decision_id STRING, item_id STRING);
CREATE TABLE clicks (decision_id STRING, item_id STRING, v DOUBLE, ts TIMESTAMP(3));
CREATE TABLE _t (decision_id STRING, item_id STRING);
INSERT INTO _t SELECT decision_id, item_id FROM shows;
CREATE TABLE _r (decision_id STRING, item_id STRING, v DOUBLE, ts TIMESTAMP(3));
INSERT INTO _r SELECT decision_id, item_id, v, ts FROM clicks;
"""
PROGRAM = plan_program([("a.sql", SQL)], {})
SPEC = LearnerSpec(within_ms=1_000, keep_ms=500)


def runner(spec=SPEC):
    learner = Learner("learned", "_t", "_r", spec)
    return Runner(Design(PROGRAM, (BuiltIn(EXPLORED, "decisions", lambda row: [row]),), learners=(learner,)))


def learned(made) -> Learning:
    return made.graph.learners["learned"]


def decided(name="d1", items=("a", "b"), time_ms=1_000, learner="learned", **more):
    size = len(items)
    row = {"decision_id": name, "learner": learner, "ts": time_ms, "items": list(items), "arms": list(items)}
    row |= {"examined": [1.0] * size, "means": [0.1] * size, "priors": [0.1] * size, "contexts": []}
    return "decisions", row | more


def shown(item, name="d1"):
    return "shows", {"decision_id": name, "item_id": item}


def clicked(item, name="d1", v=1.0, ts=1_500):
    return "clicks", {"decision_id": name, "item_id": item, "v": v, "ts": ts}


def counted(*rows, spec=SPEC, **more):
    made = runner(spec)
    whole(made, records(rows, **more))
    return learned(made)


def test_a_trial_is_an_impression_and_a_reward_is_joined_by_its_decision():
    learner = counted(decided(), shown("a"), shown("b"), clicked("a"))
    trials, rewards = learner.statistics(["a", "b", "never"], 2_000)
    assert (trials.tolist(), rewards.tolist()) == ([1, 1, 0], [1, 0, 0])
    assert learner.total(0) == (2, 1)
    assert learner.counts == {"decisions": 1, "rewards": 1, "trials": 2}


def test_what_is_told_again_moves_nothing():
    once = counted(decided(), shown("a"), clicked("a"))
    again = counted(decided(), decided(), shown("a"), shown("a"), clicked("a"), clicked("a"), clicked("a"))
    assert again.statistics(["a"], 0)[0] == once.statistics(["a"], 0)[0] == 1
    assert again.statistics(["a"], 0)[1] == 1
    assert again.counts["repeated"] == 3


def test_a_reward_may_arrive_before_its_trial():
    learner = counted(decided(), clicked("a"), shown("a"))
    assert (learner.statistics(["a"], 0)[0], learner.statistics(["a"], 0)[1]) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([clicked("a", name=None)], "unattributed"),
        ([decided(), clicked("z")], "unattributed"),
        ([clicked("a", name="another")], "elsewhere"),
        ([decided(learner="other"), clicked("a")], "elsewhere"),
        ([decided(), shown("a"), clicked("a", ts=2_001)], "late"),
    ],
)
def test_a_reward_that_cannot_be_joined_moves_no_posterior_and_is_counted(rows, reason):
    learner = counted(*rows)
    assert learner.counts[reason] == 1
    assert learner.total(0)[1] == 0
    assert "rewards" not in learner.counts


def test_the_window_is_event_time_and_includes_its_end():
    assert counted(decided(), shown("a"), clicked("a", ts=2_000)).total(0)[1] == 1


def test_a_reward_of_an_item_that_was_never_shown_is_counted_when_its_decision_is_forgotten():
    rows = [decided(), clicked("a"), decided("d2")]
    made = runner()
    whole(made, records(rows, step_ms=1_000))
    assert learned(made).counts["unshown"] == 1
    assert learned(made).waiting == 1
    assert learned(made).total(0) == (0, 0)


def test_an_item_is_not_blamed_for_its_place():
    learner = counted(decided(examined=[1.0, 0.25]), shown("a"), shown("b"), clicked("b"))
    assert learner.statistics(["a", "b"], 0)[0].tolist() == [1, 0.25]
    expected, came = learner.places()
    assert expected[:3].tolist() == [0.1, 0.1, 0]
    assert came[:3].tolist() == [0, 1, 0]


def test_posteriors_fade_with_their_half_life_by_ledger_time():
    learner = counted(decided(), shown("a"), spec=LearnerSpec(1_000, 500, half_life_ms=1_000))
    assert learner.statistics(["a"], 1_001)[0] == [1.0]
    assert learner.statistics(["a"], 2_001)[0] == [0.5]
    assert learner.total(3_001) == (0.25, 0.0)


def test_a_linear_arm_is_the_ridge_regression_of_rewards_on_contexts():
    chance = np.random.default_rng(3)
    xs, rows, rewards = chance.normal(size=(40, 3)), [], []
    for n, x in enumerate(xs):
        name = f"d{n}"
        rows += [decided(name, ("a",), contexts=x.tolist(), priors=[0.2], examined=[0.5]), shown("a", name)]
        rewards.append(1.0 if chance.random() < 0.4 else 0.0)
        rows += [clicked("a", name)] * int(rewards[-1])
    learner = counted(*rows, spec=LearnerSpec(10_000, 500, width=3, ridge=2.0))
    theta, inverse = learner.models(["a", "never"])
    design = 2.0 * np.eye(3) + 0.5 * xs.T @ xs
    assert np.allclose(inverse[0], np.linalg.inv(design), rtol=1e-10)
    assert np.allclose(theta[0], np.linalg.solve(design, xs.T @ (np.array(rewards) - 0.5 * 0.2)), rtol=1e-10)
    assert (inverse[1] == np.eye(3) / 2).all() and (theta[1] == 0).all()


def test_the_doubt_of_a_linear_arm_grows_while_nothing_is_learned_up_to_that_of_a_new_one():
    spec = LearnerSpec(10**9, 0, half_life_ms=1_000, width=1, ridge=1.0)
    rows = [decided(contexts=[1.0, 1.0]), shown("a"), decided("d2", ("a",), contexts=[0.0]), shown("a", "d2")]
    made = runner(spec)
    whole(made, records(rows, step_ms=50_000))
    theta, inverse = learned(made).models(["a"])
    assert inverse[0, 0, 0] == 1.0
    assert theta[0, 0] == -0.05


def test_sums_run_from_left_to_right():
    matrix, vector = np.array([[1e16, 1.0], [1.0, 2.0]]), np.array([1.0, 1.0])
    assert inner(matrix[0], vector) == 1e16 + 1.0
    assert times(matrix, vector).tolist() == [1e16 + 1.0, 3.0]


stories = st.lists(
    st.one_of(
        st.builds(decided, st.sampled_from(["d1", "d2", "d3"]), time_ms=st.integers(900, 1_400)),
        st.builds(shown, st.sampled_from("abc"), st.sampled_from(["d1", "d2", "d9"])),
        st.builds(clicked, st.sampled_from("abc"), st.sampled_from(["d1", "d2", None]), ts=st.integers(0, 4_000)),
    ),
    max_size=40,
)


@given(stories, st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 400))
def test_posteriors_do_not_depend_on_cuts_or_checkpoints(story, seed, at, step_ms):
    arriving = records(story, step_ms=step_ms)
    at_once, in_steps = runner(), runner()
    whole(at_once, arriving)
    cut(in_steps, arriving[:at], seed)
    resumed = reloaded(in_steps, runner)
    cut(resumed, arriving[at:], seed + 1)
    assert resumed.state.hash() == at_once.state.hash()
    assert learned(resumed).counts == learned(at_once).counts
    assert json.dumps(learned(resumed).total(0)) == json.dumps(learned(at_once).total(0))


@given(stories)
def test_rewards_never_exceed_shown_items(story):
    made = runner()
    whole(made, records(story))
    told = {(row["decision_id"], item) for topic, row in story if topic == "decisions" for item in row["items"]}
    trials, rewards = learned(made).total(0)
    assert 0 <= rewards <= trials <= len(told)


def test_a_decision_of_somebody_erased_waits_no_more_and_what_was_learned_stays():
    rows = [
        decided(), decided("d2"), shown("a"), clicked("a"), shown("b", "d2"),
        clicked("b"), clicked("b", "d2"), decided("d3", time_ms=9_000), shown("a", "d3"),
    ]  # fmt: skip
    whole_life = records(rows, step_ms=200)
    at = 5
    body = msgspec.json.encode(Erasure("e", ("Nobody".ljust(22, "x"),), ("d1",)))
    erased = whole_life[at - 1]._replace(topic=ERASE_TOPIC, value=body, first=True)
    ledger = [each._replace(seq=seq) for seq, each in enumerate([*whole_life[:at], erased, *whole_life[at:]])]
    one = runner()
    whole(one, ledger[: at + 1])
    assert learned(one).waiting == 1 and learned(one).counts["rewards"] == 1
    assert learned(one).arms() == ["a", "b"]
    again = reloaded(one, runner)
    for made in (one, again):
        whole(made, ledger[at + 1 :])
        assert dict(learned(made).counts) == {"decisions": 3, "elsewhere": 1, "rewards": 2, "trials": 3}
    other = runner()
    cut(other, ledger, 3, largest=2)
    assert one.state.hash() == again.state.hash() == other.state.hash()
