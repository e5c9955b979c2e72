"""How much memory state takes, by operator and by statement: estimates from samples, for ceilings and for people.

Not part of state: two nodes may measure differently. What follows from a measurement is a record (`process/halts.py`).
"""

from __future__ import annotations

from nextpaint.process.graph import Graph, Stage
from nextpaint.process.operators.protocol import Operator


def by_operator(graph: Graph) -> dict[str, int]:
    """Bytes of the cells of each operator."""
    found: dict[str, int] = {}
    for name, cell in graph.state.cells.items():
        operator = name.rpartition("/")[0]
        found[operator] = found.get(operator, 0) + cell.size_bytes()
    return found


def by_statement(graph: Graph, operators: dict[str, int]) -> dict[str, int]:
    """Bytes of each INSERT target's statement: its operators, without tables and statements it reads. Operators that
    statements share count for each."""
    return {
        name: sum(operators.get(each.id, 0) for each in _own(stage, {id(s) for s in graph.targets.values()}))
        for name, stage in graph.targets.items()
    }


def _own(stage: Stage, targets: set[int]) -> list[Operator]:
    seen: dict[int, Operator] = {}
    waiting = [stage]
    while waiting:
        each = waiting.pop()
        if id(each.operator) in seen:
            continue
        seen[id(each.operator)] = each.operator
        waiting += [source for source in each.inputs if id(source) not in targets and source.inputs]
    return list(seen.values())
