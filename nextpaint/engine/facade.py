"""The engine's table of contents: everything an edge can ask of a node, each call on behalf of a principal.

    ingest  put_items  put_rows      what enters
    delete_items  delete_rows        what is taken away
    busy                             why nothing may enter just now
    decide  decide_page              what is decided
    explain  what_if  prepare  events_before   why, and what would have been otherwise
    prove  proofs                    decisions made again every night, and compared
    contest  reviews  close_review   people who look at decisions
    person                           what is kept about one person, and was decided for them
    erase  erasures  erasure  lift   a person is forgotten, and the receipt
    flags  experiments               who is in which variant, and what came of it
    learning                         what exploration knows
    models  promote  roll_back       which trained models rank
    rules  put_rule  delete_rule     what the shop's people want of a page
    parameters                       how pages are chosen, for the people they are shown to
    query                            SQL over live tables
    apply                            another application
    retention  retain                what is kept how long, what goes next, and letting it go now
    status  metrics  ready           how it is

All calls run on the event loop that owns the node's state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.decide.arms import arms_told, regret
from nextpaint.decide.comparison import compared
from nextpaint.decide.merchandising import Rule
from nextpaint.decide.review import Contest, Finding
from nextpaint.engine import observing
from nextpaint.engine.auditing import Read, stated
from nextpaint.engine.bidding import Bidding
from nextpaint.engine.deciding import Deciding, Terms
from nextpaint.engine.erasing import Asked, Erasing
from nextpaint.engine.explaining import Explaining
from nextpaint.engine.intake import Intake, Receipt
from nextpaint.engine.kept import made_anew, missing, short, topics_of
from nextpaint.engine.nearest import Followed, VectorIndex
from nextpaint.engine.node import Node, NodeSettings
from nextpaint.engine.proofs import Proofs
from nextpaint.engine.publishing import Publishing
from nextpaint.engine.registry import Registry, Upload
from nextpaint.engine.replay import moment
from nextpaint.engine.retaining import Retaining, planned_told
from nextpaint.engine.reviewing import Reviewing
from nextpaint.engine.ruling import Ruling
from nextpaint.engine.supposing import Change
from nextpaint.govern.access import ADMIN, DECIDE, READ, Principal
from nextpaint.govern.door import Door, DoorSettings
from nextpaint.models.embedding import Embedder
from nextpaint.ports import Ports, Workers
from nextpaint.ports.promise import Promise
from nextpaint.process.graph import Graph, build
from nextpaint.process.operators.learning import Learning
from nextpaint.process.outputs import plain
from nextpaint.process.query import run_query
from nextpaint.record.errors import ApplicationError, InvalidInput, NotFound
from nextpaint.sql import plan
from nextpaint.sql.planner import answer_question, plan_query
from nextpaint.sql.program import Program, Table
from nextpaint.sql.session import Listing
from nextpaint.sql.user_functions import declared

QUERY_ROWS_MAX = 10_000
PROVED_MAX = 10_000
BUILT_IN = ("events", "impressions", "decisions", "identity", "consents")


class Engine:
    """One open data directory with one application in force."""

    def __init__(self, node: Node, background: Workers | None) -> None:
        self.node = node
        self._background = background
        self._door = Door(node.subjects, DoorSettings(), node.ports.random)
        self._intake = Intake(node, self._door)
        self._deciding = Deciding(node, self._intake, background)
        self._reviewing = Reviewing(node)
        self._explaining = Explaining(node, self._deciding, self._reviewing)
        self._erasing = Erasing(node, self._deciding, self._intake, self._door, self._explaining.forget)
        self._proofs = Proofs(node, self._deciding.models)
        self._retaining = Retaining(node, self._reviewing, background)
        self.bidding = Bidding(node, self._deciding, self._intake, self._explaining)
        self._registry = Registry(node, self._deciding.models)
        self._ruling = Ruling(node)
        self._publishing = Publishing(node, self._deciding, self._ruling, self._registry)

    @staticmethod
    async def open(
        directory: Path,
        application: Application,
        ports: Ports,
        *,
        settings: NodeSettings | None = None,
        embedder: Embedder | None = None,
        background: Workers | None = None,
    ) -> Engine:
        """Recover what is in `directory`, then put `application` in force. `background`: where vectors are computed.

        Raises LedgerLocked, CorruptLedger, ApplicationError.
        """
        node = Node.open(directory, application, ports, settings or NodeSettings(), embedder)
        node.turns.drain()
        node.start(background)
        await node.switch(application)
        engine = Engine(node, background)
        engine._proofs.start()
        engine._retaining.start()
        return engine

    def follow(self, table: str, index: VectorIndex) -> Followed:
        """Let an index follow a table of vectors, and search it instead of every vector. Raises NotFound."""
        return self._deciding.nearest.follow(table, index)

    async def close(self) -> None:
        """Stop cleanly: everything durable is applied, a checkpoint and an end frame are left."""
        await self._deciding.nearest.close()
        await self._proofs.close()
        await self._erasing.close()
        await self._retaining.close()
        if self._background is not None:
            self._background.close()
        await self.node.close()

    # ------------------------------------------------------------ what enters

    def ingest(
        self, principal: Principal, calls: Sequence[Mapping[str, Any]], received_at_ms: int | None = None
    ) -> Promise[Receipt]:
        """Segment calls, each a decoded JSON object; done when every admitted one is durable."""
        return self._intake.events(principal, calls, received_at_ms or self.node.ports.clock.now_ms())

    def busy(self) -> str:
        """Why events are refused just now, which counts as having refused one; "" when they are not."""
        return self._intake.refusal()

    async def put_items(self, principal: Principal, items: Sequence[Mapping[str, Any]]) -> Receipt:
        """Item rows ({"item_id": ..., any columns of the item tables}); answered when durable and applied."""
        return await self._intake.items(principal, items, self.node.ports.clock.now_ms())

    async def delete_items(self, principal: Principal, items: Sequence[Mapping[str, Any]]) -> Receipt:
        """Take items ({"item_id": ...}) out of every item table; answered when durable and applied. Raises
        InvalidInput where an item table has no rows to delete by key."""
        return await self._intake.delete_items(principal, items, self.node.ports.clock.now_ms())

    async def put_rows(self, principal: Principal, table: str, rows: Sequence[Mapping[str, Any]]) -> Receipt:
        """Rows of a declared table. Raises NotFound for an unknown table, InvalidInput for one that statements
        write."""
        return await self._intake.rows(principal, self._written(table), rows, self.node.ports.clock.now_ms())

    async def delete_rows(self, principal: Principal, table: str, keys: Sequence[Mapping[str, Any]]) -> Receipt:
        """Take rows of a declared table away by their keys; as `put_rows`, and InvalidInput where rows have no key."""
        return await self._intake.delete_rows(principal, self._written(table), keys, self.node.ports.clock.now_ms())

    def _written(self, table: str) -> Table:
        """A declared table that is written from outside."""
        program = self.node.application.program
        declared = program.tables.get(table)
        if declared is None or table.startswith("_"):
            known = sorted(name for name in program.tables if not name.startswith("_"))
            raise NotFound(f"unknown table {table[:80]!r}", where="application", cure=f"known: {', '.join(known)}")
        if table in {insert.target for insert in program.inserts} or table in BUILT_IN:
            raise InvalidInput(
                f"{table} is written by the application",
                where=f"table {table}",
                cure="write to the tables it reads from",
            )
        return declared

    # ------------------------------------------------------------ decisions

    def decide(self, principal: Principal, surface: str, request: Mapping[str, Any]) -> Promise[dict[str, Any]]:
        """One decision; done when its record is committed."""
        return self._deciding.decide(principal, surface, request)

    async def decide_page(self, principal: Principal, request: Mapping[str, Any]) -> dict[str, Any]:
        """Several surfaces of one page, in order, without repeating an item."""
        body = dict(request)
        surfaces = body.pop("surfaces", None)
        if not isinstance(surfaces, list) or not 0 < len(surfaces) <= 10:
            raise InvalidInput(
                "'surfaces' must be a list of 1 to 10 surfaces",
                where="request",
                cure='send {"surfaces": ["name", ...]}',
            )
        shown: tuple[str, ...] = ()
        answers: list[dict[str, Any]] = []
        for each in surfaces:
            asked = {"surface": each} if isinstance(each, str) else each
            if not isinstance(asked, dict) or not isinstance(asked.get("surface"), str):
                raise InvalidInput(
                    "each of 'surfaces' must be a name or an object with 'surface'",
                    where="request",
                    cure='send {"surfaces": ["name", {"surface": "name", "limit": 5}]}',
                )
            single = {**body, **{name: value for name, value in asked.items() if name != "surface"}}
            if answers:
                single.pop("events", None)
            answer = await self._deciding.decide(principal, asked["surface"], single, Terms(shown))
            shown += tuple(item["id"] for item in answer["items"])
            answers.append(answer)
        return {"surfaces": answers}

    def experiments(self, principal: Principal) -> list[dict[str, Any]]:
        """Every experiment with what each variant earned from the people it was shown to."""
        principal.require(READ)
        found = self.node.runner.graph.exposures
        return [
            {"surfaces": list(surfaces), **compared(each, found[each.name].tallies if each.name in found else {})}
            for each, surfaces in self._deciding.decider.experiments
        ]

    def learning(self, principal: Principal) -> list[dict[str, Any]]:
        """What every learner counted, and its best known arms."""
        principal.require(READ)
        now = self.node.ports.clock.now_ms()
        return [learned(each, now) for each in self.node.runner.graph.learners.values()]

    def models(self, principal: Principal) -> list[dict[str, Any]]:
        """Every trained model: what ranks, what is on trial, what it was trained on."""
        principal.require(READ)
        return self._registry.all()

    async def promote(self, principal: Principal, name: str, upload: Upload) -> dict[str, Any]:
        """Put a model file in force, from one position on. Raises NotFound, InvalidInput when it does not fit."""
        principal.require(ADMIN)
        return await self._registry.promote(name, upload)

    async def roll_back(self, principal: Principal, name: str) -> dict[str, Any]:
        """Take back the last promotion of a model."""
        principal.require(ADMIN)
        return await self._registry.roll_back(name)

    def rules(self, principal: Principal) -> list[dict[str, Any]]:
        """Every merchandising rule."""
        principal.require(READ)
        return self._ruling.all()

    async def put_rule(self, principal: Principal, surface: str, rule_id: str, rule: Rule) -> dict[str, Any]:
        """Put a merchandising rule in force from one position on. Raises NotFound, InvalidInput."""
        principal.require(ADMIN)
        return await self._ruling.put(surface, rule_id, rule)

    async def delete_rule(self, principal: Principal, surface: str, rule_id: str) -> dict[str, Any]:
        """Take a merchandising rule away. Raises NotFound."""
        principal.require(ADMIN)
        return await self._ruling.delete(surface, rule_id)

    async def parameters(self) -> dict[str, Any]:
        """The main parameters of every surface, and the log of their changes. For everybody: nothing personal."""
        return await self._publishing.parameters()

    def flags(self, principal: Principal, user_id: str | None, anonymous_id: str | None) -> list[dict[str, Any]]:
        """Every experiment with this person's variant, as feature flags."""
        principal.require(DECIDE)
        return self._deciding.flags(user_id, anonymous_id)

    async def explain(
        self, principal: Principal, decision_id: str, view: str = "support", replay: bool = False, purpose: str = ""
    ) -> dict[str, Any]:
        """Why a decision came out as it did, from its record; with `replay` also whether it recomputes identically.
        That it was read, by whom and what for, is on record."""
        principal.require(READ)
        return await self._explaining.explain(_read(principal, "explain", decision_id, purpose, view), replay)

    async def what_if(
        self, principal: Principal, decision_id: str, change: Change, purpose: str = ""
    ) -> dict[str, Any]:  # fmt: skip
        """The decision made again from the ledger with something changed; nothing of it is written."""
        principal.require(READ)
        return await self._explaining.what_if(_read(principal, "what-if", decision_id, purpose), change)

    async def prepare(self, principal: Principal, decision_id: str) -> bool:
        """Put the states together that the first what-if question about a decision needs, before it is asked."""
        principal.require(READ)
        return await self._explaining.prepare(decision_id)

    async def events_before(self, principal: Principal, decision_id: str, purpose: str = "") -> list[dict[str, Any]]:
        """What the person of a decision did before it, newest first."""
        principal.require(READ)
        return await self._explaining.events(_read(principal, "events", decision_id, purpose))

    async def prove(self, principal: Principal, decisions: int) -> dict[str, Any]:
        """Make a sample of decisions again now, as every night; see `proofs`."""
        principal.require(ADMIN)
        if not 1 <= decisions <= PROVED_MAX:
            raise InvalidInput(f"{decisions} decisions", where="proof", cure=f"ask for 1 to {PROVED_MAX}")
        return dict(msgspec.to_builtins(await self._proofs.prove(decisions)))

    def proofs(self, principal: Principal) -> list[dict[str, Any]]:
        """What came of the proofs since this node started, newest first."""
        principal.require(READ)
        return self._proofs.told()

    async def contest(self, principal: Principal, decision_id: str, contest: Contest) -> dict[str, Any]:
        """Ask a person to look at a decision. Raises NotFound, InvalidInput."""
        principal.require(DECIDE)
        return await self._reviewing.contest(self._explaining.present(decision_id), contest, principal.name)

    def reviews(self, principal: Principal, state: str = "") -> list[dict[str, Any]]:
        """Decisions that a person looks at, or looked at."""
        principal.require(READ)
        return self._reviewing.all(state)

    async def close_review(self, principal: Principal, decision_id: str, finding: Finding) -> dict[str, Any]:
        """What a person made of a decision. Raises NotFound, InvalidInput."""
        principal.require(ADMIN)
        return await self._reviewing.decide(decision_id, finding, principal.name)

    async def person(
        self, principal: Principal, user_id: str | None, anonymous_id: str | None, skip: int = 0, purpose: str = ""
    ) -> dict[str, Any]:
        """Everything kept about one person and decided for them; see `exporting`. Needs the scope `admin`."""
        principal.require(ADMIN)
        read = Read(principal.name, "export", purpose=stated(purpose))
        return await self._explaining.person(read, user_id, anonymous_id, skip)

    async def erase(self, principal: Principal, asked: Asked, purpose: str = "") -> dict[str, Any]:
        """Erase a person; the receipt. Needs the scope `admin`; see `erasing`."""
        principal.require(ADMIN)
        return await self._erasing.erase(Read(principal.name, "erase", purpose=stated(purpose)), asked)

    async def lift(self, principal: Principal, asked: Asked, purpose: str = "") -> dict[str, Any]:
        """Let somebody in again whose identifiers stay out since they were erased. Needs the scope `admin`."""
        principal.require(ADMIN)
        return await self._erasing.lift(Read(principal.name, "lift", purpose=stated(purpose)), asked)

    def erasures(self, principal: Principal) -> list[dict[str, Any]]:
        """Every erasure, the last first."""
        principal.require(ADMIN)
        return self._erasing.all()

    def erasure(self, principal: Principal, name: str) -> dict[str, Any]:
        """The receipt of an erasure. Raises NotFound."""
        principal.require(ADMIN)
        return self._erasing.one(name)

    # ------------------------------------------------------------ reading

    async def query(self, principal: Principal, sql: str) -> dict[str, Any]:
        """One SELECT over live tables, or SHOW, DESCRIBE, EXPLAIN: {"columns", "rows", "position", "as_of"}."""
        principal.require(READ)
        program = self.node.application.program
        now = self.node.ports.clock.now_ms()
        with declared(program.code):
            listing = _answered(sql, program)
        if listing is not None:
            return {
                "columns": [{"name": name, "type": "STRING"} for name in listing.columns],
                "rows": [list(row) for row in listing.rows],
                "more": 0,
                "failed": 0,
                "position": str(self.node.position_of(self.node.runner.applied)),
                "as_of": now,
            }
        readable = {name: table for name, table in program.tables.items() if name in self.node.tables.live}
        with declared(replace(program.code, continuous=False)):
            node = _planned(sql, readable, program.views)
        result = run_query(node, self.node.tables, self.node.tables.reading(now))
        rows = [[plain(value) for value in row] for row in result.rows[:QUERY_ROWS_MAX]]
        return {
            "columns": [{"name": each.name, "type": str(each.type)} for each in result.fields],
            "rows": rows,
            "more": max(0, len(result.rows) - QUERY_ROWS_MAX),
            "failed": result.failed,
            "position": str(self.node.position_of(self.node.runner.applied)),
            "as_of": now,
        }

    def interests(self, anonymous_id: str, table: str, ahead_ms: int = 0) -> list[dict[str, Any]]:
        """The rows of a table keyed by subject for a visitor, as of now + ahead; for pages that show them."""
        token = self.node.subjects.known("anonymous", anonymous_id)
        if token is None:
            return []
        reading = self.node.tables.reading(self.node.ports.clock.now_ms() + ahead_ms)
        return reading.rows(table, (token,))

    # ------------------------------------------------------------ the application

    async def apply(self, principal: Principal, application: Application) -> dict[str, Any]:
        """Put a changed application in force on the running node; gives what was kept, rebuilt and dropped."""
        principal.require(ADMIN)
        self._registry.check(application)
        self._ruling.check(application)
        change = self.plan(application)
        seq = await self.node.switch(application)
        return {**change, "position": str(self.node.position_of(seq)), "hash": application.hash}

    def plan(self, application: Application) -> dict[str, Any]:
        """What a change of application would do, by table."""
        return plan_change(self.node, application)

    def application(self) -> dict[str, Any]:
        """Names, surfaces with their inputs, and tables of the application in force."""
        application = self.node.application
        return {
            "name": application.name,
            "title": application.title,
            "hash": application.hash,
            "surfaces": {
                each.name: {
                    "inputs": {
                        name: kind.__name__ if isinstance(kind, type) else str(kind)
                        for name, kind in each.inputs.items()
                    },
                    "items": each.items,
                }
                for each in self._deciding.decider.surfaces
            },
            "tables": {
                name: {each.name: str(each.type) for each in table.fields}
                for name, table in application.program.tables.items()
            },
        }

    # ------------------------------------------------------------ what is kept

    async def retention(self, principal: Principal) -> dict[str, Any]:
        """How long what is kept, what was let go since the start, and for each sealed segment what goes next, or why
        it stays."""
        principal.require(READ)
        return {**self._retaining.told(), "segments": planned_told(await self._retaining.planned())}

    async def retain(self, principal: Principal) -> dict[str, Any]:
        """A round of retention now, as every hour."""
        principal.require(ADMIN)
        report = await self._retaining.run()
        return {
            "bytes_freed": report.bytes_freed, "rewritten": list(report.rewritten), "emptied": list(report.deleted),
            "kept": dict(report.kept), "failed": self._retaining.failed,
        }  # fmt: skip

    # ------------------------------------------------------------ how it is

    def status(self) -> dict[str, Any]:
        return {
            **observing.status(self.node, self._intake, self._deciding), "retention": self._retaining.told(),
        }  # fmt: skip

    def metrics(self) -> str:
        return observing.metrics(self.node, self._deciding, self._retaining)

    def ready(self) -> tuple[bool, str]:
        """Whether this node answers and records: (yes, how it is)."""
        if self.node.failure is not None:
            return False, str(self.node.failure)
        if self.node.ledger.read_only is not None:
            return False, f"read-only: {self.node.ledger.read_only}"
        if self.node.turns.waiting_records > self.node.settings.unapplied_max:
            return False, f"{self.node.turns.waiting_records} records wait to be applied"
        return True, "ready"


