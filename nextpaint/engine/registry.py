"""Model files of a node and which of them rank: files by content hash, promotions as ledger records.

A file lives at `models/<sha256><ending>` in the data directory, made durable before any record names it, and beside it
its lineage: what it was trained on. A promotion is one record of the built-in table `_models`, so it is in force from
one position on, for everybody, and so is its rollback. A file is never changed or removed here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256 as hash_of
from pathlib import PurePath
from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.decide import Surface
from nextpaint.decide.model import MODELS, Model, mismatch
from nextpaint.engine.node import Node
from nextpaint.models.ranking import Ranker
from nextpaint.ports import Disk
from nextpaint.process.scoring import ranker_of
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.stream.frame import Draft, EntryKind

DIRECTORY = "models"
BYTES_MAX = 64 * 1024 * 1024

Json = Any


@dataclass(frozen=True, slots=True)
class Upload:
    """A model file and how it comes into force. share: of people, below 1 as a canary; shadow: it ranks nobody."""

    file: str
    data: bytes
    lineage: Json = None
    share: float = 1.0
    shadow: bool = False


_NOTHING: dict[str, Json] = {
    "champion": None, "champion_file": None, "challenger": None, "challenger_file": None, "share": 0.0,
    "shadow": False, "previous": None, "previous_file": None,
}  # fmt: skip


class ModelFiles:
    """Loaded rankers by hash. A file is read once."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._loaded: dict[str, Ranker] = {}

    def __call__(self, file: str, sha256: str) -> Ranker:
        """The ranker. Raises ValueError saying what is wrong with its file."""
        ranker = self._loaded.get(sha256)
        if ranker is None:
            path = _path(file, sha256)
            if not self._disk.exists(path):
                raise ValueError(f"there is no file {path}")
            ranker = self._loaded[sha256] = ranker_of(file, self._disk.read(path), sha256)
        return ranker

    def keep(self, file: str, data: bytes, lineage: Json) -> Ranker:
        """Make a file durable. Raises InvalidInput when it is no model this node can score."""
        identity = hash_of(data).hexdigest()
        try:
            ranker = ranker_of(file, data, identity)
        except ValueError as error:
            raise InvalidInput(
                str(error), where=f"model file {file[:80]!r}", cure="send the file as it was saved"
            ) from error
        if not self._disk.exists(DIRECTORY):
            self._disk.make_directory(DIRECTORY)
        self._disk.replace(_path(file, identity), data)
        self._disk.replace(f"{DIRECTORY}/{identity}.lineage", msgspec.json.encode(lineage))
        self._loaded[identity] = ranker
        return ranker

    def lineage(self, sha256: str) -> Json:
        """What a model was trained on, as it was said when it was registered; None where nothing was."""
        path = f"{DIRECTORY}/{sha256}.lineage"
        return msgspec.json.decode(self._disk.read(path)) if self._disk.exists(path) else None


def _path(file: str, sha256: str) -> str:
    return f"{DIRECTORY}/{sha256}{PurePath(file).suffix.lower()}"


def promoted(before: Mapping[str, Json] | None, file: str, sha256: str, share: float, shadow: bool) -> dict[str, Json]:
    """The row after a promotion: a whole one makes a champion, a part or a shadow a challenger."""
    row = {**_NOTHING, **(before or {})}
    if share >= 1.0 and not shadow:
        if row["champion"] != sha256:
            row["previous"], row["previous_file"] = row["champion"], row["champion_file"]
        row["champion"], row["champion_file"] = sha256, file
        row["challenger"], row["challenger_file"], row["share"], row["shadow"] = None, None, 0.0, False
    else:
        row["challenger"], row["challenger_file"] = sha256, file
        row["share"], row["shadow"] = (0.0, True) if shadow else (share, False)
    return row


def rolled_back(name: str, before: Mapping[str, Json] | None) -> dict[str, Json]:
    """The row after a rollback: without its challenger, or else with the champion before. Raises NotFound."""
    row = {**_NOTHING, **(before or {})}
    if row["challenger"] is not None:
        row["challenger"], row["challenger_file"], row["share"], row["shadow"] = None, None, 0.0, False
    elif row["champion"] is not None:
        row["champion"], row["champion_file"] = row["previous"], row["previous_file"]
        row["previous"], row["previous_file"] = None, None
    else:
        raise NotFound(f"model {name!r} has nothing to roll back", cure="promote one: nextpaint promote NAME FILE")
    return row


