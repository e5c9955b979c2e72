"""The surfaces of the feed: what to watch next, what was begun, what everybody watches.

`require` holds on every path: a title whose rights ended, one that is not for this age, and one that was just seen to
its end are never answered, by no list and by no fallback.
"""

from nextpaint.decide import (
    WEB_RERANK,
    Diversify,
    LastGood,
    NotWatched,
    Optional,
    Recent,
    SessionVector,
    Similar,
    Surface,
    Top,
    TopOf,
    Weighted,
)

# What the last stories were about: the mean of the vectors of their synopses, the newest weighing most, a story seen
# to its end eight times as much as one that was begun. Half of it is gone after two hours: tomorrow begins anew.
evening = SessionVector("recent.items", vectors="synopsis_vectors", half_life="2 h", text="synopsis")

SHOWABLE = ["rights.available", "titles.age <= COALESCE(inputs.age, 18)"]
# Similar, and not ten of the same: at most four of the eighteen are of one kind, whatever the ranking says; makers are
# spread before that.
MIXED = [Diversify(by="maker", at_most=2), Diversify(by="kind", at_most=4)]

tonight = Surface(
    "tonight",
    window=WEB_RERANK,
    purpose="personalisation",
    items="titles",
    limit=18,
    inputs={"page": Optional(str), "age": Optional(int)},
    retrieve=[
        Similar("synopsis_vectors", to=evening, k=60),
        Top("titles", by="released", where={"kind": TopOf("kind_interest", by="heat", n=3)}, k=33),
        Top("popular", by="heat", k=60),
        Top("titles", by="released", k=60),
    ],
    require=[*SHOWABLE, NotWatched("completions", within="30 d")],
    features={
        "similarity": evening,
        "interest": "kind_interest.heat",
        "popular": "popular.heat",
        "reached": "progress.reached",
    },
    # An interest counts in full from 4.0 on: one story, seen to its end, just now.
    rank=Weighted(similarity=0.45, interest=0.40, popular=0.15).full_at(interest=4.0),
    rules=MIXED,
    say={
        "similarity": "Told like what you just watched.",
        "interest": "You are in the mood for this kind: {about}.",
        "popular": "Many people watch it tonight.",
    },
    show=("reached",),
    cold=Top("titles", by="released", k=176),
    fallback=LastGood(max_age="10 min"),
)

# Begun and not finished, the newest first.
keep_watching = Surface(
    "keep_watching",
    window=WEB_RERANK,
    purpose="personalisation",
    items="titles",
    limit=8,
    inputs={"page": Optional(str), "age": Optional(int)},
    retrieve=[Recent("recent.items", k=40)],
    require=[*SHOWABLE, "progress.reached < 0.9", NotWatched("completions", within="30 d")],
    features={"reached": "progress.reached"},
    show=("reached",),
)

# The same for everybody: no personal data is read.
everybody = Surface(
    "everybody",
    window=WEB_RERANK,
    purpose="service",
    items="titles",
    limit=12,
    inputs={"page": Optional(str), "age": Optional(int)},
    # The newest as well: where everybody watches the same kind, the rule needs something to mix in.
    retrieve=[Top("popular", by="heat", k=100), Top("titles", by="released", k=60)],
    require=SHOWABLE,
    features={"popular": "popular.heat"},
    rank=Weighted(popular=1.0),
    rules=MIXED,
    say={"popular": "Many people watch it tonight."},
    show=(),
    cold=Top("titles", by="released", k=176),
    fallback=LastGood(max_age="10 min"),
)
