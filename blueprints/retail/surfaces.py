"""The surfaces of the gift shop: each one is a list that some page asks for, and how it is decided.

A surface reads from top to bottom: which items could be shown (`retrieve`), which of them must not be (`require`),
what is known about each (`features`), in which order they come (`rank`), what the whole list has to look like
(`rules`), and what happens when nothing is known about the visitor (`cold`) or when the time is up (`fallback`).
`require` holds on every one of those paths: an item that is sold out is never answered.
"""

from nextpaint.decide import (
    WEB_RERANK,
    BoughtTogether,
    Diversify,
    Experiment,
    Flat,
    Given,
    LastGood,
    NotBought,
    NotSeen,
    Optional,
    Own,
    Recent,
    Reward,
    SessionVector,
    Similar,
    Surface,
    ThompsonSampling,
    Top,
    TopOf,
    Weighted,
)

# What the visitor is after now: the mean of the text vectors of the last items, the newest weighing most. A visitor
# without clicks has none, and everything that needs it abstains.
session = SessionVector("recent.items", vectors="item_vectors", half_life="10 min")

home = Surface(
    "home_carousel",
    window=WEB_RERANK,
    purpose="personalisation",
    items="catalog",
    limit=20,
    inputs={"page": str, "item_id": Optional(str)},
    retrieve=[
        Similar("item_vectors", to=session, k=120),
        BoughtTogether("orders", to="recent.items", k=50),
        Top("trending", by="heat", where={"category": TopOf("category_interest", by="heat", n=3)}, k=60),
        Top("trending", by="heat", k=230),
        Recent("recent.items", k=20),
    ],
    require=[
        "inventory.stock > 0",
        "inventory.price > 0",
        NotSeen("impressions", times=12, within="1 h"),
        NotBought("orders", within="30 d"),
    ],
    features={
        "similarity": session,
        "interest": "category_interest.heat",
        "trend": "trending.heat",
        "price": "inventory.price",
        "stock": "inventory.stock",
    },
    # Each feature counts by its largest value among the candidates. What fades counts in full only from 1.0 on, the
    # weight of
    # one view just now: an interest of yesterday, though the only one there is, leaves the page to what the shop buys.
    rank=Weighted(similarity=0.45, interest=0.45, trend=0.10).full_at(similarity=1.0, interest=1.0),
    # At most 8 of the 20 from one family: whoever looks at lanterns sees mostly lanterns on the first screen, and
    # still something else before the end of the list.
    rules=[Diversify(by="category", at_most=8)],
    # The sentence an item is explained with when this feature spoke most for it.
    say={"trend": "Many people look at it and buy it right now."},
    # Why it weighs what it weighs: read by visitors on the page /parameters.
    because={
        "similarity": "What somebody looks at now says most about this visit; it fades by half in ten minutes.",
        "interest": "Who looks at several things of one family usually wants one of it, as long as it is fresh.",
        "trend": "What many people choose today is a fair guess for anybody, so it decides where nothing else does.",
    },
    cold=Top("trending", by="heat", k=200),
    fallback=LastGood(max_age="10 min"),
)

# The shop's own search answers a list of item ids; this puts it into the visitor's order.
search = home.but("search", retrieve=[Given("items")], rules=[], limit=50)

# Six families of the shop side by side, for whoever is still looking around. Which family is worth showing is tried
# out and learned from what is clicked; half of the people see the same row without exploration, to compare with.
discover = home.but(
    "discover",
    limit=6,
    retrieve=[Top("trending", by="heat", k=300)],
    features={"trend": "trending.heat", "price": "inventory.price"},
    rank=Weighted(trend=1.0),
    explore=ThompsonSampling(
        per="category", prior=Flat(strength=20), reward=Reward("clicks", within="30 min"), pool=300
    ),
    experiment=Experiment("trying_families", variants={"trying": {}, "as_ranked": {"explore": None}}),
    rules=[Diversify(by="category", at_most=1)],
    because={"trend": "What many people choose today is a fair guess; within a family it decides."},
)

# What a customer buys again: what they bought before, the more the whole shop buys it now. The console scores it on the
# replayed orders, each guessed before it is known.
buy_again = home.but(
    "buy_again",
    limit=10,
    retrieve=[Own("bought", by="times", k=400), Top("demand", by="times", k=100)],
    require=["inventory.stock > 0", "inventory.price > 0"],
    features={"again": "bought.times * SQRT(demand.times)", "demand": "demand.times", "price": "inventory.price"},
    rank=Weighted(again=1.0, demand=0.1),
    rules=[],
    say={"again": "You bought it before.", "demand": "Many customers buy it these days."},
    because={
        "again": "A shop buys again what it sold; how much so depends on what is in season.",
        "demand": "Who never bought here gets what others buy these days.",
    },
    cold=Top("demand", by="times", k=100),
)

# What a nightly job would have shown, the same for everybody: no personal data is read. The page sends the frozen list
# of its item (bought together, then popular) as `items`, and the order stays as sent: no weight, so all scores are
# equal. Without `items` it is the frozen popularity.
last_night = Surface(
    "last_night",
    window=WEB_RERANK,
    purpose="service",
    items="catalog",
    limit=20,
    inputs={"page": str, "item_id": Optional(str)},
    retrieve=[Given("items")],
    require=["inventory.stock > 0", "inventory.price > 0"],
    features={"popularity": "yesterday.score"},
    rank=Weighted(popularity=0.0),
    cold=Top("yesterday", by="score", k=200),
    fallback=LastGood(max_age="10 min"),
)
