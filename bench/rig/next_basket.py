"""Task 1 of docs/quality-protocol.md, the next basket: tunes, reads the test part, prints, holds the bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from rig import basket_baselines
from rig.bars import Bars, Bounds, Plan, best_of, table_row
from rig.baskets import Answered, Baskets, run
from rig.metrics import difference, interval, ndcg
from rig.quality_shop import PastShop, baskets_answered

ABLATIONS = ("no_own", "no_together", "no_similar")
Part = tuple[int, int]


def primary(answers: Sequence[Answered]) -> float:
    """Mean NDCG@10 over targets of customers with history."""
    return mean(ndcg(each.top, each.relevant) for each in answers if each.kind == "history")


def columns(answers: Sequence[Answered], fresh: Sequence[Answered] | None = None) -> list[Bounds]:
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


def gain(ours: Sequence[Answered], theirs: Sequence[Answered]) -> Bounds:
    """The paired difference of the primary metric, by customer."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.kind == "history"]
    return difference(
        [ndcg(a.top, a.relevant) for a, _ in pairs], [ndcg(b.top, b.relevant) for _, b in pairs],
        [a.customer for a, _ in pairs],
    )  # fmt: skip


async def next_basket(path: Path, directory: Path, bars: Bars, plan: Plan) -> None:
    """Print the table and the bar."""
    baskets = Baskets.read(path)
    tuning = (baskets.tuning, baskets.test)
    part = plan.read(tuning, (baskets.test, len(baskets.all)))
    print(
        f"\nThe next basket: {len(baskets.all)} invoices, {len(baskets.ids)} items. NDCG@10, 95 % intervals by customer"
    )
    results, before = _baselines(baskets, bars, plan, tuning, part)
    ours, tuned = await _tuned(baskets, directory, plan, tuning)
    best = max(before, key=lambda each: primary(before[each]))
    value, low, high = gain(tuned, before[best])
    print(f"  on the tuning part, paired gain over {best}: {value:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)
    tested = await _read(ours, baskets, directory, plan, part)
    counts = [sum(each.kind == kind for each in tested[ours]) for kind in ("history", "first")]
    print(f"\n  {counts[0]} targets of customers with history, {counts[1]} of first-time customers")
    print(f"  {'':32}{'all':>25}{'bought before':>25}{'new to customer':>25}{'first-time':>25}")
    for name, answers in results.items():
        table_row(name, columns(answers))
    table_row("nextpaint", columns(tested[ours], tested[f"{ours}_no_own"]), ours)
    for without in ABLATIONS:
        table_row(f"  {without.replace('_', ' ')}", columns(tested[f"{ours}_{without}"]))
    print()
    for name, answers in results.items():
        at, low, high = gain(tested[ours], answers)
        print(f"  paired gain over {name:32}{at:+.4f} [{low:+.4f}, {high:+.4f}]")
    best = max(results, key=lambda each: primary(results[each]))
    bars.above(f"next basket, NDCG@10 above {best}", gain(tested[ours], results[best])[1], 0.0)


def _baselines(
    baskets: Baskets, bars: Bars, plan: Plan, tuning: Part, part: Part
) -> tuple[dict[str, list[Answered]], dict[str, list[Answered]]]:
    """The answers of every baseline under its best setting: on the part that is read, and on the tuning part."""
    size = len(baskets.ids)
    results: dict[str, list[Answered]] = {}
    before: dict[str, list[Answered]] = {}
    for method in basket_baselines.BASELINES:
        try:
            tried, value = best_of(
                plan.settings_of(method.grid),
                lambda each: primary(list(run(method(size, **each), baskets, *tuning))),  # noqa: B023
            )
        except ImportError as error:
            bars.missing(f"{method.name}: {error}")
            continue
        before[method.name] = list(run(method(size, **tried), baskets, *tuning))
        results[method.name] = list(run(method(size, **tried), baskets, *part))
        print(f"  tuned {method.name}: {value:.4f} {tried or ''}", flush=True)
    return results, before


async def _tuned(baskets: Baskets, directory: Path, plan: Plan, tuning: Part) -> tuple[str, list[Answered]]:
    """Our best setting by the tuning part, and its answers there."""
    shop = await PastShop.open("baskets", directory / "tuning", plan.encoder(), baskets.all[0].time_ms)
    tuned = await baskets_answered(shop, baskets, plan.tuned, tuning)
    await shop.close()
    ours, value = best_of(plan.tuned, lambda each: primary(tuned[each]))
    print(f"  tuned nextpaint: {value:.4f} {ours}", flush=True)
    return ours, tuned[ours]


async def _read(ours: str, baskets: Baskets, directory: Path, plan: Plan, part: Part) -> dict[str, list[Answered]]:
    """The answers of a setting and of its ablations, by a node that lived through everything before the part."""
    shop = await PastShop.open("baskets", directory / "read", plan.encoder(), baskets.all[0].time_ms)
    every = [ours, *(f"{ours}_{without}" for without in ABLATIONS)]
    answers = await baskets_answered(shop, baskets, every, part)
    await shop.close()
    return answers
