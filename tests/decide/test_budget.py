"""No time is never an error: a stage is replaced by its cheaper path, the answer says so, and a replay follows."""

import pytest

from nextpaint.decide import LastGood, Moment, Nothing
from nextpaint.decide.budget import Costs, Paths, Timeline
from nextpaint.decide.explain import compare
from nextpaint.ports.clock import SimulatedClock
from tests.decide.reading import NOW_MS, shop, visit
from tests.decide.surfaces import BODY, HOME, SEARCH, decide, decider, ids


class SlowReading:
    """A reading on which one kind of read takes `ms` of a simulated clock."""

    def __init__(self, reading, clock, ms, call, table=None):
        self._reading, self._clock, self._ms, self._call, self._table = reading, clock, ms, call, table

    def __getattr__(self, name):
        found = getattr(self._reading, name)
        if name != self._call:
            return found

        def slow(table, *rest):
            if self._table in (None, table):
                self._clock.advance(self._ms)
            return found(table, *rest)

        return slow


def known():
    reading = shop()
    visit(reading, "s1", ("i003", 1.0, 1))
    return reading


def paths(decision):
    return {stage.stage: stage.path for stage in decision.record.stages}


class TestDegrading:
    def test_a_retriever_that_became_slow_is_skipped_after_it_was_measured(self):
        clock = SimulatedClock()
        service = decider(HOME.but("home_carousel", fallback=Nothing()), clock=clock)
        slow = SlowReading(known(), clock, 400, "rows", "_together_orders")
        first, second = decide(service, slow), decide(service, slow)
        assert paths(first)["retrieve bought together"] == "run"
        assert paths(second)["retrieve bought together"] == "skipped"
        assert second.answer["degraded"] == [
            {
                "stage": "retrieve bought together",
                "cause": "needs 400.0 ms, 250.0 ms left",
                "used": "the other retrievers",
            }
        ]
        assert len(ids(second)) == 10

    def test_a_table_that_stopped_makes_the_surface_fall_back_if_it_can(self):
        service, reading = decider(HOME, HOME.but("bare", fallback=Nothing(), cold=None)), known()
        before = decide(service, reading)
        reading.stopped = frozenset({"trending", "elsewhere"})
        after = decide(service, reading)
        cause = "trending stopped at the memory ceiling"
        assert after.answer["degraded"] == [{"stage": "decide", "cause": cause, "used": "last good answer"}]
        assert ids(after) == ids(before)
        assert not decide(service, reading, surface="bare").answer.get("degraded"), "nothing to fall back to"

    def test_a_skipped_stage_is_tried_again(self):
        clock = SimulatedClock()
        service = decider(HOME.but("home_carousel"), clock=clock)
        reading = known()
        decide(service, SlowReading(reading, clock, 400, "rows", "_together_orders"))
        tried = [paths(decide(service, reading))["retrieve bought together"] for _ in range(12)]
        assert tried[0] == "skipped"
        assert "run" in tried

    @pytest.mark.parametrize("stage", ["filter", "features", "rules", "record", "rank", "retrieve bought together"])
    def test_a_first_cost_beyond_all_bounds_is_forgotten(self, stage):
        service, reading = decider(), known()
        decide(service, reading)
        service._costs = Costs()
        service._costs.observe("home_carousel", stage, 20 * 10**9)
        degraded = [bool(decide(service, reading).answer.get("degraded")) for _ in range(120)]
        assert degraded[0]
        assert not any(degraded[-20:])

    def test_a_slow_first_stage_makes_ranking_cheap_but_filters_stay(self):
        clock = SimulatedClock()
        reading = known()
        reading.put("inventory", item_id="i003", stock=0, price=1.0)
        decision = decide(decider(clock=clock), SlowReading(reading, clock, 400, "vectors"))
        assert paths(decision)["rank"] == "cheap"
        assert paths(decision)["filter"] == "run"
        assert "i003" not in ids(decision)
        assert {each["stage"] for each in decision.answer["degraded"]} >= {"rank"}

    def test_a_decision_that_starts_too_late_takes_the_last_good_answer(self):
        service, reading = decider(), known()
        good = decide(service, reading)
        late = service.decide(
            "home_carousel",
            service.request("home_carousel", BODY),
            ["s1"],
            reading,
            Moment("e", NOW_MS, 1, deadline_ns=0),
        )
        assert ids(late) == ids(good)
        assert late.answer["degraded"][0]["used"] == "last good answer"
        assert late.answer["items"][0]["reason"] == "It was among your last suggestions."

    def test_the_last_good_answer_is_the_persons_own_and_not_too_old(self):
        service, reading = decider(), known()
        decide(service, reading)
        service._costs.observe("home_carousel", "filter", 10**12)
        other = decide(service, reading, ["s2"]).answer
        assert other["degraded"][0]["used"] == "cold list"
        assert other["items"][0]["reason"] == "Many people look at it right now."
        old = reading.at(NOW_MS + 11 * 60_000)
        assert decide(service, old, ["s1"]).answer["degraded"][0]["used"] == "cold list"
        assert decide(service, reading, ["s1"]).answer["degraded"][0]["used"] == "last good answer"

    def test_without_time_the_callers_list_keeps_its_order(self):
        service = decider(HOME, SEARCH)
        service._costs.observe("search", "filter", 10**12)
        decision = decide(service, known(), ["s1"], "search", items=["i009", "i003", "i001"])
        assert ids(decision) == ["i009", "i003", "i001"]
        assert decision.answer["degraded"][0]["used"] == "order given"

    def test_a_degraded_answer_is_not_remembered_as_good(self):
        clock = SimulatedClock()
        service = decider(clock=clock)
        decide(service, SlowReading(known(), clock, 400, "vectors"))
        assert len(service._memory) == 0


