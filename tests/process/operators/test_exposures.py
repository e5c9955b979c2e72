"""People count for a variant when its page was shown to them, and its rewards once each."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.application import decisions_table
from nextpaint.process.erasures import ERASE_TOPIC, Erasure
from nextpaint.process.graph import BuiltIn, Design, Exposure
from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, records, reloaded, whole
from tests.process.operators.test_learning import SQL, clicked, shown

PROGRAM = plan_program([("a.sql", SQL)], {"decisions": decisions_table(1_000)})


def runner():
    built_in = (BuiltIn(decisions_table(1_000), "decisions", lambda row: [row]),)
    return Runner(Design(PROGRAM, built_in, exposures=(Exposure("e", "_t", "_r", 1_000, 500),)))


def decided(name="d1", unit="p1", variant="on", items=("a", "b"), experiment="e", ts=1_000):
    row = {"decision_id": name, "surface": "s", "subject": unit, "experiment": experiment, "variant": variant}
    return "decisions", row | {"unit": unit, "items": list(items), "degraded": False, "ts": ts}


def tallies(*rows):
    made = runner()
    whole(made, records(rows))
    return made.graph.exposures["e"].tallies


def test_deciding_is_not_exposure():
    assert tallies(decided()) == {}
    found = tallies(decided(), shown("a"), shown("b"))["on"]
    assert (found.people, found.decisions, found.rewards) == (1, 1, 0)


def test_a_person_is_one_person_and_rewards_add_up_by_person():
    found = tallies(
        decided("d1"), decided("d2"), decided("d3", "p2"), shown("a", "d1"), shown("a", "d2"), shown("b", "d3"),
        clicked("a", "d1"), clicked("b", "d1"), clicked("a", "d2"), clicked("a", "d3"), clicked("a", "d3"),
    )["on"]  # fmt: skip
    assert (found.people, found.decisions, found.rewards, found.rewarded) == (2, 3, 4, 2)
    assert (found.total, found.squares) == (4.0, 10.0)


@pytest.mark.parametrize(
    "reward", [clicked("z"), clicked("a", "other"), clicked("a", None), clicked("a", ts=2_001), clicked("a", v=0.0)]
)
def test_what_does_not_belong_to_a_shown_decision_is_not_counted(reward):
    assert tallies(decided(), shown("a"), reward)["on"].rewards == 0


def test_a_reward_may_come_before_its_showing_and_other_experiments_are_others():
    found = tallies(decided(), clicked("a"), shown("b"), decided("d2", experiment="f"), shown("a", "d2"))
    assert (found["on"].rewards, found["on"].total) == (1, 1.0)
    assert list(found) == ["on"]


stories = st.lists(
    st.one_of(
        st.builds(decided, st.sampled_from(["d1", "d2", "d3"]), st.sampled_from("pq"), st.sampled_from(["on", "off"])),
        st.builds(shown, st.sampled_from("abc"), st.sampled_from(["d1", "d2", "d3"])),
        st.builds(clicked, st.sampled_from("abc"), st.sampled_from(["d1", "d2", "d3"]), ts=st.integers(0, 3_000)),
    ),
    max_size=30,
)


@given(stories, st.integers(0, 2**32), st.integers(0, 30), st.integers(1, 300))
def test_tallies_do_not_depend_on_cuts_or_checkpoints(story, seed, at, step_ms):
    arriving = records(story, step_ms=step_ms)
    at_once, in_steps = runner(), runner()
    whole(at_once, arriving)
    cut(in_steps, arriving[:at], seed)
    resumed = reloaded(in_steps, runner)
    cut(resumed, arriving[at:], seed + 1)
    assert resumed.state.hash() == at_once.state.hash()
    assert resumed.graph.exposures["e"].tallies == at_once.graph.exposures["e"].tallies


def test_somebody_erased_leaves_counts_and_is_somebody_new_when_they_come_again():
    ada, bob = "Ada".ljust(22, "x"), "Bob".ljust(22, "x")
    rows = [
        decided("d1", ada), shown("a", "d1"), clicked("a", "d1"), decided("d2", bob), shown("a", "d2"),
        clicked("b", "d1"), clicked("a", "d2"), decided("d3", "Ada2".ljust(22, "x")), shown("a", "d3"),
    ]  # fmt: skip
    life, at = records(rows, step_ms=10), 5
    body = msgspec.json.encode(Erasure("e", (ada,), ("d1",)))
    erased = life[at - 1]._replace(topic=ERASE_TOPIC, value=body, first=True)
    ledger = [each._replace(seq=seq) for seq, each in enumerate([*life[:at], erased, *life[at:]])]
    one, other = runner(), runner()
    whole(one, ledger)
    cut(other, ledger, 1, largest=2)
    assert one.state.hash() == other.state.hash()
    found = one.graph.exposures["e"].tallies["on"]
    assert (found.people, found.rewards, found.rewarded) == (3, 2, 2), "the late click of d1 counts for nobody"
    assert not any(ada in repr(row) for cell in one.state.cells.values() for row in cell.items())
