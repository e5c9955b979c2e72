"""What surfaces need from the engine before they can run: hidden statements, indexes, vectors and live readings.

Known from the declarations alone, so the engine can plan the hidden SQL together with the application's. Names of
hidden tables start with an underscore; two surfaces that need the same thing share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cooccurrence:
    """An index of items that share a basket: `reading.rows(name, (item,))` gives rows {other STRING, n BIGINT, baskets
    BIGINT, other_baskets BIGINT}.

    Rows of `table` with equal `basket` are one basket; `n` counts the baskets that hold both items, `baskets` those
    that hold the item, `other_baskets` those that hold the other. At most `others_max` rows per item are given, those
    with the largest n (ties: smaller `other`).
    """

    name: str
    table: str
    basket: str
    item: str
    others_max: int


@dataclass(frozen=True, slots=True)
class VectorTable:
    """`reading.vectors(name)`: one vector per row of `items`, embedded from its `text` column."""

    name: str
    items: str
    text: str


@dataclass(frozen=True, slots=True)
class LearnerNeed:
    """`reading.learned(name)`: what is learned from `trials` (decision_id, item_id) and `rewards` (decision_id,
    item_id, value, ts), hidden tables. `width`: length of a linear arm's context, 0 for Beta statistics."""

    name: str
    trials: str
    rewards: str
    within_ms: int
    half_life_ms: int
    width: int
    ridge: float


@dataclass(frozen=True, slots=True)
class ExposureNeed:
    """Who is shown which variant of experiment `name`, and what came of it; tables as of a `LearnerNeed`."""

    name: str
    trials: str
    rewards: str
    within_ms: int


@dataclass(frozen=True, slots=True)
class Requirements:
    """Everything a set of surfaces needs.

    statements: SQL statements, in an order that plans. live: (table, columns) read by key as of the request. whole:
    tables read in full, which therefore need a one-column primary key and a mirror.
    """

    statements: tuple[str, ...] = ()
    cooccurrences: tuple[Cooccurrence, ...] = ()
    vectors: tuple[VectorTable, ...] = ()
    learners: tuple[LearnerNeed, ...] = ()
    exposures: tuple[ExposureNeed, ...] = ()
    live: tuple[tuple[str, tuple[str, ...]], ...] = ()
    whole: tuple[str, ...] = ()


@dataclass(slots=True)
class Needs:
    """Where the stages of one surface write what they need; `items` is the surface's items table, `features` the names
    of its features."""

    items: str
    statements: dict[str, None] = field(default_factory=dict)
    cooccurrences: dict[str, Cooccurrence] = field(default_factory=dict)
    vectors: dict[str, VectorTable] = field(default_factory=dict)
    learners: dict[str, LearnerNeed] = field(default_factory=dict)
    exposures: dict[str, ExposureNeed] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    live: dict[str, dict[str, None]] = field(default_factory=dict)
    whole: dict[str, None] = field(default_factory=dict)

    def read(self, table: str, column: str) -> None:
        """`table.column` is read by key."""
        self.live.setdefault(table, {})[column] = None

    def read_path(self, path: str) -> None:
        """`path` = "table.column" is read by key; other forms are the business of the check that follows."""
        table, dot, column = path.partition(".")
        if dot:
            self.read(table, column)

    def first_seen(self) -> str:
        """A hidden table of when each item was first written, by the ledger's clock; gives its name. The stream it is
        made from has a row for every record of the items table: see `Application`."""
        stream, name = WRITTEN + self.items, f"_first_seen_{self.items}"
        time = "TIMESTAMP_LTZ(3)"
        self.statements[f"CREATE TABLE `{stream}` (item_id STRING, seen {time} METADATA FROM 'timestamp' VIRTUAL)"] = (
            None
        )
        self.statements[f"CREATE TABLE `{name}` (item_id STRING, seen {time}, PRIMARY KEY (item_id) NOT ENFORCED)"] = (
            None
        )
        self.statements[f"INSERT INTO `{name}` SELECT item_id, MIN(seen) FROM `{stream}` GROUP BY item_id"] = None
        self.whole[name] = None
        return name

    def item_lists(self, name: str, source: str, item: str, time: str) -> None:
        """A hidden table `name`: per subject the last `KEPT` (item, time) rows of `source`."""
        self.statements[
            f"CREATE TABLE `{name}` (subject STRING, items ARRAY<ROW<item_id STRING, ts TIMESTAMP(3)>>, "
            "PRIMARY KEY (subject) NOT ENFORCED)"
        ] = None
        self.statements[
            f"INSERT INTO `{name}` SELECT subject, LAST_N(ROW(`{item}`, `{time}`), {KEPT}) "
            f"FROM `{source}` GROUP BY subject"
        ] = None
        self.read(name, "items")


WRITTEN = "_written_"  # and the name of an items table: a row for each record of it
KEPT = 500  # 25 pages of 20 impressions: more than a person sees in an hour; ~20 KB a person at most


def collect(every: Iterable[Needs]) -> Requirements:
    """One set of requirements out of every surface's needs, in order, without repeats."""
    total = Needs("")
    for needs in every:
        total.statements |= needs.statements
        total.cooccurrences |= needs.cooccurrences
        total.vectors |= needs.vectors
        total.learners |= needs.learners
        total.exposures |= needs.exposures
        total.whole |= needs.whole
        for table, columns in needs.live.items():
            total.live.setdefault(table, {}).update(columns)
    return Requirements(
        tuple(total.statements),
        tuple(total.cooccurrences.values()),
        tuple(total.vectors.values()),
        tuple(total.learners.values()),
        tuple(total.exposures.values()),
        tuple((table, tuple(columns)) for table, columns in total.live.items()),
        tuple(total.whole),
    )
