"""What SET and WITH may say: every key there is, what it does, and how its value is checked.

A key that nothing reads is refused, with what is near: a typo would change nothing and say nothing. Keys that steer a
Flink cluster (memory, checkpoints, restarts) are accepted and mean nothing here, so that one text serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal, near

_DURATION = re.compile(r"\s*\d+(\.\d+)?\s*[a-zA-Z]*\s*\Z")


def _duration(value: str) -> str:
    return "" if _DURATION.match(value) else "write a duration like '5 s', '10 min' or '1 h'"


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb|tb|)\s*\Z", re.IGNORECASE)


def _size(value: str) -> str:
    return "" if _SIZE.match(value) else "write a size like '512 mb' or '4 gb'"


def _switch(value: str) -> str:
    return "" if value.lower() in ("true", "false") else "write 'true' or 'false'"


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda value: "" if value.upper() in words else f"write {' or '.join(words)}"


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "write a zone like 'UTC' or 'Europe/Berlin'"
    return ""


def _anything(value: str) -> str:
    return ""


def _one_of_formats(value: str) -> str:
    known = ("json", "debezium-json", "avro", "avro-confluent")
    return "" if value in known else f"one of {', '.join(known)}"


# key -> (what it does, check of the value: empty or the cure)
SETTINGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "nextpaint.events.lateness": ("how late the built-in streams may be", _duration),
    "nextpaint.idle-advance": ("a silent source's watermark follows the clock after this long", _duration),
    "nextpaint.state.ceiling": (
        "memory the state of the application may take, by default a quarter of the machine's; a statement halts there",
        _size,
    ),
    "table.exec.source.idle-timeout": ("a source silent this long holds no watermark back; 0 = off", _duration),
    "table.exec.sink.not-null-enforcer": (
        "a NULL for a NOT NULL column: ERROR sends the row to the dead letters, DROP drops it",
        _one_of("ERROR", "DROP"),
    ),
    "table.exec.sink.require-on-conflict": ("false: no warning where rows replace each other by key", _switch),
    "table.exec.sink.upsert-materialize": ("accepted; a table with a key is always materialised", _anything),
    "table.exec.state.ttl": ("how long state that is not touched is kept; 0 = for ever", _duration),
    "table.local-time-zone": ("the session's zone: how instants are shown and read", _zone),
}
# Prefixes of keys that concern a Flink cluster only.
IGNORED = (
    "pipeline.",
    "execution.",
    "parallelism.",
    "state.",
    "restart-strategy",
    "rest.",
    "sql-client.",
    "jobmanager.",
    "taskmanager.",
    "metrics.",
    "table.optimizer.",
    "table.exec.mini-batch.",
    "table.exec.resource.",
    "table.exec.async-",
    "table.plan.",
    "table.dml-sync",
    "python.",
)
# Options of CREATE TABLE.
OPTIONS: dict[str, tuple[str, Callable[[str], str]]] = {
    "connector": ("'nextpaint', the node's own backbone, which is also meant without it", _anything),
    "value.format": (
        "'json', the default, 'debezium-json': changes with before, after and op, which need no PRIMARY KEY, 'avro' or "
        "'avro-confluent'; also `format`",
        _one_of_formats,
    ),
    "format": ("as `value.format`", _one_of_formats),
    "value.avro-confluent.schemas": (
        "the schemas that wrote the records, a JSON object by id; also `avro-confluent.schemas` with `format`",
        _anything,
    ),
    "avro-confluent.schemas": ("as `value.avro-confluent.schemas`", _anything),
    "scan.watermark.idle-timeout": ("a source silent this long holds no watermark back", _duration),
}
BACKBONE = "nextpaint"
_HERE = "leave WITH out: the table lives on the node's own backbone"
CONNECTORS_ELSEWHERE = {
    "kafka": f"{_HERE}, and rows are sent to it over HTTP",
    "upsert-kafka": f"{_HERE}; a PRIMARY KEY makes it an upsert table",
    "filesystem": f"{_HERE}; `nextpaint load` sends rows of a file",
    "datagen": f"{_HERE}; `nextpaint load` makes traffic",
    "print": f"{_HERE}; read it with `nextpaint sql`",
    "blackhole": f"{_HERE}",
    "jdbc": f"{_HERE}; copy the rows to it over HTTP",
}


def check_setting(key: str, value: str, at: At) -> None:
    """Refuse a SET that nothing would read, or whose value cannot be meant."""
    known = SETTINGS.get(key)
    if known is not None:
        cure = known[1](value)
        if cure:
            raise Refusal(f"'{value}' is no value of '{key}'", at, cure)
    elif not key.startswith(IGNORED):
        raise Refusal(f"unknown setting '{key}'", at, near(key, SETTINGS))


def check_options(options: Mapping[str, str], places: Mapping[str, At], at: At) -> None:
    """Refuse connectors that are not there and options nothing would read."""
    connector = options.get("connector", BACKBONE)
    if connector != BACKBONE:
        cure = CONNECTORS_ELSEWHERE.get(connector) or _HERE
        raise Refusal(f"there is no connector '{connector}' here", places.get("connector", at), cure)
    for key, value in options.items():
        known = OPTIONS.get(key)
        if known is None:
            raise Refusal(f"unknown option '{key}'", places.get(key, at), f"supported: {', '.join(sorted(OPTIONS))}")
        cure = known[1](value)
        if cure:
            raise Refusal(f"'{value}' is no value of '{key}'", places.get(key, at), cure)


def duration_ms(text: str) -> int:
    """A duration as settings write it: `5 s`, `10 min`, `250 ms`, `1 h`, `1 d`, or plain milliseconds."""
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text.strip()[len(number) :].strip() or "ms"
    factors = {"ms": 1, "s": 1000, "sec": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    if unit not in factors or not number.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is not a duration: write it like '5 s', '10 min' or '1 h'")
    return round(float(number) * factors[unit])


def bytes_of(text: str) -> int:
    """A size as settings write it: `512 mb`, `4 gb`, or plain bytes. Units are powers of 1024."""
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size: write it like '512 mb' or '4 gb'")
    units = ("", "b", "kb", "mb", "gb", "tb")
    factor: int = 1024 ** max(units.index(match.group(2).lower()) - 1, 0)
    return round(float(match.group(1)) * factor)
