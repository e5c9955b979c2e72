"""An application: a folder of SQL, surfaces and settings, checked and content-addressed.

`*.sql` declare streams, tables and features; `surfaces.py` declares surfaces; `nextpaint.toml` has the settings. The
hash of these files and of the engine's version names the application; its files are stored in the ledger, so any
position can be read by the application in force there.

Built in: `events` (every collected call), `impressions` (items shown, from "Impression" events), `identity` (links
between subject tokens, both directions), `decisions` (what was answered, one row per decision).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from nextpaint import __version__
from nextpaint.decide import Surface, explored_rows, requirements
from nextpaint.decide.binding import bind_surfaces
from nextpaint.decide.codec import answered_ids
from nextpaint.decide.merchandising import RULES
from nextpaint.decide.model import MODELS
from nextpaint.decide.requirements import WRITTEN
from nextpaint.decide.retention import Retention
from nextpaint.decide.retention import declared as retention_declared
from nextpaint.decide.review import REVIEWS
from nextpaint.decide.sensitive import Sensitive
from nextpaint.process.graph import EXPLORED, BuiltIn, Design, Exposure, Learner, Together, VectorTable
from nextpaint.process.operators.learning import LearnerSpec
from nextpaint.process.user_code import MODEL_BYTES_MAX, FolderLibrary
from nextpaint.record.errors import ApplicationError, Diagnostic
from nextpaint.record.types import BOOLEAN, INT, STRING, TIMESTAMP, Field, array
from nextpaint.sql.definitions import CreateFunction, CreateModel
from nextpaint.sql.planner import plan_program, warnings
from nextpaint.sql.program import Program, Table, Watermark
from nextpaint.sql.settings import duration_ms
from nextpaint.sql.statement_grammar import parse_statements

SURFACES = "surfaces.py"
SETTINGS = "nextpaint.toml"
HIDDEN = "<needed by surfaces>"
DEFAULT_LATENESS = "1 min"

Json = Any


def events_table(lateness_ms: int) -> Table:
    """The built-in stream of collected calls."""
    names = ("message_id", "type", "event", "subject", "anonymous", "properties", "context", "surface", "decision_id")
    fields = [Field(name, BOOLEAN if name == "anonymous" else STRING) for name in names]
    fields += [Field("item_id", STRING), Field("position", INT), Field("purposes", array(STRING))]
    fields += [Field("ts", TIMESTAMP), Field("received_at", TIMESTAMP)]
    return Table("events", tuple(fields), watermark=Watermark(len(fields) - 2, lateness_ms))


def impressions_table(lateness_ms: int) -> Table:
    """The built-in stream of items that were shown."""
    fields = [Field(name, STRING) for name in ("subject", "decision_id", "surface", "item_id")]
    fields += [Field("position", INT), Field("ts", TIMESTAMP)]
    return Table("impressions", tuple(fields), watermark=Watermark(len(fields) - 1, lateness_ms))


def identity_table() -> Table:
    """The built-in table of links between subject tokens."""
    fields = [Field(name, STRING) for name in ("subject", "linked", "cause")] + [Field("ts", TIMESTAMP)]
    return Table("identity", tuple(fields), primary_key=(0, 1))


def consents_table() -> Table:
    """The built-in table of what people consent to, as they last said it in `context.consent`."""
    fields = [Field("subject", STRING), Field("purposes", array(STRING)), Field("ts", TIMESTAMP)]
    return Table("consents", tuple(fields), primary_key=(0,))


def decisions_table(lateness_ms: int) -> Table:
    """The built-in stream of decisions that were made: one row each, `items` as answered, best first."""
    fields = [Field(name, STRING) for name in ("decision_id", "surface", "subject", "experiment", "variant", "unit")]
    fields += [Field("items", array(STRING)), Field("degraded", BOOLEAN), Field("ts", TIMESTAMP)]
    return Table("decisions", tuple(fields), watermark=Watermark(len(fields) - 1, lateness_ms))


def decisions_of(record: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
    """The row of a decision record."""
    experiment, variant, unit, _ = record.get("experiment") or (None, None, None, None)
    return [
        {
            "decision_id": record["decision_id"],
            "surface": record["surface"],
            "subject": next(iter(record.get("subjects", ())), None),
            "experiment": experiment,
            "variant": variant,
            "unit": unit,
            "items": answered_ids(record),
            "degraded": bool(record.get("degraded")),
            "ts": record["time_ms"],
        }
    ]


def impressions_of(event: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
    """The items an "Impression" event says were shown: properties.items [{item_id, position}], or one item_id."""
    if event.get("event") != "Impression":
        return ()
    properties = msgspec.json.decode(event.get("properties") or "{}")
    shown = properties.get("items") if isinstance(properties, dict) else None
    shared = {name: event.get(name) for name in ("subject", "decision_id", "surface", "ts")}
    if isinstance(shown, list):
        return [{**shared, **_shown(each)} for each in shown if isinstance(each, dict) and each.get("item_id")]
    return [{**shared, "item_id": event["item_id"], "position": event.get("position")}] if event.get("item_id") else ()


def _shown(item: Mapping[str, Json]) -> Mapping[str, Json]:
    position = item.get("position")
    whole = isinstance(position, int) and not isinstance(position, bool) and 0 <= position < 2**31
    return {"item_id": str(item["item_id"]), "position": position if whole else None}


@dataclass(frozen=True, slots=True)
class Proving:
    """When decisions are made again to compare them with their records: ms after midnight (UTC), and how many."""

    at_ms: int
    decisions: int


PROVED = 50  # decisions a night, where the application does not say


def _proof(settings: Mapping[str, Json], found: list[Diagnostic]) -> Proving | None:
    """[proof] of nextpaint.toml; None without it."""
    declared = settings.get("proof")
    if declared is None:
        return None
    at: object = ""
    decisions: object = PROVED
    if isinstance(declared, dict) and not declared.keys() - {"at", "decisions"}:
        at, decisions = declared.get("at", ""), declared.get("decisions", PROVED)
    time = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", at) if isinstance(at, str) else None
    if time is None or not isinstance(decisions, int) or not 1 <= decisions <= 10_000:
        what = f"[proof] is {declared!r}"[:120]
        found.append(Diagnostic(SETTINGS, 0, 0, what, 'write at = "03:00" (UTC) and decisions = 50, 1 to 10,000'))
        return None
    return Proving((int(time[1]) * 60 + int(time[2])) * 60_000, decisions)


@dataclass(frozen=True, slots=True)
class Application:
    """A checked application. `files` maps relative names to bytes; `settings` is the parsed nextpaint.toml."""

    files: dict[str, bytes]
    hash: str
    settings: dict[str, Json]
    program: Program
    surfaces: tuple[Surface, ...]
    design: Design
    warnings: tuple[Diagnostic, ...] = ()
    folder: Path | None = field(default=None, compare=False)
    proof: Proving | None = None
    sensitive: dict[str, dict[str, str]] = field(default_factory=dict)  # surface -> feature -> the column it comes from
    retention: Retention = field(default_factory=Retention)

    @property
    def name(self) -> str:
        return str(self.settings.get("name", "application"))

    @property
    def title(self) -> str:
        return str(self.settings.get("title", self.name))

    @property
    def item_tables(self) -> tuple[str, ...]:
        """Tables that `PUT /v1/items` writes: declared ones whose primary key is the surfaces' item key."""
        keys = {self.program.tables[surface.items].names[self.program.tables[surface.items].primary_key[0]]
                for surface in self.surfaces}  # fmt: skip
        written = {insert.target for insert in self.program.inserts}
        return tuple(
            name
            for name, table in self.program.tables.items()
            if len(table.primary_key) == 1 and table.names[table.primary_key[0]] in keys
            and name not in written and not name.startswith("_")
        )  # fmt: skip

    def planned_with(self, statements: Iterable[str]) -> Program:
        """The program with further statements, such as those of a reward. Raises ApplicationError."""
        hidden = dict.fromkeys([*requirements(self.surfaces).statements, *statements])
        texts = [(name, data.decode("utf-8", "replace")) for name, data in self.files.items() if name.endswith(".sql")]
        found: list[Diagnostic] = []
        program = _planned([*texts, (HIDDEN, ";\n".join(hidden) + ";")], FolderLibrary(self.files), found)
        if program is None:
            raise ApplicationError(found)
        return program

    @staticmethod
    def load(folder: Path) -> Application:
        """Read and check a folder. Raises ApplicationError with everything that is wrong in it."""
        if not folder.is_dir():
            raise ApplicationError(
                [Diagnostic(str(folder), 0, 0, "there is no such folder", "nextpaint init NAME makes one")]
            )
        paths = [*folder.glob("*.sql"), folder / SURFACES, folder / SETTINGS]
        files = {path.name: path.read_bytes() for path in sorted(paths) if path.is_file()}
        files.update(_named(folder, files))
        if not any(name.endswith(".sql") for name in files):
            raise ApplicationError(
                [Diagnostic(str(folder), 0, 0, "no .sql file here", "an application declares its streams in SQL")]
            )
        return Application.of(files, folder)

    @staticmethod
    def of(files: dict[str, bytes], folder: Path | None = None) -> Application:
        """Check an application given as files: from a folder, or as the ledger stored them."""
        found: list[Diagnostic] = []
        settings = _settings(files, found)
        proof = _proof(settings, found)
        surfaces = _surfaces(files, found)
        texts = [(name, data.decode("utf-8", "replace")) for name, data in files.items() if name.endswith(".sql")]
        needs = requirements(surfaces)
        if needs.statements:
            texts.append((HIDDEN, ";\n".join(needs.statements) + ";"))
        program = _planned(texts, FolderLibrary(files), found)
        if found or program is None:
            raise ApplicationError(found)
        lateness_ms = _lateness(program)
        text = files.get(SETTINGS, b"").decode("utf-8", "replace")
        retention = retention_declared(settings, text, program, _waiting(needs, lateness_ms), found)
        if found:
            raise ApplicationError(found)
        design = Design(
            program,
            (
                BuiltIn(events_table(lateness_ms), "events"),
                BuiltIn(impressions_table(lateness_ms), "events", impressions_of, b"Impression"),
                BuiltIn(identity_table(), "identity"),
                BuiltIn(consents_table(), "consents"),
                BuiltIn(decisions_table(lateness_ms), "decisions", decisions_of),
                BuiltIn(MODELS, MODELS.name),
                BuiltIn(RULES, RULES.name),
                BuiltIn(REVIEWS, REVIEWS.name),
                BuiltIn(EXPLORED, "decisions", explored_rows, b'"explored"'),
                *(
                    BuiltIn(program.tables[name], *_written(name, program))
                    for name in program.tables
                    if name.startswith(WRITTEN)
                ),
            ),
            tuple(
                Together(each.name, each.table, each.basket, each.item, each.others_max) for each in needs.cooccurrences
            ),
            tuple(_vectors(each, program) for each in needs.vectors),
            tuple(_learner(each, lateness_ms) for each in needs.learners),
            tuple(
                Exposure(each.name, each.trials, each.rewards, each.within_ms, lateness_ms) for each in needs.exposures
            ),
        )
        guarded = _sensitive(settings, program, surfaces)
        digest = application_hash(files)
        return Application(
            files, digest, settings, program, surfaces, design, tuple(warnings(program)), folder, proof, guarded,
            retention,
        )  # fmt: skip

    def packed(self) -> bytes:
        """The files as the ledger's switch record holds them."""
        return msgspec.msgpack.encode(self.files)

    @staticmethod
    def unpacked(data: bytes) -> Application:
        return Application.of(msgspec.msgpack.decode(data, type=dict[str, bytes]))


