"""How long a decision's record is kept and can be made again, and which decisions can be: from what an application
declares ([retention]), what retention took already, and the checkpoints that are left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from nextpaint.decide.retention import DAY_MS, DECISIONS, TOPICS, Retention
from nextpaint.engine.replay import SEQ_MAX, Frames, gone_from, gone_text, moment, require_whole
from nextpaint.ports import Disk
from nextpaint.process import checkpoint
from nextpaint.process.graph import Graph, Stage
from nextpaint.process.operators.protocol import Operator
from nextpaint.process.sources import Source
from nextpaint.stream.lost import Lost, since
from nextpaint.stream.retention import GRACE_MS

FOR_EVER = "This record is kept as long as the node's ledger is: nothing deletes it by itself."
GONE_WITHIN_MS = GRACE_MS + 2 * DAY_MS  # a segment is sealed after a day, and looked at every hour


def day(at_ms: int) -> str:
    """A date, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def length(length_ms: int) -> str:
    """A length of time as it is declared."""
    days = length_ms / DAY_MS
    return f"{days:.0f} days" if days == int(days) else f"{length_ms / 3_600_000:.0f} hours"


def size(bytes_: int) -> str:
    """A size as it is declared."""
    for unit in ("tb", "gb", "mb", "kb"):
        whole = 1024 ** (("kb", "mb", "gb", "tb").index(unit) + 1)
        if bytes_ % whole == 0:
            return f"{bytes_ // whole} {unit}"
    return f"{bytes_} bytes"


@dataclass(frozen=True, slots=True)
class Term:
    """How long the record of a decision made at `time_ms` exists. `again`: whether it can be made again now."""

    retention: Retention
    time_ms: int
    again: bool
    taken: bool  # whether retention took any record yet

    @property
    def until_ms(self) -> int | None:
        age = self.retention.age_ms(DECISIONS)
        return None if age is None else self.time_ms + age

    @property
    def again_until_ms(self) -> int | None:
        """Until when it can be made again, at least; None for as long as the ledger is kept."""
        limited = self.retention.takes_state or self.taken
        return self.time_ms + self.retention.replay_days * DAY_MS if limited else None

    @property
    def sentence(self) -> str:
        limit = self.retention.classes.get(DECISIONS)
        if limit is None:
            return f"{FOR_EVER} {self._again}"
        sizes = None if limit.bytes_max is None else f"newer ones take {size(limit.bytes_max)}"
        if limit.age_ms_max is None:
            return f"This record is kept until {sizes}, or longer. {self._again}"
        until = day(self.time_ms + limit.age_ms_max)
        sooner = f", or when {sizes}" if sizes else ""
        kept = f"This record is kept for {length(limit.age_ms_max)}, until {until}{sooner}"
        return f"{kept}; it is deleted by {day(self.time_ms + limit.age_ms_max + GONE_WITHIN_MS)}. {self._again}"

    @property
    def _again(self) -> str:
        if self.again_until_ms is None:
            return "It can be made again from the ledger for as long."
        if not self.again:
            return "It is recorded, no longer recomputable."
        until = day(self.again_until_ms)
        return f"It can be made again from the ledger until {until} at least, unless a person is erased before."

    def told(self) -> dict[str, Any]:
        """As data. Times in ms, None for as long as the ledger is kept."""
        until, again = self.until_ms, self.again_until_ms
        return {
            "class": DECISIONS,
            "until_ms": until, "until": None if until is None else day(until),
            "recomputable": self.again,
            "recomputable_until_ms": again, "recomputable_until": None if again is None else day(again),
        }  # fmt: skip


class Horizon(NamedTuple):
    """Where states can be made again from: of all positions from `seq` on. `start`: None is the first record."""

    start: checkpoint.Checkpoint | None
    seq: int
    told: str


def horizon(ledger: Frames, disk: Disk | None) -> Horizon:
    """The horizon of a ledger: the first record, as long as all are there; else the oldest whole checkpoint."""
    gone = gone_from(ledger)
    if not gone:
        return Horizon(None, -1, "the first record")
    for applied in () if disk is None else checkpoint.positions(disk):
        found = checkpoint.read(disk, applied) if disk is not None else None
        if found is not None:
            return Horizon(found, applied, f"the checkpoint of {moment(found.header.at_ms)}")
    return Horizon(None, SEQ_MAX, f"nothing: {gone_text(gone)} were let go, and there is no checkpoint")


def nearest(ledger: Frames, disk: Disk, seq: int) -> checkpoint.Checkpoint | None:
    """What a state at a position is made from: None is the first record. Raises ReplayError beyond the horizon."""
    if not gone_from(ledger):
        return None
    start = checkpoint.newest(disk, seq)
    if start is None:
        require_whole(ledger)
    return start


# ---------------------------------------------------------------- what state made anew would miss


def topics_of(graph: Graph) -> dict[str, frozenset[str]]:
    """The topics that each table, index, learner and experiment of an application is made of."""
    found = {
        name: frozenset(each.topic for each in _below(stage) if isinstance(each, Source))
        for name, stage in _named(graph).items()
    }
    return {name: frozenset({each.topic}) for name, each in graph.sources.items()} | found


def made_anew(old: Graph, new: Graph) -> set[str]:
    """The tables, indexes, learners and experiments of an application whose state another does not have, all of it."""
    unknown = {name.rpartition("/")[0] for name in new.state.cells.keys() - old.state.cells.keys()}
    found = {name for name, stage in _named(new).items() if any(each.id in unknown for each in _below(stage))}
    return found | {
        name for name, each in new.sources.items() if each.rows_table is not None and each.rows_table.id in unknown
    }  # fmt: skip


def _named(graph: Graph) -> dict[str, Stage]:
    named: dict[str, Stage] = dict(graph.targets)
    by_operator = {id(each.operator): each for each in graph.stages}
    for group in (graph.together, graph.vectors, graph.learners, graph.exposures):
        for name, operator in group.items():
            named[name] = by_operator[id(operator)]
    return named


def _below(stage: Stage) -> list[Operator]:
    """The operators that one is made of, itself as well."""
    found, open_ = [], [stage]
    while open_:
        each = open_.pop()
        found.append(each.operator)
        open_ += each.inputs
    return found


def missing(topics: Mapping[str, Collection[str]], gone: Sequence[Lost]) -> dict[str, int]:
    """Of these tables those whose history is not whole -> from when it is (ledger time, ms)."""
    begins = {name: since(gone, each) for name, each in topics.items()}
    return {name: begin for name, begin in begins.items() if begin is not None}


def short(topics: Mapping[str, Collection[str]], retention: Retention) -> dict[str, str]:
    """Tables that will have only so much history when they are made anew -> what of."""
    limits = {topic: name for name in retention.classes for topic in retention.topics(name)}
    found = {name: sorted({limits[each] for each in below if each in limits}) for name, below in topics.items()}
    return {
        name: ", ".join(f"{each} are kept {kept_text(retention, each)}" for each in classes)
        for name, classes in found.items()
        if classes
    }


def classes_kept(retention: Retention) -> dict[str, str]:
    """Every class of records, and stream that is limited: how long it is kept."""
    names = dict.fromkeys([*TOPICS, *retention.classes])
    return {name: kept_text(retention, name) if name in retention.classes else "for ever" for name in names}


def kept_text(retention: Retention, name: str) -> str:
    """How long a class is kept, in words."""
    limit = retention.classes[name]
    age = "" if limit.age_ms_max is None else f"for {length(limit.age_ms_max)}"
    room = "" if limit.bytes_max is None else f"up to {size(limit.bytes_max)}"
    return " and ".join(filter(None, (age, room)))
