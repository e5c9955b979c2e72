"""How good recommendations are, by docs/quality-protocol.md: tuned on the past, read once on the rest.

    scripts/bench quality --uci online_retail.parquet [--rees46 events_sample.parquet] [--movielens DIR]

A task whose file is not named is skipped and says so. Exit status 1 when a bar fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

from rig import basket_baselines, films, sessions
from rig.baskets import Answered, Baskets, run
from rig.metrics import difference, hit, interval, ndcg, reciprocal_rank
from rig.paraphrases import encoders_compared
from rig.quality_shop import PastShop, baskets_answered, sessions_answered

from nextpaint.models.embedding import SentenceEncoder

T = TypeVar("T")
BUDGET, SEED = 24, 20261125
TUNED = tuple(f"tuned_{number}" for number in range(BUDGET))


class Bars:
    """What must hold; printed where it is read, remembered for the exit status."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.read = 0

    def above(self, what: str, low: float, bound: float) -> None:
        self.read += 1
        passed = low > bound
        print(f"{'PASS' if passed else 'FAIL'}  {what}: lower bound {low:+.4f}, to be above {bound:g}")
        if not passed:
            self.failed.append(what)


def settings_of(grid: Any) -> list[dict[str, Any]]:
    """The configurations a method may try: all of its grid, or as many as everybody gets."""
    every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return random.Random(SEED).sample(every, BUDGET) if len(every) > BUDGET else every


def best_of(candidates: Iterable[T], score: Callable[[T], float]) -> tuple[T, float]:
    scored = [(score(each), number, each) for number, each in enumerate(candidates)]
    value, _, chosen = max(scored, key=lambda each: (each[0], -each[1]))
    return chosen, value


def table_row(name: str, columns: Sequence[tuple[float, float, float]], remark: str = "") -> None:
    print(f"  {name:32}" + "".join(f"{at:8.4f} [{low:.4f}, {high:.4f}]" for at, low, high in columns) + f"  {remark}")


# ---------------------------------------------------------------- next basket


def primary(answers: Sequence[Answered]) -> float:
    return mean(ndcg(each.top, each.relevant) for each in answers if each.kind == "history")


def basket_columns(
    answers: Sequence[Answered], fresh: Sequence[Answered] | None = None
) -> list[tuple[float, float, float]]:
    """All, repeats only and new items only for customers with history; first-time customers. `fresh`: whose list of new
    items counts."""
    known = [each for each in answers if each.kind == "history"]
    first = [each for each in answers if each.kind == "first"]
    repeated = [each for each in known if each.repeated]
    explored = [each for each in (fresh or answers) if each.kind == "history" and each.relevant - each.repeated]
    return [
        interval([ndcg(each.top, each.relevant) for each in known], [each.customer for each in known]),
        interval([ndcg(each.top, each.repeated) for each in repeated], [each.customer for each in repeated]),
        interval(
            [ndcg(each.fresh, each.relevant - each.repeated) for each in explored],
            [each.customer for each in explored],
        ),
        interval([ndcg(each.top, each.relevant) for each in first], [each.customer for each in first]),
    ]


async def next_basket(path: Path, directory: Path, bars: Bars) -> None:
    baskets = Baskets.read(path)
    size, parts = len(baskets.ids), ((baskets.tuning, baskets.test), (baskets.test, len(baskets.all)))
    print(f"\nThe next basket: {len(baskets.all)} invoices, {size} items. NDCG@10 with 95 % intervals by customer")
    results: dict[str, list[Answered]] = {}
    chosen: dict[str, str] = {}
    for method in basket_baselines.BASELINES:
        tried, value = best_of(
            settings_of(method.grid),
            lambda each: primary(list(run(method(size, **each), baskets, *parts[0]))),  # noqa: B023
        )
        results[method.name] = list(run(method(size, **tried), baskets, *parts[1]))
        chosen[method.name] = f"tuned {value:.4f} {tried or ''}"
        print(f"  tuned {method.name}: {value:.4f} {tried or ''}", flush=True)
    ours, value, tested = await _ours_on_baskets(baskets, directory, parts)
    print(f"\n  {'':32}{'all':>25}{'bought before':>25}{'new to customer':>25}{'first-time':>25}")
    for name, answers in results.items():
        table_row(name, basket_columns(answers))
    table_row("nextpaint", basket_columns(tested[ours], tested[f"{ours}_no_own"]), f"{ours}, tuned {value:.4f}")
    for name in sorted(tested):
        if name != ours:
            table_row(f"  {name.removeprefix(ours)[1:].replace('_', ' ')}", basket_columns(tested[name]))
    best = max(results, key=lambda each: primary(results[each]))
    bars.above(f"next basket, NDCG@10 above {best}", _gain(tested[ours], results[best])[1], 0.0)


