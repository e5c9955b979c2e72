"""How well exploration learns, and how honest off-policy intervals are.

    scripts/bench bandit [--seeds 20] [--steps 1000] [--repetitions 1000] [--no-others] [--obd DIR]

Four fixed environments of 20 items, the same streams of chance for every learner: *stationary* rates; *drifting* (the
best item changes every quarter); *delayed* (rewards come 50 steps later); *position-biased* (pages of 5, examined as
1/place). Regret is the expected reward of the best page minus that of the shown one, summed over the steps; mean over
seeds with a 95 % interval. Ours are the policies and the learner that a node runs, fed with the rows a node would feed.
Vowpal Wabbit and MABWiser run on the same streams when they can be installed into a bench environment of their own
(`.venv-bandit`); otherwise the reason is printed. They were not tuned to these environments, nor were ours.

Then the coverage of 95 % intervals on simulators whose true values are known, over repeated logs: those of arms, as the
console shows them, and those of IPS, SNIPS and DR. **Bar: 93 to 97 % of 1,000 logs**; the exit status is 1 where one
fails. Fewer repetitions say too little and are not judged.

`--obd`: the Open Bandit Dataset as a check of format and sense, no benchmark: a folder with random_all.parquet and
bts_all.parquet. Each policy's value is estimated from the other's log, its clicks beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nextpaint.decide import EpsilonGreedy, Examination, Flat, LinTS, Moment, Reward, ThompsonSampling
from nextpaint.decide.arms import arms_told
from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, Features
from nextpaint.decide.context import Context
from nextpaint.decide.evaluation import Logged, evaluate
from nextpaint.decide.lesson import explored_rows
from nextpaint.decide.policy import Policy, six
from nextpaint.decide.request import DecisionRequest
from nextpaint.process.operators.learning import LearnerSpec, Learning
from nextpaint.process.operators.protocol import StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, Batch, Column
from nextpaint.record.types import DOUBLE, STRING, TIMESTAMP
from nextpaint.sql.plan import At

ITEMS = 20
STEP_MS = 1_000
TRIALS = 200  # of each arm, for the coverage of its interval
LEAST, MOST, REPETITIONS = 0.93, 0.97, 1_000
OBD_KEYS = ("item_id", "position", "propensity_score")
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-bandit"
OTHERS = ("vowpalwabbit", "mabwiser")


@dataclass(frozen=True)
class World:
    """An environment. rates(step): reward rate of each item. places: items of a page; examined: of each place."""

    name: str
    rates: np.ndarray  # (steps, items)
    places: int = 1
    delay: int = 0

    @property
    def examined(self) -> np.ndarray:
        return 1.0 / np.arange(1, self.places + 1)

    def regret(self, step: int, page: list[int]) -> float:
        best = np.sort(self.rates[step])[::-1][: self.places]
        return float(((best - self.rates[step][page]) * self.examined).sum())


def worlds(seed: int, steps: int) -> Iterator[World]:
    chance = np.random.default_rng(1_000 + seed)
    fixed = chance.beta(1.5, 12.0, ITEMS)
    still = np.tile(fixed, (steps, 1))
    yield World("stationary", still)
    quarters = [chance.permutation(fixed) for _ in range(4)]
    yield World("drifting", np.array([quarters[4 * step // steps] for step in range(steps)]))
    yield World("delayed", still, delay=50)
    yield World("position-biased", still, places=5)


_REST: dict[str, Any] = {  # of a decision record, of no interest to a learner
    "surface": "", "purpose": "", "application": "", "engine": "", "position": 0, "seed": 0, "request": {},
    "stages": [], "retrieved": [], "filters": [], "rank": {"by": ""}, "matrix": "", "considered": 0,
}  # fmt: skip


class Whole:
    """The items table, as far as a policy looks at it."""

    def __init__(self) -> None:
        self.keys = tuple(f"i{n}" for n in range(ITEMS))
        self.slots = {key: slot for slot, key in enumerate(self.keys)}


class Ours:
    """A policy with its learner, fed as a node feeds it."""

    def __init__(self, policy: Policy, world: World, half_life_ms: int = 0) -> None:
        binder = Binder("bench", At(), "", {}, {})
        binder.item_key = "item_id"
        self._policy = policy.bind_to("bench", ("one",), binder)
        assert self._policy is not None and self._policy.learner is not None
        width = 2 if isinstance(policy, LinTS) else 0
        spec = LearnerSpec(10**9, 0, half_life_ms, width)
        self._learner = Learning("bench", self._policy.learner.name, spec, State())
        self._world, self._now = world, 0
        self._items = Whole()
        one = Features.of({"one": Column(DOUBLE, np.ones(ITEMS))})
        sources = np.zeros(ITEMS, np.int64)
        self._candidates = Candidates(np.arange(ITEMS), np.ones(ITEMS), sources, self._items.keys, one)

    def whole(self, _table: str) -> Whole:
        return self._items

    def learned(self, _name: str) -> Learning:
        return self._learner

    def choose(self, step: int, seed: int) -> list[int]:
        self._now = step * STEP_MS
        context = Context(self, "items", DecisionRequest(), (), Moment(str(step), self._now, seed))  # type: ignore[arg-type]
        context.limit = self._world.places
        drawn = self._policy.draw(self._candidates, context)
        page = drawn.order[: self._world.places].tolist()
        examined = self._policy.examination.of(len(page), self._policy.learner.name, context).tolist()
        tried = [
            [place, "" if drawn.arms[row] == f"i{row}" else drawn.arms[row], 0.0, six(float(drawn.means[row])),
             six(float(drawn.priors[row])), 0.0, seen, None]
            for place, (row, seen) in enumerate(zip(page, examined, strict=True), start=1)
        ]  # fmt: skip
        record = {
            "decision_id": str(step), "time_ms": self._now, "features": [["one", "", False, ""]], **_REST,
            "items": [[f"i{row}", 0, 0, "", "", [1.0], []] for row in page],
            "explored": {"policy": "", "learner": self._policy.learner.name, "kind": "", "pool": len(page),
                         "floor": 0.0, "tried": tried, "scales": drawn.scales},
        }  # fmt: skip
        (row,) = explored_rows(record)
        columns = ("decision_id", "learner", "ts", "items", "arms", "examined", "means", "priors", "contexts")
        told = tuple(tuple(row[name]) if isinstance(row[name], list) else row[name] for name in columns)
        shown = [(str(step), f"i{each}") for each in page]
        self._step([told], shown, [])
        return page

    def shown(self, pages: list[tuple[str, list[str]]]) -> None:
        """Pages of known decisions, every item examined; all in one step."""
        name = self._policy.learner.name
        told = [(key, name, 0, tuple(page), tuple(page), *[(1.0,) * len(page)] * 3, ()) for key, page in pages]
        self._step(told, [(key, item) for key, page in pages for item in page], [])

    def rewarded(self, clicks: list[tuple[str, str]]) -> None:
        self._step([], [], [(key, item, 1.0, self._now) for key, item in clicks])

    def arms(self) -> list[dict[str, Any]]:
        """The arms as a node tells them."""
        arms = self._learner.arms()
        trials, rewards = (each.tolist() for each in self._learner.statistics(arms, self._now))
        return arms_told(arms, trials, rewards)

    def reward(self, step: int, item: int) -> None:
        self._step([], [], [(str(step), f"i{item}", 1.0, self._now)])

    def _step(self, *rows: list[tuple[object, ...]]) -> None:
        types = (self._learner_types(), (STRING, STRING), (STRING, STRING, DOUBLE, TIMESTAMP))
        batches = [
            Batch.of(kinds, each, [self._now + port] * len(each), [INSERT] * len(each))
            for port, (kinds, each) in enumerate(zip(types, rows, strict=True))
        ]
        seqs = np.array([self._now + port for port in range(3)], np.int64)
        self._learner.step(batches, StepContext(seqs, np.full(3, self._now, np.int64)))

    @staticmethod
    def _learner_types() -> tuple[object, ...]:
        from nextpaint.process.operators.learning import EXPLORED_FIELDS

        return tuple(each.type for each in EXPLORED_FIELDS)


REWARD = Reward("clicks")


def ours(name: str, world: World) -> Ours:
    drifting = world.name == "drifting"
    fading = {"half_life": "200 s"} if drifting else {}
    half_life_ms = 200_000 if drifting else 0
    shared = {"prior": Flat(strength=2.0, rate=0.1), "examination": Examination(at=tuple(world.examined.tolist()))}
    if name == "ThompsonSampling":
        return Ours(ThompsonSampling("item_id", REWARD, **shared, **fading), world, half_life_ms)
    if name == "EpsilonGreedy(0.1)":
        return Ours(EpsilonGreedy(0.1, reward=REWARD, **shared, **fading), world, half_life_ms)
    return Ours(LinTS(REWARD, per="item_id", spread=0.15, **shared, **fading), world, half_life_ms)


Learner = Callable[[World, int], float]


def played(make: Callable[[World], Ours], world: World, seed: int) -> float:
    """Total regret of a learner in a world."""
    learner = make(world)
    chance = np.random.default_rng(seed)
    steps = len(world.rates)
    draws = chance.random((steps, world.places))
    seeds = chance.integers(0, 2**63, steps).tolist()
    waiting: list[tuple[int, int, int]] = []
    total = 0.0
    for step in range(steps):
        while waiting and waiting[0][0] <= step:
            _, decided, item = waiting.pop(0)
            learner.reward(decided, item)
        page = learner.choose(step, seeds[step])
        total += world.regret(step, page)
        clicked = draws[step] < world.rates[step][page] * world.examined
        waiting += [(step + world.delay, step, item) for item, click in zip(page, clicked, strict=True) if click]
    return total


def interval(values: list[float]) -> str:
    spread = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):7.1f} +- {spread:4.1f}"


def regrets(seeds: int, steps: int, others: bool) -> None:
    names = ("ThompsonSampling", "EpsilonGreedy(0.1)", "LinTS")
    found: dict[str, dict[str, list[float]]] = {}
    cost: dict[str, float] = {}
    for name in names:
        started = time.process_time()
        for seed in range(seeds):
            for world in worlds(seed, steps):
                made = played(lambda each, name=name: ours(name, each), world, seed)
                found.setdefault(name, {}).setdefault(world.name, []).append(made)
        cost[name] = (time.process_time() - started) / (seeds * 4 * steps) * 1e6
    if others:
        for name, told in others_on_the_same_streams(seeds, steps).items():
            found[name] = told["regret"]
            cost[name] = told["us"]
    columns = [world.name for world in worlds(0, 4)]
    print(f"regret over {steps} steps, mean over {seeds} seeds with 95 % interval; CPU per step (choose, show, learn)")
    print(f"{'':<26}" + "".join(f"{each:>18}" for each in columns) + f"{'us/step':>10}")
    for name, by_world in found.items():
        print(f"{name:<26}" + "".join(f"{interval(by_world[each]):>18}" for each in columns) + f"{cost[name]:>10.0f}")


def others_on_the_same_streams(seeds: int, steps: int) -> dict[str, dict[str, object]]:
    """Vowpal Wabbit and MABWiser in an environment of their own; {} with the reason printed."""
    python = ENVIRONMENT / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True, capture_output=True, text=True)
        ready = subprocess.run([str(python), "-c", "import vowpalwabbit, mabwiser"], capture_output=True, text=True)
        if ready.returncode:
            install = [str(python), "-m", "pip", "install", "-q", "--only-binary=:all:", *OTHERS]
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=600)
        command = [str(python), str(Path(__file__).parent / "rig" / "other_bandits.py"), str(seeds), str(steps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        told = getattr(error, "stderr", "") or str(error)
        print(f"skipped Vowpal Wabbit and MABWiser: {str(told).strip().splitlines()[-1][:200]}")
        return {}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def coverage(repetitions: int) -> dict[str, float]:
    """Share of logs whose interval holds the true value, by what the interval is of."""
    chance = np.random.default_rng(7)
    covered, widths = dict.fromkeys(("ips", "snips", "dr"), 0), dict.fromkeys(("ips", "snips", "dr"), 0.0)
    for _ in range(repetitions):
        log, truth = simulated(chance)
        for each in evaluate(log).values:
            covered[each.estimator] += each.low <= truth <= each.high
            widths[each.estimator] += (each.high - each.low) / repetitions
    print(f"\ncoverage of the true value by 95 % intervals, {repetitions} logs of 1,000 steps")
    for name, count in covered.items():
        print(f"  {name:<6} {count / repetitions:6.1%}   mean width {widths[name]:.4f}")
    shares = {name: count / repetitions for name, count in covered.items()}
    shares["arms"], width = arms_covered(repetitions)
    print(f"  arms   {shares['arms']:6.1%}   mean width {width:.4f}   ({ITEMS} of them, {TRIALS} trials each)")
    return shares


def arms_covered(repetitions: int) -> tuple[float, float]:
    """Of the arms of repeated streams, each shown and examined equally often: the share whose true rate is in the
    interval that the node tells, and the mean width."""
    chance = np.random.default_rng(8)
    held, width = 0, 0.0
    arms = [f"i{n}" for n in range(ITEMS)]
    for _ in range(repetitions):
        rates = chance.beta(1.5, 12.0, ITEMS)
        clicked = chance.random((TRIALS, ITEMS)) < rates
        player = Ours(EpsilonGreedy(0.1, reward=REWARD), World("even", rates[None], places=ITEMS))
        player.shown([(str(step), arms) for step in range(TRIALS)])
        player.rewarded([(str(step), arms[item]) for step, item in zip(*clicked.nonzero(), strict=True)])
        for told in player.arms():
            low, high = told["interval"]
            assert told["trials"] == TRIALS
            held += low <= rates[arms.index(told["arm"])] <= high
            width += high - low
    return held / repetitions / ITEMS, width / repetitions / ITEMS


def judged(shares: dict[str, float], repetitions: int) -> int:
    """Print what came of the bar; the exit status."""
    if repetitions < REPETITIONS:
        print(f"bar of {LEAST:.0%} to {MOST:.0%}: not judged, it takes {REPETITIONS} repetitions")
        return 0
    outside = [name for name, share in shares.items() if not LEAST <= share <= MOST]
    print(f"bar of {LEAST:.0%} to {MOST:.0%}: {'FAIL for ' + ', '.join(outside) if outside else 'held'}")
    return 1 if outside else 0


def open_bandit(folder: Path) -> None:
    """Each policy of the Open Bandit Dataset evaluated from the other's log; positions are their own problems."""
    logs = {name: pq.read_table(folder / f"{name}_all.parquet").to_pydict() for name in ("random", "bts")}
    pairs = Counter(zip(logs["bts"]["item_id"], logs["bts"]["position"], strict=True))
    places_shown = Counter(logs["bts"]["position"])
    shares = {(item, place): count / places_shown[place] for (item, place), count in pairs.items()}
    print("\nOpen Bandit Dataset, a check of format and sense: value by clicks a showing, 95 % interval")
    for name, log in logs.items():
        size, clicks = len(log["click"]), sum(log["click"])
        other = next(each for each in logs if each != name)
        items, places, propensity = (log[each] for each in OBD_KEYS)
        even = 1.0 / len(set(logs["random"]["item_id"]))
        # Thompson's chances are logged only for what it showed: how often it showed each item stands for the policy
        target = [shares.get(key, 0.0) if other == "bts" else even for key in zip(items, places, strict=True)]
        told = evaluate(
            Logged(np.array(propensity), np.array(target), np.array(log["click"], np.float64), np.arange(size))
        )
        print(f"  log of {name}: {size} showings, {clicks} clicks: {told.logged}")
        for each in told.values:
            print(f"    {other} from it: {each}; {clicks} clicks, worth {told.effective:.0f} showings")


