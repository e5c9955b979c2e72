"""OPTIONS hints: `FROM t /*+ OPTIONS('k' = 'v') */`, in Flink the table WITH other options for this one reader.

Every option that a table takes here says what its records mean or how its watermark goes on, for all of its readers. So
a hint may say what the table says, and one that says otherwise is refused: it would be another table.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.sql.formats import JSON
from nextpaint.sql.program import Table
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.settings import BACKBONE, check_options, duration_ms
from nextpaint.sql.syntax import Option

_FORMATS = ("format", "value.format")
_IDLE_TIMEOUT = "scan.watermark.idle-timeout"


def check_option_hints(options: Sequence[Option], name: str, table: Table | None) -> None:
    """Refuse options that would change the table; None: `name` is a view or a query of WITH."""
    for each in options:
        if table is None:
            raise Refusal(f"{name} is a query, and options are of tables", each.at, "put the hint into the query")
        check_options({each.key: each.value}, {each.key: each.at}, each.at)
        own = _own(table, each.key)
        if not _same(each, own):
            said = f"'{own}'" if own else "not there"
            cure = f"put it into WITH of CREATE TABLE {name}, or leave it out"
            raise Refusal(f"OPTIONS cannot change a table: '{each.key}' of {name} is {said}", each.at, cure)


def _own(table: Table, key: str) -> str:
    """What the table says, or what goes without saying; empty when it says nothing."""
    if key in _FORMATS:
        return table.option("format") or table.option("value.format") or JSON
    return table.option(key, BACKBONE if key == "connector" else "")


def _same(option: Option, own: str) -> bool:
    if option.key == _IDLE_TIMEOUT and own:
        return duration_ms(option.value) == duration_ms(own)
    return option.value == own
