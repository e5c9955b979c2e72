"""The older spelling of windows: GROUP BY TUMBLE(ts, size), HOP(ts, slide, size) or SESSION(ts, gap).

It is the aggregation that a window table function with GROUP BY window_start, window_end is; TUMBLE_START, TUMBLE_END
and TUMBLE_ROWTIME (and those of the others) are the window's bounds and time, called with the arguments of GROUP BY.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nextpaint.sql import syntax
from nextpaint.sql.aggregates import positive_ms
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import ColumnRef, Expr, Window, WindowKind
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import PendingWindow, Relation, led_by
from nextpaint.sql.sources import Environment, windowable, zone_of

# function -> its usage, and the places of its length and its slide among its arguments.
_FUNCTIONS = {
    "TUMBLE": ("TUMBLE(ts, INTERVAL '1' MINUTE)", 1, None),
    "HOP": ("HOP(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)", 2, 1),
    "SESSION": ("SESSION(ts, INTERVAL '30' MINUTE)", 1, None),
}
_EDGES = ("START", "END", "ROWTIME")


@dataclass(frozen=True, slots=True)
class GroupWindow:
    """A window in GROUP BY. `relation`: FROM with the window waiting; `select`: GROUP BY without it; `args`: bound."""

    relation: Relation
    select: syntax.Select
    function: str
    args: tuple[Expr, ...]

    def edge(self, node: syntax.Call) -> int | None:
        """0, 1 or 2 for a call of the window's start, end or time; None for any other."""
        function, _, part = node.name.rpartition("_")
        if function != self.function or part not in _EDGES:
            return None
        binder = Binder(self.relation.scope)
        if tuple(binder.value(each) for each in node.args) != self.args:
            usage = f"GROUP BY {self.function}(...) and {node.name}(...) with the same arguments"
            raise Refusal(f"{node.name} of a window that is not in GROUP BY", node.at, usage)
        return _EDGES.index(part)


def group_window(env: Environment, select: syntax.Select, relation: Relation) -> GroupWindow | None:
    """The window that GROUP BY calls; None when it calls none."""
    calls = [each for each in select.group if isinstance(each, syntax.Call) and each.name in _FUNCTIONS]
    if not calls:
        return None
    call = calls[0]
    if len(calls) > 1 or select.sets or relation.window is not None:
        cure = "use FROM TABLE(TUMBLE(...)) and GROUP BY window_start, window_end"
        raise Refusal(f"{call.name} in GROUP BY together with another window or grouping sets", calls[-1].at, cure)
    usage, size, step = _FUNCTIONS[call.name]
    binder = Binder(relation.scope)
    args = tuple(binder.value(each) for each in call.args)
    if len(args) != size + 1:
        raise Refusal(f"{call.name} in GROUP BY takes {size + 1} arguments", call.at, usage)
    relation, time = windowable(env, relation, args[0], syntax.Ident(call.name, call.at))
    window = Window(
        WindowKind(call.name),
        positive_ms(args[size], "the window's length", usage),
        positive_ms(args[step], "the slide", usage) if step is not None else 0,
        zone=zone_of(env, time),
    )
    rest = [each for each in select.group if each is not call]
    keys = tuple(dict.fromkeys(binder.value(each) for each in rest))
    schema = relation.node.schema
    pending = PendingWindow(call.name, window, time.index, keys, len(schema.fields), call.at)
    waiting = Relation(led_by(relation.node, time.index), relation.scope, pending)
    return GroupWindow(waiting, replace(select, group=tuple(rest)), call.name, args)


def has_columns(relation: Relation, keys: list[Expr]) -> bool:
    """Does GROUP BY name both bounds of the window table function that waits for it?"""
    assert relation.window is not None
    named = {each.index for each in keys if isinstance(each, ColumnRef)}
    return {relation.window.first, relation.window.first + 1} <= named