def application_hash(files: Mapping[str, bytes]) -> str:
    """Names files and engine version: 128-bit BLAKE2b, hex."""
    digest = blake2b(f"engine {__version__}\n".encode(), digest_size=16)
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return digest.hexdigest()


def _written(name: str, program: Program) -> tuple[str, Callable[[Mapping[str, Json]], list[Mapping[str, Json]]]]:
    """The topic of an items table, and the row of `name` that each of its records makes."""
    items = program.tables[name.removeprefix(WRITTEN)]
    key = items.names[items.primary_key[0]]
    return items.name, lambda record: [{"item_id": record[key]}] if isinstance(record.get(key), str) else []


def _learner(need: Any, lateness_ms: int) -> Learner:
    """A decision waits for its outcomes as long as their event time may be in the window and they may be late."""
    spec = LearnerSpec(need.within_ms, lateness_ms, need.half_life_ms, need.width, need.ridge)
    return Learner(need.name, need.trials, need.rewards, spec)


def _waiting(needs: Any, lateness_ms: int) -> dict[str, int]:
    """What learns from outcomes -> how long a decision waits for them, in ms."""
    learners = {f"learner {each.name}": each.within_ms + lateness_ms for each in needs.learners}
    return learners | {f"experiment {each.name}": each.within_ms + lateness_ms for each in needs.exposures}