ARMS_MAX = 200  # of a learner, listed: the rest has been tried less


def learned(learner: Learning, now_ms: int) -> dict[str, Any]:
    """A learner as JSON-ready data: what it counted and what not, its arms by examined trials, and its regret."""
    arms = learner.arms()
    trials, rewards = (each.tolist() for each in learner.statistics(arms, now_ms))
    total = learner.total(now_ms)
    return {
        "learner": learner.name,
        "counts": dict(learner.counts),
        "waiting": learner.waiting,
        "total": total,
        "regret": regret(trials, rewards, total),
        "arms": arms_told(arms, trials, rewards)[:ARMS_MAX],
        "more": max(0, len(arms) - ARMS_MAX),
    }


def _planned(sql: str, readable: Mapping[str, Table], views: Mapping[str, str]) -> plan.Node:
    """The plan of one SELECT. Raises InvalidInput with the first mistake and its place in the text."""
    try:
        return plan_query(sql, dict(readable), views)
    except ApplicationError as error:
        raise _mistaken(error, "send one SELECT over the tables that GET /v1/application lists") from error


def _answered(sql: str, program: Program) -> Listing | None:
    """The answer to SHOW, DESCRIBE or EXPLAIN; None for a SELECT. Raises InvalidInput."""
    try:
        return answer_question(sql, program)
    except ApplicationError as error:
        raise _mistaken(error, "SHOW TABLES lists what there is") from error


