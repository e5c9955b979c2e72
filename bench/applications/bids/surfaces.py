"""Advertisements that bid in `tmax`, and a page of the same items."""

from nextpaint.decide import BID_INPUTS, RTB, WEB_RERANK, Bid, Nothing, NotSeen, Own, Surface, Top, Weighted

ads = Surface(
    "ads",
    window=RTB,
    purpose="advertising",
    items="catalog",
    limit=5,
    inputs={**BID_INPUTS},
    retrieve=[Own("likes", by="heat", k=50), Top("trending", by="heat", k=100), Top("catalog", by="cpm", k=100)],
    require=[
        "catalog.active",
        Bid(seat="s1", vendor=755, network_ms=20),
        NotSeen("impressions", times=3, within="1 d"),
    ],
    features={"likes": "likes.heat", "trend": "trending.heat", "price": "catalog.cpm"},
    rank=Weighted(likes=0.5, trend=0.3, price=0.2),
    cold=Top("catalog", by="cpm", k=50),
    fallback=Nothing(),
)
home_carousel = Surface(
    "home_carousel",
    window=WEB_RERANK,
    purpose="personalisation",
    items="catalog",
    limit=20,
    inputs={"page": str},
    retrieve=[Own("likes", by="heat", k=50), Top("trending", by="heat", k=200)],
    require=["catalog.active", NotSeen("impressions", times=3, within="1 h")],
    features={"likes": "likes.heat", "trend": "trending.heat"},
    rank=Weighted(likes=0.7, trend=0.3),
    cold=Top("catalog", by="cpm", k=50),
)
