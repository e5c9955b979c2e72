"""A Reading over plain Python rows, which remembers what was read of it, and a small shop to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from nextpaint.decide.merchandising import RULES
from nextpaint.decide.model import MODELS
from nextpaint.process.kernels.decay import decay
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import Column
from nextpaint.record.types import BIGINT, DOUBLE, FLOAT, INT, STRING, TIMESTAMP, Field, Type, array, row
from nextpaint.sql.program import Table

NOW_MS = 1_764_000_000_000
MINUTE_MS = 60_000
DIMENSIONS = 64

RECENT = array(row(Field("item_id", STRING), Field("w", DOUBLE), Field("ts", TIMESTAMP)))
HIDDEN = array(row(Field("item_id", STRING), Field("ts", TIMESTAMP)))


def table(name: str, key: Sequence[str], **columns: Type) -> Table:
    fields = tuple(Field(each, type_) for each, type_ in columns.items())
    names = [each.name for each in fields]
    return Table(name, fields, tuple(names.index(each) for each in key))


TABLES: dict[str, Table] = {
    each.name: each
    for each in (
        table("catalog", ["item_id"], item_id=STRING, title=STRING, category=STRING, ts=TIMESTAMP),
        table("inventory", ["item_id"], item_id=STRING, stock=INT, price=DOUBLE, ts=TIMESTAMP),
        table("trending", ["item_id"], item_id=STRING, heat=DOUBLE),
        table("category_interest", ["subject", "category"], subject=STRING, category=STRING, heat=DOUBLE),
        table("recent", ["subject"], subject=STRING, items=RECENT),
        table("carts", ["subject"], subject=STRING, value=DOUBLE, items=BIGINT),
        table("bought", ["subject", "item_id"], subject=STRING, item_id=STRING, heat=DOUBLE),
        table("impressions", [], subject=STRING, item_id=STRING, ts=TIMESTAMP),
        table("orders", [], order_id=STRING, subject=STRING, item_id=STRING, qty=INT, ts=TIMESTAMP),
        table("item_vectors", ["item_id"], item_id=STRING, v=array(FLOAT)),
        table("_seen_impressions", ["subject"], subject=STRING, items=HIDDEN),
        table("_bought_orders", ["subject"], subject=STRING, items=HIDDEN),
        table("page_boost", ["page"], page=STRING, boost=DOUBLE),
        table("placed", ["category", "item_id"], category=STRING, item_id=STRING, heat=DOUBLE),
        MODELS,
        RULES,
        table("by_category", ["category"], category=STRING, margin=DOUBLE),
    )
}
_TOGETHER = table("_together_orders", ["item", "other"], item=STRING, other=STRING, share=DOUBLE)
_FADING = {("trending", "heat"): 120 * MINUTE_MS, ("category_interest", "heat"): 10 * MINUTE_MS}
PERSONAL = {"category_interest", "recent", "carts", "_seen_impressions", "_bought_orders"}


class FakeWhole:
    def __init__(self, reading: FakeReading, name: str) -> None:
        self._reading, self._name = reading, name
        self.keys = [key[0] for key in reading.data[name]]
        self.slots = {key: slot for slot, key in enumerate(self.keys)}
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = self._reading.keyed(self._name, name, self.keys)
        return self._columns[name]

    def codes(self, name: str) -> tuple[np.ndarray[Any, Any], dict[Any, int]]:
        values = self.column(name).to_list()
        of: dict[Any, int] = {}
        return np.array([-1 if each is None else of.setdefault(each, len(of)) for each in values], np.int64), of


class FakeLearned:
    """`arms[arm] = (trials, rewards)`."""

    def __init__(self) -> None:
        self.arms: dict[str, tuple[float, float]] = {}
        self.width = 3
        self.theta: dict[str, Sequence[float]] = {}
        self.inverse: dict[str, Any] = {}
        self.expected, self.came = np.zeros(200), np.zeros(200)
        self.counts: dict[str, int] = {}

    def statistics(self, arms: Sequence[str], as_of_ms: int) -> tuple[Any, Any]:
        found = [self.arms.get(arm, (0.0, 0.0)) for arm in arms]
        return np.array([each[0] for each in found]), np.array([each[1] for each in found])

    def total(self, as_of_ms: int) -> tuple[float, float]:
        return sum(each[0] for each in self.arms.values()), sum(each[1] for each in self.arms.values())

    def models(self, arms: Sequence[str]) -> tuple[Any, Any]:
        zero, one = np.zeros(self.width), np.eye(self.width)
        return np.array([self.theta.get(arm, zero) for arm in arms]), np.array(
            [self.inverse.get(arm, one) for arm in arms]
        )

    def places(self) -> tuple[Any, Any]:
        return self.expected, self.came


class FakeReading:
    """`data[table][key] = row`; `changed[table, key]`: when it last changed. `touched`: every table read."""

    def __init__(self, tables: Mapping[str, Table] = TABLES, time_ms: int = NOW_MS) -> None:
        self.tables = {**tables, "_together_orders": _TOGETHER}
        self.data: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in self.tables}
        self.changed: dict[tuple[str, tuple[Any, ...]], int] = {}
        self.touched: list[str] = []
        self.position = 42
        self.stopped: frozenset[str] = frozenset()
        self.time_ms = time_ms
        self.vector_rows: dict[str, np.ndarray[Any, Any]] = {}
        self._wholes: dict[str, FakeWhole] = {}
        self._vectors: Vectors | None = None
        self.learners: dict[str, FakeLearned] = {}

    def put(self, name: str, changed_ms: int | None = None, **values: Any) -> None:
        declared = self.tables[name]
        line = {each.name: values.get(each.name) for each in declared.fields} | values
        key = tuple(line[declared.names[index]] for index in declared.primary_key)
        self.data[name][key] = line
        self.changed[name, key] = self.time_ms - 12 if changed_ms is None else changed_ms
        self._wholes.pop(name, None)

    def at(self, time_ms: int) -> FakeReading:
        """The same rows, read as of another time."""
        other = FakeReading(self.tables, time_ms)
        other.data, other.changed, other.vector_rows = self.data, self.changed, self.vector_rows
        return other

    def _shown(self, name: str, line: Mapping[str, Any]) -> dict[str, Any]:
        shown = dict(line)
        for (faded, column), half_life_ms in _FADING.items():
            if faded == name and shown[column] is not None:
                shown[column] = decay(shown[column], self.time_ms - NOW_MS, half_life_ms)
        return shown

    def row(self, table: str, key: tuple[Any, ...]) -> dict[str, Any] | None:
        self.touched.append(table)
        found = self.data[table].get(key)
        return None if found is None else self._shown(table, found)

    def rows(self, table: str, prefix: tuple[Any, ...]) -> list[dict[str, Any]]:
        self.touched.append(table)
        keys = sorted(key for key in self.data[table] if key[: len(prefix)] == prefix)
        return [self._shown(table, self.data[table][key]) for key in keys]

    def keyed(self, table: str, column: str, keys: Sequence[Any]) -> Column:
        self.touched.append(table)
        type_ = next(each.type for each in self.tables[table].fields if each.name == column)
        found = [self.data[table].get((key,)) for key in keys]
        return Column.of(type_, [None if each is None else self._shown(table, each)[column] for each in found])

    def whole(self, table: str) -> FakeWhole:
        self.touched.append(table)
        if table not in self._wholes:
            self._wholes[table] = FakeWhole(self, table)
        return self._wholes[table]

    def places(self, table: str, other: str) -> np.ndarray[Any, Any]:
        mine, others = (self.vectors(each) if each == "item_vectors" else self.whole(each) for each in (table, other))
        return np.array([others.slots.get(key, -1) for key in mine.keys], np.int64)

    def vectors(self, table: str) -> Vectors:
        self.touched.append(table)
        if self._vectors is None:
            keys = list(self.vector_rows)
            matrix = np.array([self.vector_rows[key] for key in keys], np.int8).reshape(
                len(keys), DIMENSIONS if not keys else -1
            )
            norms = np.sqrt((matrix.astype(np.float64) ** 2).sum(axis=1))
            slots = {key: at for at, key in enumerate(keys)}
            self._vectors = Vectors(keys, slots, matrix, norms, 0)
        return self._vectors

    def learned(self, name: str) -> FakeLearned:
        self.touched.append(name)
        return self.learners.setdefault(name, FakeLearned())

    def changed_at_ms(self, table: str, keys: Sequence[tuple[Any, ...]]) -> list[int | None]:
        return [self.changed.get((table, key)) for key in keys]


CATEGORIES = ("lanterns", "cake tins", "mugs", "signs", "bags", "toys", "clocks", "candles")


def shop(items: int = 40, seed: int = 7, dimensions: int = DIMENSIONS) -> FakeReading:
    """Items i000.. in eight categories; vectors of a category lie close together; heat falls with the number."""
    chance = Random(seed)
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(len(CATEGORIES), dimensions))
    reading = FakeReading()
    for index in range(items):
        item, place = f"i{index:03d}", index % len(CATEGORIES)
        reading.put("catalog", item_id=item, title=f"Title {index}", category=CATEGORIES[place], ts=NOW_MS)
        reading.put("inventory", item_id=item, stock=5 + index % 50, price=1.0 + index, ts=NOW_MS)
        reading.put("trending", item_id=item, heat=float(items - index))
        vector = centres[place] + 0.3 * generator.normal(size=dimensions)
        reading.vector_rows[item] = np.rint(127 * vector / np.abs(vector).max())
        for other in range(items):
            if other != index and chance.random() < min(0.2, 30 / items):
                counted = {"share": (1 + (index + other) % 5) / math.sqrt((20 + index) * (20 + other))}
                reading.put("_together_orders", item=item, other=f"i{other:03d}", **counted)
    return reading


def visit(reading: FakeReading, subject: str, *events: tuple[str, float, int]) -> None:
    """The person's recent items, as (item, weight, minutes ago), and the interest that follows from them."""
    held = reading.data["recent"].get((subject,), {"items": []})["items"]
    new = [(item, weight, NOW_MS - minutes * MINUTE_MS) for item, weight, minutes in events]
    reading.put("recent", subject=subject, items=[*held, *new])
    for item, weight, _ in events:
        category = reading.data["catalog"][item,]["category"]
        before = reading.data["category_interest"].get((subject, category), {"heat": 0.0})["heat"]
        reading.put("category_interest", subject=subject, category=category, heat=before + weight)