def simulated(chance: np.random.Generator, size: int = 1_000, arms: int = 8) -> tuple[Logged, float]:
    """A log of one policy and the true value of another on the same contexts. DR's model knows half of the truth."""
    x = chance.normal(size=(size, 2))
    theta = np.array([[0.5 * np.cos(arm), 0.5 * np.sin(arm)] for arm in range(arms)])
    rates = 0.3 + 0.2 * np.tanh(x @ theta.T)
    logging = np.exp(x @ theta[::-1].T)
    logging /= logging.sum(axis=1, keepdims=True)
    target = np.exp(2 * (x @ theta.T))
    target /= target.sum(axis=1, keepdims=True)
    drawn = (chance.random((size, 1)) > logging.cumsum(axis=1)).sum(axis=1).clip(0, arms - 1)
    rows = np.arange(size)
    reward = (chance.random(size) < rates[rows, drawn]).astype(float)
    guess = 0.3 + 0.1 * np.tanh(x @ theta.T)
    log = Logged(
        logging[rows, drawn], target[rows, drawn], reward, rows, guess[rows, drawn], (target * guess).sum(axis=1)
    )  # fmt: skip
    return log, float((target * rates).sum(axis=1).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--repetitions", type=int, default=1_000)
    parser.add_argument("--no-others", action="store_true", help="without Vowpal Wabbit and MABWiser")
    parser.add_argument("--obd", type=Path, metavar="DIR", help="folder with random_all.parquet and bts_all.parquet")
    options = parser.parse_args()
    regrets(options.seeds, options.steps, not options.no_others)
    status = judged(coverage(options.repetitions), options.repetitions)
    if options.obd is None:
        print("\nOpen Bandit Dataset: skipped, name its folder with --obd")
    else:
        open_bandit(options.obd)
    return status


if __name__ == "__main__":
    sys.exit(main())
