"""The surfaces of the next-item task: 24 settings drawn from the grid of the protocol, and ablations."""

import random
from itertools import product

from nextpaint.decide import EMAIL, BoughtTogether, Nothing, SessionVector, Similar, Surface, Top, TopOf, Weighted

GRID = {
    "half_life": ("2 min", "10 min"),
    "shop": ("h1", "h6"),
    "together": (0.5, 1.0, 2.0),
    "category": (0.5, 1.0, 2.0),
    "demand": (0.1, 0.3),
    "similar": (0.0, 0.1),
}


ABLATIONS = {
    "no_session": ("together", "category", "similarity"),
    "no_together": ("together",),
    "no_similar": ("similarity",),
}


def surface(
    name: str, half_life: str, shop: str, together: float, category: float, demand: float, similar: float,
    without: str = "",
) -> Surface:  # fmt: skip
    """`no_session`: nothing of what the session did; `no_together`: no co-visitation; `no_similar`: no embedding."""
    session = SessionVector("recent.items", vectors="item_vectors", half_life=half_life)
    viewed = BoughtTogether("viewed", to="recent.items", k=100, basket="subject", half_life=half_life)
    of_category = Top("trending", by=shop, where={"category": TopOf("category_interest", by="heat", n=1)}, k=150)
    parts = {  # feature: what finds its items, what it reads, its weight
        "together": (viewed, viewed, together),
        "category": (of_category, "category_interest.heat", category),
        "demand": (Top("trending", by=shop, k=100), f"trending.{shop}", demand),
        "similarity": (Similar("item_vectors", to=session, k=50), session, similar),
    }
    kept = {feature: part for feature, part in parts.items() if feature not in ABLATIONS.get(without, ())}
    return Surface(
        f"{name}_{without}" if without else name,
        window=EMAIL,
        purpose="personalisation",
        items="catalog",
        limit=100,
        retrieve=[found for found, _, _ in kept.values()],
        require=[],
        features={feature: source for feature, (_, source, _) in kept.items()},
        rank=Weighted(**{feature: weight for feature, (_, _, weight) in kept.items()}),
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
