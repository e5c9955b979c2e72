"""Pages of 20 out of 200 and of 1,000 candidates, with every stage there is; and what is similar, nothing else."""

from nextpaint.decide import (
    WEB_RERANK,
    BoughtTogether,
    Diversify,
    EpsilonGreedy,
    LastGood,
    Model,
    NotBought,
    NotSeen,
    Recent,
    Reward,
    SessionVector,
    Similar,
    Surface,
    Top,
    TopOf,
    Weighted,
)

session = SessionVector("recent.items", vectors="item_vectors", half_life="10 min")
reward = Reward("clicks", by="decision_id", within="30 min", trial="impressions")


def page(candidates: int) -> Surface:
    return Surface(
        f"page_{candidates}",
        window=WEB_RERANK,
        purpose="personalisation",
        items="catalog",
        limit=20,
        retrieve=[
            Similar("item_vectors", to=session, k=candidates // 2),
            BoughtTogether("orders", to="recent.items", k=50),
            Top(
                "trending", by="heat", where={"category": TopOf("category_interest", by="heat", n=3)}, k=candidates // 4
            ),
            Top("trending", by="heat", k=candidates * 3 // 4),
            Recent("recent.items", k=10),
        ],
        require=[
            "catalog.stock > 0",
            NotSeen("impressions", times=3, within="1 h"),
            NotBought("orders", within="30 d"),
        ],
        features={
            "similarity": session,
            "interest": "category_interest.heat",
            "trend": "trending.heat",
            "price": "catalog.price",
            "stock": "catalog.stock",
        },
        rank=Model("ranker", until_trained=Weighted(similarity=0.5, interest=0.3, trend=0.2), reward=reward),
        explore=EpsilonGreedy(0.05, reward=reward),
        rules=[Diversify(by="category", at_most=8)],
        cold=Top("trending", by="heat", k=candidates),
        fallback=LastGood(max_age="10 min"),
    )


page_200 = page(200)
page_1000 = page(1_000)

alike = Surface(
    "alike",
    window=WEB_RERANK,
    purpose="personalisation",
    items="catalog",
    limit=10,
    retrieve=[Similar("item_vectors", to=session, k=20)],
    features={"similarity": session},
    rank=Weighted(similarity=1.0),
)
