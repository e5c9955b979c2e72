"""What a node says about itself: the console's status and Prometheus metrics. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nextpaint import __version__
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.intake import Intake
from nextpaint.engine.node import Node
from nextpaint.engine.retaining import Retaining


def status(node: Node, intake: Intake, deciding: Deciding) -> dict[str, Any]:
    """Everything the console page shows."""
    now = node.ports.clock.now_ms()
    observed, application = node.observed, node.application
    frames = observed.frames.per_second(now)
    window = next((each.window for each in deciding.decider.surfaces), None)
    last = intake.last_event
    totals = {name: count for name, count in observed.counters}
    decided = deciding.total.count
    return {
        "application": {"name": application.name, "title": application.title, "hash": application.hash},
        "engine": __version__,
        "now_ms": now,
        "uptime_s": round((now - node.started_ms) / 1000, 1),
        "read_only": node.ledger.read_only,
        "positions": {
            "durable": node.durable,
            "applied": node.runner.applied,
            # Everything applied has told what it had to, as far as the ledger holds the last output.
            "emitted": node.runner.applied if node.ledger.emitted >= node.emitted else node.ledger.emitted[0],
            "frame": node.ledger.next_frame - 1,
        },
        "rates": {
            "events_per_s": round(observed.events.per_second(now), 1),
            "decisions_per_s": round(observed.decisions.per_second(now), 1),
            "frames_per_s": round(frames, 1),
        },
        "totals": {
            "events": observed.events.total,
            "decisions": decided,
            "frames": node.ledger.next_frame,
            "quarantined": totals.get("quarantined", 0),
            "duplicates": totals.get("duplicates", 0),
            "degraded": totals.get("degraded", 0),
            "refused": totals.get("refused", 0),
            "without_near_misses": totals.get("without_near_misses", 0),
            "late": sum(node.runner.late().values()),
            "dead": node.runner.dead,
        },
        "late_by_operator": node.runner.late(),
        "latency": _latencies(node, deciding),
        "window": {
            "name": window.name,
            "total_ms": window.total_ms,
            "ingest_ms": window.ingest_ms,
            "process_ms": window.process_ms,
            "govern_ms": window.govern_ms,
        }
        if window
        else None,
        "fraction_inside": round(deciding.inside / decided, 5) if decided else None,
        "last_event": {
            "event": last.event,
            "item_id": last.item_id,
            "subject": last.subject,
            "stages": [{"name": name, "ms": round(ms, 3)} for name, ms in last.stages],
        },
        "tables": list(_tables(node)),
        "vectors": {
            "ready": sum(len(each.texts) for each in node.runner.graph.vectors.values()),
            "missing": sum(each.missing for each in node.runner.graph.vectors.values()),
            "model": node.embedding[0],
            "failed": node.embedding[1],
        },
        "dedup": {"entries": node.dedup.span().entries, "span_ms": node.dedup.span().ms},
        "recent_decisions": deciding.recent,
    }


def _latencies(node: Node, deciding: Deciding) -> dict[str, Any]:
    return {
        "decide": deciding.total.summary(),
        "commit": deciding.commit.summary(),
        "answering": deciding.answering.summary(),
        "ingest_commit": node.observed.commit.summary(),
        "apply": node.observed.apply.summary(),
        "stages": {name: each.summary() for name, each in deciding.stages.items()},
        "longest_slice_ms": round(node.turns.longest_slice_ms, 3),
    }


def _tables(node: Node) -> Iterator[dict[str, Any]]:
    halted = node.runner.halts.targets()
    for name, live in node.tables.live.items():
        if not name.startswith("_"):
            reading = "live" if live.reach.by_key else "final"
            whole = "live" if live.reach.whole else "final"
            yield {"name": name, "rows": len(live.table.rows), "held": live.held, "reading": reading, "whole": whole,
                   "as_of": live.reach.as_of, "bytes": node.ceiling.statements.get(name),
                   "halted_at_seq": halted.get(name)}  # fmt: skip


_HELP = {
    "events_total": "events admitted",
    "decisions_total": "decisions answered",
    "frames_total": "frames made durable",
    "state_bytes": "memory that state takes, estimated",
    "state_ceiling_bytes": "memory that state may take",
    "statement_state_bytes": "memory of the operators of a statement, estimated",
    "retention_freed_bytes_total": "bytes that retention gave back to the disk",
    "retention_oldest_timestamp_seconds": "ledger time of the oldest segment that has records of a class",
    "retention_oldest_frame": "first frame of the oldest segment that has records of a class",
    "retention_kept_bytes": "bytes of the records of a class",
    "retention_next_run_seconds": "until retention looks again",
    "replay_horizon_timestamp_seconds": "ledger time of the oldest checkpoint",
    "statement_halted": "1 for a statement that halted at the memory ceiling",
}


def metrics(node: Node, deciding: Deciding, retaining: Retaining) -> str:
    """Prometheus text format, version 0.0.4."""
    lines: list[str] = []

    def say(name: str, kind: str, value: float, labels: str = "") -> None:
        if not any(line.startswith(f"# TYPE nextpaint_{name} ") for line in lines):
            if name in _HELP:
                lines.append(f"# HELP nextpaint_{name} {_HELP[name]}")
            lines.append(f"# TYPE nextpaint_{name} {kind}")
        lines.append(f"nextpaint_{name}{labels} {value}")

    observed = node.observed
    say("events_total", "counter", observed.events.total)
    say("decisions_total", "counter", deciding.total.count)
    say("state_bytes", "gauge", node.ceiling.bytes)
    say("state_ceiling_bytes", "gauge", node.ceiling.limit)
    for name, size in sorted(node.ceiling.statements.items()):
        say("statement_state_bytes", "gauge", size, f'{{target="{name}"}}')
    for name in sorted(node.runner.halts.targets()):
        say("statement_halted", "gauge", 1, f'{{target="{name}"}}')
    say("frames_total", "counter", node.ledger.next_frame)
    for name, count in observed.counters:
        say(f"{name}_total", "counter", count)
    for name, value in (("durable", node.durable), ("applied", node.runner.applied), ("emitted", node.emitted.seq)):
        say("position", "gauge", value, f'{{of="{name}"}}')
    say("records_waiting", "gauge", node.turns.waiting_records)
    say("pending_bytes", "gauge", node.writer.pending_bytes)
    say("state_rows", "gauge", node.runner.state.rows())
    span = node.dedup.span()
    say("dedup_entries", "gauge", span.entries)
    say("dedup_span_seconds", "gauge", span.ms / 1000)
    say("dedup_conflicts_total", "counter", node.dedup.conflicts)
    say("read_only", "gauge", int(node.ledger.read_only is not None))
    for operator, count in sorted(node.runner.late().items()):
        say("late_rows_total", "counter", count, f'{{operator="{operator}"}}')
    say("dead_rows_total", "counter", node.runner.dead)
    _retention(retaining.told(), node.ports.clock.now_ms(), say)
    latencies = {"decide": deciding.total, "commit": deciding.commit, "answering": deciding.answering}
    for name, latency in {**latencies, "apply": observed.apply}.items():
        for share in (0.5, 0.99, 0.999):
            say(f"{name}_seconds", "summary", latency.percentile(share) / 1000, f'{{quantile="{share}"}}')
        lines.append(f"nextpaint_{name}_seconds_sum {latency.sum_ms / 1000}")
        lines.append(f"nextpaint_{name}_seconds_count {latency.count}")
    return "\n".join(lines) + "\n"


def _retention(kept: dict[str, Any], now_ms: int, say: Callable[..., None]) -> None:
    """What is kept, and what retention did."""
    say("retention_freed_bytes_total", "counter", kept["bytes_freed"])
    say("retention_rewritten_segments_total", "counter", kept["segments_rewritten"])
    say("retention_emptied_segments_total", "counter", kept["segments_emptied"])
    say("retention_failed", "gauge", int(bool(kept["failed"])))
    if kept["next_ms"] is not None:
        say("retention_next_run_seconds", "gauge", max(kept["next_ms"] - now_ms, 0) / 1000)
    if kept["horizon"] is not None:
        say("replay_horizon_timestamp_seconds", "gauge", kept["horizon"]["at_ms"] / 1000)
    held = [each for each in kept["classes"] if each["oldest_frame"] is not None]
    for name, field, unit in (
        ("retention_kept_bytes", "bytes", 1), ("retention_oldest_frame", "oldest_frame", 1),
        ("retention_oldest_timestamp_seconds", "oldest_at_ms", 1000),
    ):  # fmt: skip
        for each in held:
            say(name, "gauge", each[field] / unit, f'{{class="{each["class"]}"}}')
