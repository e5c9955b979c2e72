"""An application's surfaces as its Python names them."""

from nextpaint.application import Application

SQL = b"CREATE TABLE catalog (item_id STRING, heat DOUBLE, PRIMARY KEY (item_id) NOT ENFORCED);"
SURFACES = b"""
from nextpaint.decide import PUSH, Nothing, Surface, Top, Weighted

def made(name):
    return Surface(name, window=PUSH, purpose="service", items="catalog", limit=5,
        retrieve=[Top("catalog", by="heat", k=5)], features={"h": "catalog.heat"}, rank=Weighted(h=1.0),
        fallback=Nothing())

one = made("one")
several = [made("two"), made("three"), one]
settings = {"not": "a surface"}
"""


def test_surfaces_are_named_by_themselves_or_in_lists_each_once():
    application = Application.of({"streams.sql": SQL, "surfaces.py": SURFACES})
    assert [surface.name for surface in application.surfaces] == ["one", "two", "three"]
