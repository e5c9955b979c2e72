"""The surfaces of the next-basket task: 24 settings drawn from the grid of the protocol, and ablations.

What a customer bought before comes again, and more so while the whole shop buys it: seasons end. So a candidate counts
by its own frequency times a power of the shop's present demand, plus a little demand for who has no history.
"""

import random
from itertools import product

from nextpaint.decide import EMAIL, BoughtTogether, Nothing, Own, SessionVector, Similar, Surface, Top, Weighted

session = SessionVector("recent.items", vectors="item_vectors", half_life="30 d")

GRID = {
    "own": ("d60", "d90", "d180", "d360"),
    "shop": ("d3", "d7", "d14"),
    "power": (0.25, 0.5, 0.75),
    "demand": (0.05, 0.1, 0.2),
    "together": (0.05, 0.1),
    "similar": (0.01, 0.03),
}

ABLATIONS = ("no_own", "no_together", "no_similar")


def surface(
    name: str, own: str, shop: str, power: float, demand: float, together: float, similar: float, without: str = ""
) -> Surface:
    retrieve = {
        "no_own": Own("bought", by=own, k=400),
        "demand": Top("trending", by=shop, k=100),
        "no_together": BoughtTogether("orders", to="recent.items", k=100, half_life="30 d"),
        "no_similar": Similar("item_vectors", to=session, k=50),
    }
    features = {
        "no_own": ("again", f"bought.{own} * POWER(trending.{shop} + 0.01, CAST({power} AS DOUBLE))", 1.0),
        "demand": ("demand", f"trending.{shop}", demand),
        "no_together": ("together", retrieve["no_together"], together),
        "no_similar": ("similarity", session, similar),
    }
    kept = [each for name, each in features.items() if name != without]
    return Surface(
        f"{name}_{without}" if without else name,
        window=EMAIL,
        purpose="personalisation",
        items="catalog",
        limit=100,
        retrieve=[each for name, each in retrieve.items() if name != without],
        require=[],
        features={name: source for name, source, _ in kept},
        rank=Weighted(**{name: weight for name, _, weight in kept}),
        cold=Top("trending", by=shop, k=100),
        fallback=Nothing(),
    )


def configurations() -> list[Surface]:
    """Every setting of the sample, whole and with one part taken away."""
    every = list(product(*GRID.values()))
    chosen = random.Random(20261125).sample(every, 24)
    return [
        surface(f"tuned_{number}", *settings, without=without)
        for number, settings in enumerate(chosen)
        for without in ("", *ABLATIONS)
    ]


tuned = configurations()
