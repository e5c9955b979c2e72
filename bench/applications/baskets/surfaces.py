"""The surfaces of the next-basket task: 24 settings drawn from the grid of the protocol, and ablations.

What a customer bought before comes again, and more so while the whole shop buys it: seasons end. So a candidate counts
by its own frequency times a power of the shop's present demand, plus a little demand for who has no history.
"""

import random
from itertools import product

from nextpaint.decide import EMAIL, BoughtTogether, Nothing, Own, SessionVector, Similar, Surface, Top, Weighted

session = SessionVector("recent.items", vectors="item_vectors", half_life="30 d")

GRID = {
    "own": ("d30", "d60", "d90", "d180"),
    "shop": ("d3", "d7", "d14"),
    "power": (0.25, 0.5, 0.75, 1.0),
    "demand": (0.05, 0.1, 0.2),
    "similar": (0.0, 0.02, 0.05),
}


def surface(name: str, own: str, shop: str, power: float, demand: float, similar: float) -> Surface:
    return Surface(
        name,
        window=EMAIL,
        purpose="personalisation",
        items="catalog",
        limit=100,
        retrieve=[
            Own("bought", by=own, k=400),
            Top("trending", by=shop, k=100),
            BoughtTogether("orders", to="recent.items", k=100, half_life="30 d"),
            Similar("item_vectors", to=session, k=50),
        ],
        require=[],
        features={
            "again": f"bought.{own} * POWER(trending.{shop} + 0.01, CAST({power} AS DOUBLE))",
            "demand": f"trending.{shop}",
            "similarity": session,
        },
        rank=Weighted(again=1.0, demand=demand, similarity=similar),
        cold=Top("trending", by=shop, k=100),
        fallback=Nothing(),
    )


def configurations() -> list[Surface]:
    every = list(product(*GRID.values()))
    chosen = random.Random(20261125).sample(every, 24)
    return [surface(f"tuned_{number}", *settings) for number, settings in enumerate(chosen)]


tuned = configurations()
