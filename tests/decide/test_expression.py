"""Features computed by SQL expressions over facts and inputs."""

import pytest

from tests.decide.reading import shop
from tests.decide.surfaces import HOME, decider
from tests.decide.test_facts import feature


@pytest.fixture
def reading():
    made = shop()
    made.put("bought", subject="s1", item_id="i001", heat=4.0)
    made.put("bought", subject="s2", item_id="i001", heat=5.0)
    return made


def test_facts_combine_in_columns(reading):
    assert feature(reading, "inventory.price * 2.0 + 1.0") == [3.0, 5.0, 7.0, 9.0]


def test_a_person_and_an_item_meet(reading):
    assert feature(reading, "SQRT(bought.heat) * inventory.price") == [None, 4.0, None, None]


def test_linked_devices_add_before_the_expression(reading):
    assert feature(reading, "SQRT(bought.heat)", subjects=("s1", "s2"))[1] == 3.0


def test_what_is_missing_can_be_given_a_value(reading):
    assert feature(reading, "COALESCE(bought.heat, 0.5)") == [0.5, 4.0, 0.5, 0.5]


def test_where_it_fails_it_is_unknown(reading):
    assert feature(reading, "CAST(10 AS INT) / CAST(inventory.price - 2 AS INT)") == [-10.0, None, 10.0, 5.0]


def test_without_a_person_nothing_personal_is_read(reading):
    assert feature(reading, "bought.heat + 1", subjects=()) == [None] * 4


def test_every_fact_of_it_is_known_to_be_read():
    surface = HOME.but("home_carousel", features={"x": "bought.heat * trending.heat"}, rank=None, require=[])
    assert decider(surface).reads == {"bought": ("subject", "item_id"), "trending": ("item_id",)}
