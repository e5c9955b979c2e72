"""How long an application keeps what: `[retention]` of nextpaint.toml.

    [retention]
    replay = "7 days"                 # how far back decisions can be made again; this much unless said otherwise
    decisions = "400 days"
    reads = "2 years"
    events = { age = "90 days", bytes = "50 gb" }
    orders = "3 years"                # a stream of the application, by its name

What is not named is kept for ever. Rows of tables with a primary key always are: their newest records are the rows.
Pure: `stream.retention` does what this says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from nextpaint.process.outputs import DEAD_TOPIC
from nextpaint.record.errors import Diagnostic
from nextpaint.sql.program import Program
from nextpaint.sql.settings import bytes_of
from nextpaint.stream.retention import RetentionClass, RetentionPolicy

DAY_MS = 86_400_000
REPLAY_DAYS = 7
REPLAY = "replay"
EVENTS, DECISIONS, READS, REVIEWS, PROOFS, OUTPUTS = "events", "decisions", "reads", "reviews", "proofs", "outputs"
TOPICS: Mapping[str, tuple[str, ...]] = {
    EVENTS: ("events",),
    DECISIONS: ("decisions", "_propensities"),
    READS: ("_audit",),
    REVIEWS: ("_reviews",),
    PROOFS: ("_proofs",),
    OUTPUTS: (DEAD_TOPIC,),  # and what statements write
}
# A year is 365 days; months differ, so there are none.
_UNITS = {"h": 3_600_000, "hour": 3_600_000, "d": DAY_MS, "day": DAY_MS, "week": 7 * DAY_MS, "year": 365 * DAY_MS}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*")
_WRITE = 'write "90 days", or { age = "90 days", bytes = "50 gb" }'


@dataclass(frozen=True, slots=True)
class Retention:
    """What is declared. `classes`: limits by class or stream; `replay_days`: checkpoints of so many days are kept."""

    classes: Mapping[str, RetentionClass] = field(default_factory=dict)
    replay_days: int = REPLAY_DAYS
    outputs: tuple[str, ...] = ()  # topics that statements write

    def topics(self, name: str) -> tuple[str, ...]:
        """The topics of a class, or of a stream."""
        return (*TOPICS[name], *(self.outputs if name == OUTPUTS else ())) if name in TOPICS else (name,)

    def policy(self, held: Mapping[str, int] | None = None) -> RetentionPolicy:
        """As the ledger takes it, by topic. `held`: see `RetentionPolicy`."""
        limits = {topic: limit for name, limit in self.classes.items() for topic in self.topics(name)}
        return RetentionPolicy(limits, held=held or {}, ordered=frozenset(TOPICS[REVIEWS]))

    @property
    def takes_state(self) -> bool:
        """Whether records go that state is made of."""
        return not self.classes.keys() <= {READS, PROOFS, OUTPUTS}

    def age_ms(self, name: str) -> int | None:
        """How long records of a class are kept; None: for ever."""
        found = self.classes.get(name)
        return None if found is None else found.age_ms_max


def declared(
    settings: Mapping[str, Any], text: str, program: Program, longest_ms: Mapping[str, int], found: list[Diagnostic]
) -> Retention:
    """[retention] as it is written in `text`, the file of the settings. `longest_ms`: for how long decisions wait for
    their outcomes, by what learns from them. What is wrong is added to `found`."""
    written = settings.get("retention")
    outputs = tuple(sorted({each.target for each in program.inserts if not program.tables[each.target].primary_key}))
    if written is None:
        return Retention(outputs=outputs)
    reading = _Reading(text, program, outputs, longest_ms, found)
    if not isinstance(written, dict):
        reading.refuse("", f"[retention] is {written!r}"[:120], _WRITE)
        return Retention(outputs=outputs)
    days = reading.days(written[REPLAY]) if REPLAY in written else REPLAY_DAYS
    classes = {name: reading.limit(name, value, days) for name, value in written.items() if name != REPLAY}
    return Retention({name: each for name, each in classes.items() if each is not None}, days, outputs)


@dataclass(slots=True)
class _Reading:
    text: str
    program: Program
    outputs: Collection[str]
    longest_ms: Mapping[str, int]
    found: list[Diagnostic]

    def refuse(self, name: str, what: str, cure: str) -> None:
        line, column = place(self.text, name)
        self.found.append(Diagnostic("nextpaint.toml", line, column, what, cure))

    def days(self, value: object) -> int:
        length = _length_ms(value)
        if length is None or length % DAY_MS or not DAY_MS <= length <= 366 * DAY_MS:
            cure = 'write whole days, 1 to 366, such as replay = "7 days": a checkpoint of each is kept'
            self.refuse(REPLAY, f"replay is {value!r}"[:120], cure)
            return REPLAY_DAYS
        return length // DAY_MS

    def limit(self, name: str, value: object, replay_days: int) -> RetentionClass | None:
        """The limits of one class; None where something is wrong with it."""
        if not self._known(name):
            return None
        given = value if isinstance(value, dict) else {"age": value}
        age, size = _length_ms(given.get("age")), _size(given.get("bytes"))
        wrong = given.keys() - {"age", "bytes"} or (age is None and size is None)
        if wrong or ("age" in given and age is None) or ("bytes" in given and size is None):
            self.refuse(name, f"{name} is {value!r}"[:120], _WRITE)
            return None
        if name == REVIEWS and size is not None:
            self.refuse(name, "reviews are kept for a time, not up to a size", 'write reviews = "2 years"')
            return None
        if age is not None and age < replay_days * DAY_MS:
            self.refuse(
                name, f"{name} would be kept for less than the {replay_days} days in which decisions can be made again",
                f'keep them {replay_days} days or longer, or write a shorter replay = "1 day"',
            )  # fmt: skip
            return None
        for waiting, longest in self.longest_ms.items():
            if age is not None and age < longest and name != READS and name != PROOFS:
                self.refuse(
                    name,
                    f"{name} would be kept for {_days(age)}, and {waiting} waits {_days(longest)} for its outcomes",
                    f"keep them {_days(longest)} or longer, or shorten the window of the reward",
                )  # fmt: skip
                return None
        return RetentionClass(age, size)

    def _known(self, name: str) -> bool:
        table = self.program.tables.get(name)
        streams = sorted(
            each for each, known in self.program.tables.items()
            if not known.primary_key and not each.startswith("_") and each not in self.outputs
            and each not in ("impressions", *TOPICS)
        )  # fmt: skip
        if name in TOPICS or name in streams:
            return True
        if name in ("impressions",):
            self.refuse(name, "impressions are events, and go with them", 'write events = "90 days"')
        elif table is not None and table.primary_key:
            self.refuse(
                name, f"{name} has a primary key: its newest records are its rows, and are kept for ever",
                f"leave it out; rows go one by one, by DELETE /v1/tables/{name}/rows",
            )  # fmt: skip
        elif name in self.outputs:
            self.refuse(name, f"{name} is written by a statement", 'its records go with outputs = "7 days"')
        else:
            self.refuse(name, f"there is no class or stream {name!r}"[:120], f"known: {', '.join((*TOPICS, *streams))}")
        return False


def _length_ms(value: object) -> int | None:
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    unit = _UNITS.get(match[2]) if match else None
    length = 0 if match is None or unit is None else round(float(match[1]) * unit)
    return length if length > 0 else None


def _size(value: object) -> int | None:
    try:
        size = bytes_of(value) if isinstance(value, str) else 0
    except ValueError:
        return None
    return size if size > 0 else None


def _days(length_ms: int) -> str:
    days = length_ms / DAY_MS
    return f"{days:.0f} days" if days >= 2 else f"{length_ms / 3_600_000:.1f} hours"


def place(text: str, name: str) -> tuple[int, int]:
    """Line and column of a key of [retention], from 1; those of the section where it cannot be told, (0, 0) without
    one."""
    section = (0, 0)
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if words.startswith("["):
            if section[0]:
                break
            section = (number, 1) if re.match(r"\[\s*retention\s*\]", words) else section
        elif section[0] and name and re.match(rf"[\"']?{re.escape(name)}[\"']?\s*[=.]", words):
            return number, len(line) - len(line.lstrip()) + 1
    return section
