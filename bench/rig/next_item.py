"""Task 2 of docs/quality-protocol.md, the next new item: tunes, reads the test part, prints, holds the bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from rig import sessions
from rig.bars import Bars, Bounds, Plan, best_of, table_row
from rig.metrics import difference, hit, interval, reciprocal_rank
from rig.quality_shop import PastShop, sessions_answered

ABLATIONS = ("no_session", "no_together", "no_similar")
Part = tuple[int, int]


def hits(named: Sequence[sessions.Named]) -> list[float]:
    """HR@20 of each target that occurred before."""
    return [hit(each.top, each.wanted) for each in named if each.seen]


def columns(named: Sequence[sessions.Named]) -> list[Bounds]:
    """HR@20 and MRR@20 on targets seen before, intervals by session."""
    seen = [each for each in named if each.seen]
    persons = [each.session for each in seen]
    return [interval(hits(named), persons), interval([reciprocal_rank(e.top, e.wanted) for e in seen], persons)]


async def next_item(path: Path, directory: Path, bars: Bars, plan: Plan) -> None:
    """Print the table and the bars."""
    log = sessions.Sessions.read(path)
    tuning = (log.tuning, log.test)
    part = plan.read(tuning, (log.test, len(log.all)))
    print(f"\nThe next new item: {len(log.all)} events of three hours of one shop, {len(log.targets)} targets")
    results = _baselines(log, plan, tuning, part)
    best = max(results, key=lambda each: mean(hits(results[each])))
    results.update(await _ours(log, directory, plan, tuning, part))
    ours = results["nextpaint"]
    unseen = sum(not each.seen for each in ours)
    print(f"  {unseen} of {len(ours)} targets ({unseen / len(ours):.1%}) never occurred before: nobody can name them")
    print(f"\n  {'':32}{'HR@20':>25}{'MRR@20':>25}  n = {len(ours) - unseen}")
    for name, named in results.items():
        table_row(name, columns(named))
    persons = [each.session for each in ours if each.seen]
    for other, bound in ((best, -0.01), ("popularity", 0.0)):
        at, low, high = difference(hits(ours), hits(results[other]), persons)
        print(f"\n  paired gain over {other}: {at:+.4f} [{low:+.4f}, {high:+.4f}]")
        bars.above(f"next item, HR@20 against {other}", low, bound)


def _baselines(log: sessions.Sessions, plan: Plan, tuning: Part, part: Part) -> dict[str, list[sessions.Named]]:
    """The answers of every baseline under its best setting."""
    results: dict[str, list[sessions.Named]] = {}
    for method in sessions.BASELINES:
        tried, value = best_of(
            plan.settings_of(method.grid),
            lambda each: mean(hits(list(sessions.run(method(**each), log, *tuning)))),  # noqa: B023
        )
        results[method.name] = list(sessions.run(method(**tried), log, *part))
        print(f"  tuned {method.name}: {value:.4f} {tried}", flush=True)
    return results


async def _ours(
    log: sessions.Sessions, directory: Path, plan: Plan, tuning: Part, part: Part
) -> dict[str, list[sessions.Named]]:
    """The answers of our best setting, and of it with one part taken away."""
    shop = await PastShop.open("sessions", directory / "tuning", plan.encoder(), log.all[0].time_ms)
    tuned = await sessions_answered(shop, log, plan.tuned, tuning)
    await shop.close()
    ours, value = best_of(plan.tuned, lambda each: mean(hits(tuned[each])))
    print(f"  tuned nextpaint: {value:.4f} {ours}", flush=True)
    shop = await PastShop.open("sessions", directory / "read", plan.encoder(), log.all[0].time_ms)
    every = [ours, *(f"{ours}_{without}" for without in ABLATIONS)]
    answered = await sessions_answered(shop, log, every, part)
    await shop.close()
    named = {ours: "nextpaint"} | {f"{ours}_{each}": f"  {each.replace('_', ' ')}" for each in ABLATIONS}
    return {named[each]: answered[each] for each in every}