def _vectors(need: Any, program: Program) -> VectorTable:
    table = program.tables[need.items]
    return VectorTable(need.name, need.items, table.names[table.primary_key[0]], need.text)


def _sensitive(
    settings: Mapping[str, Json], program: Program, surfaces: Sequence[Surface]
) -> dict[str, dict[str, str]]:
    """Per surface the features that read something sensitive. Raises ApplicationError where an advertisement or a price
    would."""
    if "sensitive" not in settings:
        return {}
    sensitive = Sensitive(settings, program)
    bound, found = bind_surfaces(surfaces, program.tables)
    if not found and not sensitive.problems:
        found = sensitive.forbidden(bound)
    if found or sensitive.problems:
        raise ApplicationError([*sensitive.problems, *found])
    return {name: features for name, each in bound.items() if (features := sensitive.features(each))}


def _settings(files: Mapping[str, bytes], found: list[Diagnostic]) -> dict[str, Json]:
    try:
        return tomllib.loads(files.get(SETTINGS, b"").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found.append(Diagnostic(SETTINGS, 0, 0, f"not valid TOML: {error}", "see https://toml.io for the format"))
        return {}


def _surfaces(files: Mapping[str, bytes], found: list[Diagnostic]) -> tuple[Surface, ...]:
    """Run surfaces.py and take the surfaces it names, in order: each by itself, or in a list or tuple."""
    source = files.get(SURFACES)
    if source is None:
        return ()
    module = ModuleType("nextpaint_application_surfaces")
    module.__file__ = SURFACES
    try:
        exec(compile(source, SURFACES, "exec"), module.__dict__)
    except SyntaxError as error:
        found.append(Diagnostic(SURFACES, error.lineno or 0, error.offset or 0, f"not valid Python: {error.msg}"))
        return ()
    except ApplicationError as error:
        found.extend(error.diagnostics)
        return ()
    except Exception as error:  # a declared edge: the application's own Python may raise anything
        found.append(
            Diagnostic(
                SURFACES, _line(error), 1, f"{type(error).__name__}: {error}", "run python surfaces.py to see more"
            )
        )
        return ()
    named = (value if isinstance(value, list | tuple) else [value] for value in vars(module).values())
    return tuple(dict.fromkeys(each for values in named for each in values if isinstance(each, Surface)))


def _line(error: BaseException) -> int:
    lines = [frame.tb_lineno for frame in _frames(error) if frame.tb_frame.f_code.co_filename == SURFACES]
    return lines[-1] if lines else 0


def _frames(error: BaseException) -> Iterator[Any]:
    frame = error.__traceback__
    while frame is not None:
        yield frame
        frame = frame.tb_next


def _named(folder: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The Python and model files that the SQL names, by their path in the folder. What is not there is a finding
    later."""
    found: dict[str, bytes] = {}
    for name, data in files.items():
        if not name.endswith(".sql"):
            continue
        for statement in parse_statements(name, data.decode("utf-8", "replace"), lambda refusal: None):
            path = ""
            if isinstance(statement, CreateFunction):
                path = f"{statement.target.rpartition('.')[0]}.py"
            elif isinstance(statement, CreateModel):
                path = dict(statement.options).get("path", "")
            place = folder / path
            if path and place.resolve().is_relative_to(folder.resolve()) and place.is_file():
                if place.stat().st_size > MODEL_BYTES_MAX:
                    what = (
                        f"{path} has more than {MODEL_BYTES_MAX} bytes: it must fit into the record of the application"
                    )
                    raise ApplicationError([Diagnostic(name, statement.at.line, statement.at.column, what)])
                found[path] = place.read_bytes()
    return found


def _planned(texts: list[tuple[str, str]], library: FolderLibrary, found: list[Diagnostic]) -> Program | None:
    """Plan twice: the settings decide how late the built-in streams may be."""
    try:
        first = plan_program(texts, _built_ins(duration_ms(DEFAULT_LATENESS)), library=library)
        return plan_program(texts, _built_ins(_lateness(first)), library=library)
    except ApplicationError as error:
        found.extend(error.diagnostics)
    except ValueError as error:
        found.append(Diagnostic("", 0, 0, str(error)))
    return None


def _lateness(program: Program) -> int:
    return duration_ms(program.settings.get("nextpaint.events.lateness", DEFAULT_LATENESS))


def _built_ins(lateness_ms: int) -> dict[str, Table]:
    tables = (
        events_table(lateness_ms), impressions_table(lateness_ms), decisions_table(lateness_ms), identity_table(),
        consents_table(), MODELS, RULES, REVIEWS,
    )  # fmt: skip
    return {table.name: table for table in tables}