def _gain(ours: Sequence[Answered], theirs: Sequence[Answered]) -> tuple[float, float, float]:
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.kind == "history"]
    found = difference(
        [ndcg(a.top, a.relevant) for a, _ in pairs], [ndcg(b.top, b.relevant) for _, b in pairs],
        [a.customer for a, _ in pairs],
    )  # fmt: skip
    print(f"\n  paired gain {found[0]:+.4f} [{found[1]:+.4f}, {found[2]:+.4f}]")
    return found


async def _ours_on_baskets(
    baskets: Baskets, directory: Path, parts: Sequence[tuple[int, int]]
) -> tuple[str, float, dict[str, list[Answered]]]:
    shop = await PastShop.open("baskets", directory / "tuning", SentenceEncoder(), baskets.all[0].time_ms)
    tuned = await baskets_answered(shop, baskets, TUNED, parts[0])
    await shop.close()
    ours, value = best_of(TUNED, lambda each: primary(tuned[each]))
    print(f"  tuned nextpaint: {value:.4f} {ours}", flush=True)
    shop = await PastShop.open("baskets", directory / "test", SentenceEncoder(), baskets.all[0].time_ms)
    every = [ours, *(f"{ours}_{part}" for part in ("no_own", "no_together", "no_similar"))]
    tested = await baskets_answered(shop, baskets, every, parts[1])
    await shop.close()
    return ours, value, tested


# ---------------------------------------------------------------- next item of a session


def hits(named: Sequence[sessions.Named]) -> list[float]:
    return [hit(each.top, each.wanted) for each in named if each.seen]


async def next_item(path: Path, directory: Path, bars: Bars) -> None:
    log = sessions.Sessions.read(path)
    parts = ((log.tuning, log.test), (log.test, len(log.all)))
    print(f"\nThe next new item: {len(log.all)} events of three hours of one shop, {len(log.targets)} targets")
    results: dict[str, list[sessions.Named]] = {}
    for method in sessions.BASELINES:
        tried, value = best_of(
            settings_of(method.grid),
            lambda each: mean(hits(list(sessions.run(method(**each), log, *parts[0])))),  # noqa: B023
        )
        results[method.name] = list(sessions.run(method(**tried), log, *parts[1]))
        print(f"  tuned {method.name}: {value:.4f} {tried}", flush=True)
    shop = await PastShop.open("sessions", directory / "tuning", SentenceEncoder(), log.all[0].time_ms)
    tuned = await sessions_answered(shop, log, TUNED, parts[0])
    await shop.close()
    ours, value = best_of(TUNED, lambda each: mean(hits(tuned[each])))
    print(f"  tuned nextpaint: {value:.4f} {ours}", flush=True)
    shop = await PastShop.open("sessions", directory / "test", SentenceEncoder(), log.all[0].time_ms)
    results["nextpaint"] = (await sessions_answered(shop, log, [ours], parts[1]))[ours]
    await shop.close()
    unseen = [each for each in results["nextpaint"] if not each.seen]
    share = len(unseen) / len(results["nextpaint"])
    print(f"  {share:.1%} of {len(results['nextpaint'])} test targets never occurred before: nobody can name them")
    print(f"\n  {'':32}{'HR@20':>25}{'MRR@20':>25}")
    for name, named in results.items():
        seen = [each for each in named if each.seen]
        persons = [each.session for each in seen]
        ranks = [reciprocal_rank(each.top, each.wanted) for each in seen]
        table_row(name, [interval(hits(named), persons), interval(ranks, persons)])
    persons = [each.session for each in results["nextpaint"] if each.seen]
    best = max((name for name in results if name != "nextpaint"), key=lambda each: mean(hits(results[each])))
    for other, bound in ((best, -0.01), ("popularity", 0.0)):
        low = difference(hits(results["nextpaint"]), hits(results[other]), persons)[1]
        bars.above(f"next item, HR@20 against {other}", low, bound)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uci", type=Path, help="UCI Online Retail as Parquet")
    parser.add_argument("--rees46", type=Path, help="REES46 events as Parquet")
    parser.add_argument("--movielens", type=Path, help="folder with ratings.parquet and movies.parquet")
    parser.add_argument("--data", type=Path, help="directory for the nodes; default: /dev/shm where it exists")
    options = parser.parse_args()
    shm = Path("/dev/shm")
    bars = Bars()
    with tempfile.TemporaryDirectory(dir=options.data or (shm if shm.is_dir() else None)) as held:
        for name, path, task in (
            ("uci", options.uci, next_basket), ("rees46", options.rees46, next_item),
            ("movielens", options.movielens, films.next_films),
        ):  # fmt: skip
            if path is None:
                print(f"\n{name}: skipped, name its file with --{name}")
            else:
                await task(path, Path(held) / name, bars)
        encoders_compared()
    print(
        f"\n{len(bars.failed)} of {bars.read} bars failed"
        if bars.read
        else "\nno bar was read: name the files of the tasks"
    )
    return 1 if bars.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