class Registry:
    """Promotions of one node."""

    def __init__(self, node: Node, files: ModelFiles) -> None:
        self._node = node
        self._files = files
        self._turn = asyncio.Lock()  # a promotion is made from the row before it

    def row(self, name: str) -> dict[str, Json] | None:
        """The row of a model in force."""
        return self._node.tables.reading(self._node.ports.clock.now_ms()).row(MODELS.name, (name,))

    def all(self) -> list[dict[str, Json]]:
        """Every model, what ranks, what is on trial, the lineage of each, and how often each ranked since start."""
        rows = self._node.tables.reading(self._node.ports.clock.now_ms()).rows(MODELS.name, ())
        counters = dict(self._node.observed.counters)
        found = []
        for row in rows:
            hashes = [row[role] for role in ("champion", "challenger", "previous") if row[role]]
            ranked = {
                each[7:]: count for each, count in counters.items()
                if each.startswith("ranked_") and any(each.endswith(str(one)[:12]) for one in hashes)
            }  # fmt: skip
            found.append(
                {**row, "lineage": {each: self._files.lineage(str(each)) for each in hashes}, "ranked": ranked}
            )
        return found

    async def promote(self, name: str, upload: Upload) -> dict[str, Json]:
        """Keep a file and put it in force as champion, canary or shadow."""
        if not 0.0 < upload.share <= 1.0:
            raise InvalidInput(
                f"'share' is {upload.share}", where=f"model {name}", cure="send a share above 0, up to 1"
            )
        async with self._turn:
            ranker = self._files.keep(upload.file, upload.data, upload.lineage)
            check_fits(name, ranker, self._node.application.surfaces)
            row = promoted(self.row(name), upload.file, ranker.identity, upload.share, upload.shadow)
            return await self._write(name, row)

    async def roll_back(self, name: str) -> dict[str, Json]:
        """Take a challenger away, or put the champion before back."""
        async with self._turn:
            return await self._write(name, rolled_back(name, self.row(name)))

    async def _write(self, name: str, row: dict[str, Json]) -> dict[str, Json]:
        now_ms = self._node.ports.clock.now_ms()
        row = {**row, "name": name, "ts": now_ms}
        record = Record(msgspec.json.encode({"name": name}), msgspec.json.encode(row), now_ms)
        _, entry, index = await self._node.appended(Draft(MODELS.name, EntryKind.INPUT, [record]))
        await self._node.applied(entry.base_seq + index)
        return {**row, "position": str(self._node.position_of(entry.base_seq + index))}

    def check(self, application: Application) -> None:
        """Raises InvalidInput when a model in force does not fit a surface of another application."""
        for _ in check_models(self.all(), self._files, application.surfaces):
            pass


def check_models(rows: Iterable[Mapping[str, Json]], files: ModelFiles, surfaces: tuple[Surface, ...]) -> Iterator[str]:
    """A line for each model in force. Raises InvalidInput for one that does not fit its surfaces."""
    for row in rows:
        for role in ("champion", "challenger"):
            if row[role]:
                try:
                    ranker = files(row[f"{role}_file"], row[role])
                except ValueError as error:
                    raise InvalidInput(str(error), where=f"model {row['name']}", cure="put the file back") from error
                with contextlib.suppress(NotFound):  # no surface of that application ranks by it
                    check_fits(row["name"], ranker, surfaces)
                    yield f"model {row['name']}: {role} {row[role][:12]} fits"


def check_fits(name: str, ranker: Ranker, surfaces: tuple[Surface, ...]) -> None:
    """Raises InvalidInput where a surface that ranks by this model lacks a feature of it, NotFound where none does."""
    using = [
        each for surface in surfaces for each in (surface, *surface.variants().values())
        if isinstance(each.rank, Model) and each.rank.name == name
    ]  # fmt: skip
    if not using:
        names = sorted({each.rank.name for each in surfaces if isinstance(each.rank, Model)})
        raise NotFound(f"no surface ranks by a model {name[:80]!r}", cure=f"known: {', '.join(names) or 'none'}")
    for surface in using:
        wrong = mismatch(ranker, tuple(surface.features))
        if wrong:
            raise InvalidInput(
                f"the model does not fit surface {surface.name!r}: {wrong}", where=f"model {name}",
                cure="train it on this surface's features, or declare the missing ones",
            )  # fmt: skip