class TestReplay:
    """A replay is given the recorded paths: it reads no clock and comes to the same record."""

    class NoClock:
        def monotonic_ns(self):
            raise AssertionError("a replay measures no time")

        now_ms = monotonic_ns

    def replayed(self, decision, reading, surfaces=(HOME, SEARCH), subjects=("s1",), **body):
        fresh = decider(*surfaces, clock=self.NoClock())
        return decide(fresh, reading, subjects, decision.record.surface, decision.record.paths(), **body)

    def test_of_a_normal_decision(self):
        reading = known()
        reading.put("inventory", item_id="i011", stock=0, price=1.0)
        decision = decide(decider(), reading)
        again = self.replayed(decision, reading)
        assert compare(decision.record, again.record) == []
        assert again.record.digest() == decision.record.digest()
        assert again.answer["items"] == decision.answer["items"]

    @pytest.mark.parametrize("call", ["vectors", "rows", "row", "places"])
    def test_of_a_degraded_decision(self, call):
        clock, reading = SimulatedClock(), known()
        service = decider(clock=clock)
        slow = SlowReading(reading, clock, 260, call)
        for _ in range(3):
            decision = decide(service, slow)
            assert self.replayed(decision, reading).record.digest() == decision.record.digest()
        assert decision.record.degraded

    @pytest.mark.parametrize("remembered", [True, False])
    def test_of_a_fallback(self, remembered):
        reading = known()
        service = decider()
        if remembered:
            decide(service, reading)
        service._costs.observe("home_carousel", "filter", 10**12)
        reading.put("inventory", item_id="i003", stock=0, price=1.0)
        decision = decide(service, reading)
        assert bool(decision.record.fallback) == remembered
        assert self.replayed(decision, reading).record.digest() == decision.record.digest()

    def test_of_a_fallback_after_all_retrievers_were_skipped(self):
        reading = known()
        service = decider(HOME.but("home_carousel", cold=None, fallback=LastGood("1 h")))
        good = decide(service, reading)
        for label in ("similar", "bought together", "top"):
            service._costs.observe("home_carousel", f"retrieve {label}", 10**14)
        decision = decide(service, reading)
        assert ids(decision) == ids(good)
        again = self.replayed(
            decision, reading, surfaces=(HOME.but("home_carousel", cold=None, fallback=LastGood("1 h")),)
        )
        assert again.record.digest() == decision.record.digest()

    def test_it_does_not_disturb_what_the_node_remembers(self):
        reading = known()
        service = decider()
        record = decide(decider(), reading).record
        decide(service, reading, paths=record.paths())
        assert len(service._memory) == 0
        assert service._costs.expected_ns("home_carousel", "filter") == 0.0


class TestTimeline:
    def test_a_stage_must_fit_with_those_that_follow_and_cannot_be_skipped(self):
        costs, clock = Costs(), SimulatedClock()
        costs.observe("s", "rank", 30_000_000)
        costs.observe("s", "filter", 30_000_000)
        assert Timeline("s", costs, clock, 50_000_000, None).choose("rank", "cheap", "x") == "run"
        assert Timeline("s", costs, clock, 50_000_000, None).choose("rank", "cheap", "x", ("filter",)) == "cheap"

    def test_costs_follow_what_is_measured_and_forget_what_is_skipped(self):
        costs = Costs()
        costs.observe("s", "rank", 100)
        costs.observe("s", "rank", 200)
        assert costs.expected_ns("s", "rank") == pytest.approx(110)
        costs.skipped("s", "rank")
        assert costs.expected_ns("s", "rank") == pytest.approx(99)

    def test_recorded_paths_are_followed_without_a_clock(self):
        timeline = Timeline("s", Costs(), TestReplay.NoClock(), 0, Paths({"rank": "cheap"}))
        assert timeline.choose("rank", "cheap", "x") == "cheap"
        assert timeline.choose("cold", "skipped", "x") == "run"
        timeline.finish("rank", "cheap")
        assert timeline.stages[0].ms == 0.0
