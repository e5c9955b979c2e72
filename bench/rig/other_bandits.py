"""Vowpal Wabbit and MABWiser on the streams of `bench/bandit.py`; run by it, in an environment of their own.

Prints one JSON line: {learner: {"regret": {world: [per seed]}, "us": CPU per step}}. The worlds are made by the same
code with the same seeds, kept here because this environment has neither the package nor its dependencies.
"""

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
ITEMS = 20


def worlds(seed, steps):
    chance = np.random.default_rng(1_000 + seed)
    fixed = chance.beta(1.5, 12.0, ITEMS)
    still = np.tile(fixed, (steps, 1))
    yield "stationary", still, 1, 0
    quarters = [chance.permutation(fixed) for _ in range(4)]
    yield "drifting", np.array([quarters[4 * step // steps] for step in range(steps)]), 1, 0
    yield "delayed", still, 1, 50
    yield "position-biased", still, 5, 0


class Vowpal:
    """`--cb_explore_adf` with a feature per item; a page is drawn from its probabilities without repeating; every item
    of a page is learned from, a miss at the end of its delay or at once."""

    def __init__(self, options, places):
        from vowpalwabbit import Workspace

        self.vw = Workspace(f"--cb_explore_adf --quiet {options}")
        self.places = places
        self.chance = np.random.default_rng(0)

    def choose(self, step):
        told = self.vw.predict(["shared |s one"] + [f"|a i{n}" for n in range(ITEMS)])
        chances = np.array(told) / sum(told)
        page, odds, left = [], [], chances.copy()
        for _ in range(self.places):
            left = left / left.sum() if left.sum() > 0 else np.full(ITEMS, 1.0 / ITEMS)
            item = int(self.chance.choice(ITEMS, p=left))
            page.append(item)
            odds.append(left[item])
            left[item] = 0.0
        return page, odds

    def learn(self, item, odds, clicked):
        lines = ["shared |s one"]
        for n in range(ITEMS):
            label = f"0:{-1.0 if clicked else 0.0}:{max(odds, 1e-3)} " if n == item else ""
            lines.append(f"{label}|a i{n}")
        self.vw.learn(lines)


class Mab:
    """MABWiser's policy without context; the page is its arms by falling expectation of one draw."""

    def __init__(self, policy, places):
        from mabwiser.mab import MAB

        self.mab = MAB(list(range(ITEMS)), policy)
        self.mab.fit(list(range(ITEMS)), [0] * ITEMS)
        self.places = places

    def choose(self, step):
        told = self.mab.predict_expectations()
        page = sorted(told, key=told.get, reverse=True)[: self.places]
        if self.places == 1:
            page = [self.mab.predict()]
        return page, [1.0] * len(page)

    def learn(self, item, odds, clicked):
        self.mab.partial_fit([item], [int(clicked)])


def makers():
    from mabwiser.mab import LearningPolicy

    return {
        "VW --epsilon 0.1": lambda places: Vowpal("--epsilon 0.1", places),
        "VW --squarecb": lambda places: Vowpal("--squarecb", places),
        "MABWiser ThompsonSampling": lambda places: Mab(LearningPolicy.ThompsonSampling(), places),
        "MABWiser UCB1": lambda places: Mab(LearningPolicy.UCB1(alpha=0.5), places),
    }


def played(make, rates, places, delay, seed):
    learner = make(places)
    examined = 1.0 / np.arange(1, places + 1)
    draws = np.random.default_rng(seed).random((len(rates), places))
    waiting, total = [], 0.0
    for step in range(len(rates)):
        while waiting and waiting[0][0] <= step:
            _, item, odds, clicked = waiting.pop(0)
            learner.learn(item, odds, clicked)
        page, odds = learner.choose(step)
        best = np.sort(rates[step])[::-1][:places]
        total += float(((best - rates[step][page]) * examined).sum())
        clicked = draws[step] < rates[step][page] * examined
        waiting += [(step + delay, item, odd, bool(hit)) for item, odd, hit in zip(page, odds, clicked, strict=True)]
    return total


def main():
    seeds, steps = int(sys.argv[1]), int(sys.argv[2])
    found = {}
    for name, make in makers().items():
        started = time.process_time()
        regret = {}
        for seed in range(seeds):
            for world, rates, places, delay in worlds(seed, steps):
                regret.setdefault(world, []).append(played(make, rates, places, delay, seed))
        found[name] = {"regret": regret, "us": (time.process_time() - started) / (seeds * 4 * steps) * 1e6}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