def _mistaken(error: ApplicationError, cure: str) -> InvalidInput:
    first = error.diagnostics[0]
    return InvalidInput(first.what, where=f"query, line {first.line}, column {first.column}", cure=first.cure or cure)


def _read(principal: Principal, what: str, decision_id: str, purpose: str, view: str = "") -> Read:
    return Read(principal.name, what, (decision_id,), view=view, purpose=stated(purpose))


def plan_change(node: Node, application: Application) -> dict[str, Any]:
    """Per table: kept (its operators are the same), rebuilt (from the first record), dropped. `history`: from when on
    (ms, and in words) the records are there that a rebuilt one is made of, where retention took older ones; `short`:
    what will not be there for the next rebuild."""
    graph = build(application.design)
    from_now = _identities(build(node.application.design))
    to = _identities(graph)
    tables = sorted(name for name in {*from_now, *to} if not name.startswith("_"))
    topics = topics_of(graph)
    gone = node.ledger.lost()
    begins = missing({name: topics[name] for name in made_anew(node.runner.graph, graph)}, gone)
    return {
        "kept": [name for name in tables if name in from_now and from_now[name] == to.get(name)],
        "rebuilt": [name for name in tables if name in to and to[name] != from_now.get(name)],
        "dropped": [name for name in tables if name in from_now and name not in to],
        "rebuilt_from": "the first record of the ledger" if not begins else "what retention left of the ledger",
        "history": {name: {"since_ms": at, "since": moment(at)} for name, at in sorted(begins.items())},
        "short": {
            name: why
            for name, why in sorted(short(topics, application.retention).items())
            if not name.startswith("_") and name not in BUILT_IN
        },
    }


def _identities(graph: Graph) -> dict[str, str]:
    identities = {name: stage.operator.id for name, stage in graph.targets.items()}
    identities.update({name: source.id for name, source in graph.sources.items() if name not in identities})
    return identities
