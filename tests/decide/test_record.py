"""What a record holds: no raw identifier, bounded lists, and what scores and hashes follow from."""

import msgspec

from nextpaint.decide import BoughtTogether, Similar, Top, TopOf
from nextpaint.decide.codec import decoded, encoded
from nextpaint.decide.rank import contributions
from tests.decide.reading import shop, visit
from tests.decide.surfaces import HOME, SESSION, decide, decider

BIG = HOME.but(
    "home_carousel",
    limit=20,
    retrieve=[
        Similar("item_vectors", to=SESSION, k=200),
        BoughtTogether("orders", to="recent.items", k=50),
        Top("trending", by="heat", where={"category": TopOf("category_interest", by="heat", n=3)}, k=50),
    ],
)


def big_decision(**body):
    reading = shop(800)
    clicks = [("i003", 1.3), ("i011", 4.0), ("i012", 1.7), ("i100", 1.1), ("i005", 2.9)]
    visit(reading, "s1", *[(item, weight, minutes) for minutes, (item, weight) in enumerate(clicks)])
    for index in range(0, 800, 40):
        reading.put("inventory", item_id=f"i{index:03d}", stock=0, price=1.0)
    return decide(decider(BIG), reading, ["s" * 32], **body) if body else decide(decider(BIG), reading)


def test_no_raw_identifier_is_in_it():
    data = encoded(big_decision(userId="anna@example.com", anonymousId="anon-77").record)
    assert b"anna" not in data
    assert b"anon-77" not in data


def test_removed_ids_are_bounded_and_counted_in_full():
    reading = shop(300)
    for item in list(reading.vector_rows):
        reading.put("inventory", item_id=item, stock=0, price=1.0)
    surface = HOME.but("home_carousel", retrieve=[Top("trending", by="heat", k=300)])
    (removed,) = decide(decider(surface), reading).record.filters
    assert (removed.removed, len(removed.ids)) == (300, 200)


def test_the_score_follows_from_what_is_stored():
    record = decoded(encoded(big_decision().record))
    for item in record.items:
        values = dict(zip([each.name for each in record.features], item.values, strict=True))
        assert sum(contributions(record.rank.weights, record.rank.scales, values).values()) == item.score


def test_measured_times_are_not_part_of_its_digest():
    record = big_decision().record
    slower = tuple(msgspec.structs.replace(each, ms=9.5) for each in record.stages)
    assert msgspec.structs.replace(record, stages=slower).digest() == record.digest()
    assert msgspec.structs.replace(record, seed=2).digest() != record.digest()


def test_the_matrix_hash_sees_every_candidate_and_value():
    reading = shop()
    visit(reading, "s1", ("i003", 1.0, 1))
    before = decide(decider(), reading).record.matrix
    assert decide(decider(), reading).record.matrix == before
    reading.put("inventory", item_id="i003", stock=9, price=4.01)
    assert decide(decider(), reading).record.matrix != before
