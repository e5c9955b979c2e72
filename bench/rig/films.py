"""The last set of films of each user (MovieLens small). No bar: people typed ratings into a form.

Ratings of a user within 30 minutes are one unordered set; the last set is left out and is the target. Films rated
before are nobody's candidates. The users' sets go through the same engine and baselines as baskets do.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np

from nextpaint.connect.orders import OrderLine
from rig import basket_baselines
from rig.bars import Bars, Plan
from rig.baskets import Answered, Basket, Baskets, run
from rig.metrics import interval, ndcg
from rig.quality_shop import PastShop, baskets_answered

GAP_MS = 30 * 60_000
LIKED = 4.0
OURS = "tuned_0_no_own"  # nothing is watched twice here, so nothing is tuned: the first setting, without repeats


def sets_of(folder: Path) -> tuple[Baskets, set[str]]:
    """Every user's sets as baskets in time order, and the ids of the last sets."""
    import pyarrow.parquet  # an optional extra

    titles = {row["movieId"]: row for row in pyarrow.parquet.read_table(folder / "movies.parquet").to_pylist()}
    by_user: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    for row in pyarrow.parquet.read_table(folder / "ratings.parquet").to_pylist():
        by_user[row["userId"]].append((int(row["event_time"].timestamp() * 1000), row["movieId"], row["rating"]))
    index: dict[str, int] = {}
    baskets: list[Basket] = []
    last: set[str] = set()
    for user, rated in by_user.items():
        rated.sort()
        starts = [place for place, each in enumerate(rated) if not place or each[0] - rated[place - 1][0] > GAP_MS]
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(rated)], strict=True)):
            name = f"{user}-{number}"
            lines = tuple(
                OrderLine(name, time_ms, str(user), str(film), 1, 1.0, titles[film]["title"])
                for time_ms, film, rating in rated[start:end]
                if rating >= LIKED
            )
            if lines:
                items = sorted({index.setdefault(line.item_id, len(index)) for line in lines})
                baskets.append(Basket(name, lines[-1].time_ms, str(user), np.array(items, np.int64), lines))
        if len(starts) > 1:
            last.add(f"{user}-{len(starts) - 1}")
    baskets.sort(key=lambda each: (each.time_ms, each.order_id))
    return Baskets(baskets, list(index), 0, 0), last


def last_sets(answers: list[Answered], baskets: Baskets, last: set[str]) -> list[Answered]:
    """The answers to targets that are some user's last set."""
    names = [basket.order_id for basket in baskets.all if basket.is_target]
    return [each for each, name in zip(answers, names, strict=True) if name in last and each.relevant - each.repeated]


async def next_films(folder: Path, directory: Path, bars: Bars, plan: Plan) -> None:
    """Print the table; there is no bar."""
    baskets, last = sets_of(folder)
    part = (0, len(baskets.all))
    print(f"\nThe last set of films: {len(baskets.all)} sets with a film rated {LIKED:g} or better, {len(last)} users")
    print(f"  {'':32}{'NDCG@10':>25}{'HR@10':>25}")
    for method in (basket_baselines.Popularity, basket_baselines.ItemNeighbours):
        _row(method.name, last_sets(list(run(method(len(baskets.ids)), baskets, *part)), baskets, last))
    shop = await PastShop.open("baskets", directory, plan.encoder(), baskets.all[0].time_ms)
    answers = (await baskets_answered(shop, baskets, [OURS], part))[OURS]
    await shop.close()
    _row("nextpaint", last_sets(answers, baskets, last))


def _row(name: str, answers: list[Answered]) -> None:
    users = [each.customer for each in answers]
    fresh = [each.relevant - each.repeated for each in answers]
    gains = [ndcg(each.fresh, wanted) for each, wanted in zip(answers, fresh, strict=True)]
    hits = [float(bool(wanted & set(each.fresh))) for each, wanted in zip(answers, fresh, strict=True)]
    columns = "".join(f"{at:8.4f} [{low:.4f}, {high:.4f}]" for at, low, high in map(_bounds(users), (gains, hits)))
    print(f"  {name:32}{columns}  n = {len(answers)}, mean set {mean(map(len, fresh)):.1f}")


def _bounds(users: list[str]):
    return lambda values: interval(values, users)
