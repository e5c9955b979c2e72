"""Subjects: the random token that stands for a person's identifier everywhere but in `keys.db`.

`keys.db` (SQLite) is the only mutable store of a node. It holds, per identifier (a userId, an anonymousId, an e-mail
address), its kind, a keyed hash (HMAC-SHA256) of its text, and its token: 22 base62 digits of 128 random bits. The
text itself is written nowhere; the hash key is the file `keys.key` (mode 0600) beside it, so a copy of keys.db alone
does not let anyone try out e-mail addresses. Both belong in one backup, apart from the ledger's: with the key lost,
known visitors become unknown, so a database without its key is refused.

Invariants
* Identifiers of different kinds have different tokens: a userId equal to an anonymousId is not the same subject.
* A token that was handed out is found again at once. What `write` wrote is found after any crash once the file that it
  gives is synced, which somebody else may do. Sync it before the frame that uses the token: a crash in between leaves
  an unused token, never a frame whose subject is unknown.
* Memory is bounded: the cache forgets what was used longest ago, pending tokens have a ceiling and then refuse.
* An erasure is a record of the ledger first, and `destroy` follows it: `erased_up_to` says how far. So a crash between
  the two, or a keys.db from an older backup, is made good at the next start. While one is under way (`hold` to
  `release`) its identifiers are nobody's to `known`, and `token` asks to come back a moment later.
* Who asked to stay out is kept as what they are looked up by, a keyed hash (`suppressed`), and gets no token.

Not here: links between tokens (rows of the table `identity`), consent, and the sealing of fields.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from nextpaint.govern.access import replace_private_file
from nextpaint.ports.disk import File, SystemDisk, SystemFile
from nextpaint.ports.random import Random
from nextpaint.record.errors import LedgerReadOnly, NextpaintError, Overloaded, RequestError

IdentifierKind = Literal["user", "anonymous", "email"]

_KIND_CODES: dict[str, int] = {"user": 1, "anonymous": 2, "email": 3}
_KIND_NAMES: dict[int, IdentifierKind] = {1: "user", 2: "anonymous", 3: "email"}

TOKEN_BYTES = 16
TOKEN_LENGTH = 22  # base62 digits of 128 bits: 62**22 > 2**128 > 62**21
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

CACHE_ENTRIES = 200_000  # about 60 MB of Python strings; an active hour of a mid-sized shop
STRANGERS_MAX = 50_000
_ROWS_MAX = 10_000  # of one statement: SQLite takes 32,766 parameters
_FOLD_ROWS = 500  # worth bringing the write-ahead log into the database: some 1,000 pages
_LOG_PAGES_MAX = 100_000  # a commit brings the log in all the same when nobody did: 400 MB
_BUSY_MS = 5_000  # how long to wait for another process that has the database
_EMPTYING_MS = 50  # the same of an erasure, while which frames of new visitors wait
PENDING_MAX = 100_000  # several frames' worth: beyond it the writer has stopped committing

_KEY_BYTES = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS identifiers (
  kind INTEGER NOT NULL,
  digest BLOB NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (kind, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifiers_by_token ON identifiers (token);
CREATE TABLE IF NOT EXISTS suppressed (
  kind INTEGER NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (kind, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (up_to INTEGER NOT NULL);
INSERT INTO erased SELECT -1 WHERE NOT EXISTS (SELECT 1 FROM erased);
CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
INSERT INTO format SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM format);
"""

_Identifier = tuple[int, bytes]  # kind code, keyed hash


class Suppressed(RequestError):
    """Somebody who was erased and asked that no profile be made again."""

    status = 403


class Subjects:
    """Tokens of identifiers. Open with `Subjects.open`; close when the ledger is closed."""

    def __init__(self, path: Path, key: bytes, random: Random, *, cache_entries: int = CACHE_ENTRIES) -> None:
        self._path = path
        self._key = key
        self._random = random
        self._cache_entries = cache_entries
        self._strangers: set[tuple[str, str]] = set()  # looked up in vain since they were last met at the door
        self._cache: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._pending: dict[_Identifier, str] = {}
        self._committing: dict[_Identifier, str] = {}
        self._handover = threading.Lock()  # guards _pending and _committing; never held while waiting for the disk
        self._writing = threading.Lock()  # one writer of the database at a time
        self._inserted = self._folded = 0  # identifiers since the start; those that `fold` has seen
        self._held: frozenset[str] = frozenset()  # tokens that are being erased
        self._reader = _connect(path)
        self._suppressing = self._any_suppressed()
        self._writer = _connect(path)
        self._folder = _connect(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._log = SystemFile(os.open(path.with_name(path.name + "-wal"), flags, 0o600))  # its write-ahead log

    @staticmethod
    def open(path: Path, random: Random, *, cache_entries: int = CACHE_ENTRIES) -> Subjects:
        """Open or create `path` (keys.db) and its key file.

        Raises NextpaintError if the database has lost its key or is damaged.
        """
        key_path = path.with_name("keys.key")
        if key_path.exists():
            key = key_path.read_bytes()
        elif path.exists():
            raise NextpaintError(
                "keys.db has lost its key: known visitors could not be recognised",
                where=str(key_path),
                cure="restore keys.key from the backup that holds keys.db",
            )
        else:
            key = random.token(_KEY_BYTES)
            replace_private_file(key_path, key)
        if len(key) != _KEY_BYTES:
            raise NextpaintError(
                f"keys.key has {len(key)} bytes instead of {_KEY_BYTES}",
                where=str(key_path),
                cure="restore it from a backup",
            )
        try:
            subjects = Subjects(path, key, random, cache_entries=cache_entries)
        except sqlite3.DatabaseError as error:
            raise NextpaintError(
                f"keys.db cannot be opened: {error}", where=str(path), cure="restore it from a backup"
            ) from error
        SystemDisk(path.parent).sync_directory("")  # the names of keys.db and its log
        return subjects

    def token(self, kind: IdentifierKind, value: str) -> str:
        """The token of an identifier; a new one is made, and is pending until `commit`.

        `value` must be encodable as UTF-8. Raises Overloaded when too many new tokens wait for `commit`, or when this
        one is being erased; Suppressed for somebody who asked to stay out.
        """
        cached = self._cache.get((kind, value))
        if cached is not None:
            if cached in self._held:
                raise _being_erased(self._path)
            self._cache.move_to_end((kind, value))
            return cached
        identifier = self._identifier(kind, value)
        found = self._find(identifier)
        if found is not None and found in self._held:
            raise _being_erased(self._path)
        if found is None and self._suppressing and self._is_suppressed(identifier):
            raise Suppressed("this person asked to stay out", where="keys.db", cure="send nothing about them")
        if found is None:
            found = _base62(self._random.token(TOKEN_BYTES))
            with self._handover:
                if len(self._pending) >= PENDING_MAX:
                    raise Overloaded("too many new visitors wait for keys.db", where=str(self._path))
                self._pending[identifier] = found
        self._remember((kind, value), found)
        return found

    def known(self, kind: IdentifierKind, value: str) -> str | None:
        """The token of an identifier seen before, else None; nothing is made."""
        cached = self._cache.get((kind, value))
        if cached is not None or (kind, value) in self._strangers:
            return None if cached in self._held else cached
        found = self._find(self._identifier(kind, value))
        if found is not None and found in self._held:
            return None
        if found is None:
            if len(self._strangers) >= STRANGERS_MAX:
                self._strangers.clear()
            self._strangers.add((kind, value))
        else:
            self._remember((kind, value), found)
        return found

    def pseudonym(self, text: str) -> str:
        """A keyed hash of a text that must stay distinguishable but may hold an identifier: 22 base62 digits."""
        return _base62(hmac.digest(self._key, b"\x00" + text.encode("utf-8", "surrogatepass"), "sha256")[:TOKEN_BYTES])

    @property
    def pending(self) -> int:
        """Tokens handed out and not yet durable."""
        return len(self._pending) + len(self._committing)

    def write(self) -> File | None:
        """Write all pending tokens. They are durable once the file that this gives is synced (None: there were none),
        which must be before the frame that uses them is written.

        Raises LedgerReadOnly when the database cannot be written; the tokens stay pending.
        """
        if not self._pending:
            return None
        with self._writing:
            while self._pending:
                self._commit_some()
        return self._log

    def commit(self) -> int:
        """`write` and sync; gives how many there were. Raises LedgerReadOnly when either fails."""
        count = len(self._pending)
        log = self.write()
        if log is not None:
            self._synced(log)
        return count

    def _synced(self, log: File) -> None:
        try:
            log.sync()
        except OSError as error:
            raise LedgerReadOnly(
                f"keys.db cannot be synced: {error.strerror}", where=str(self._path), cure="look at the disk"
            ) from error

    def _commit_some(self) -> int:
        with self._handover:
            self._committing = dict(islice(self._pending.items(), _ROWS_MAX))
            for identifier in self._committing:
                del self._pending[identifier]
        try:
            self._insert([(kind, digest, token) for (kind, digest), token in self._committing.items()])
        except sqlite3.Error as error:
            with self._handover:
                self._pending = {**self._committing, **self._pending}
                self._committing = {}
            raise LedgerReadOnly(
                f"keys.db cannot be written: {error}",
                where=str(self._path),
                cure="free disk space, then restart the node",
            ) from error
        count = len(self._committing)
        with self._handover:
            self._committing = {}
        return count

    def _insert(self, rows: list[tuple[int, bytes, str]]) -> None:
        """One statement, which is one transaction: around each call this thread gives the interpreter away and waits to
        have it back."""
        values = ", ".join(["(?, ?, ?)"] * len(rows))
        statement = f"INSERT INTO identifiers (kind, digest, token) VALUES {values}"
        self._writer.execute(statement, [each for row in rows for each in row])
        self._inserted += len(rows)

    @property
    def grown(self) -> bool:
        """Whether it is time for `fold`."""
        return self._inserted - self._folded >= _FOLD_ROWS

    def fold(self) -> None:
        """Bring the write-ahead log into the database; commits go on meanwhile. For a background thread: the commit
        that did it would keep a frame waiting."""
        self._folded = self._inserted
        self._folder.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def identifiers(self, token: str) -> list[tuple[IdentifierKind, str]]:
        """What is known of a token: (kind, keyed hash in hex) of each identifier. The text itself was never kept."""
        with self._handover:
            waiting = [each for each, held in {**self._committing, **self._pending}.items() if held == token]
        stored = self._reader.execute("SELECT kind, digest FROM identifiers WHERE token = ?", (token,)).fetchall()
        return [(_KIND_NAMES[kind], digest.hex()) for kind, digest in dict.fromkeys([*stored, *waiting])]

    # ------------------------------------------------------------ erasure

    def named(self, kind: IdentifierKind, value: str) -> tuple[str, str]:
        """(kind, keyed hash in hex) of an identifier: what it is looked up by, and all that a receipt says of it."""
        return kind, self._identifier(kind, value)[1].hex()

    @property
    def erased_up_to(self) -> int:
        """The seq of the last erase record that `destroy` was called for."""
        return int(self._reader.execute("SELECT up_to FROM erased").fetchone()[0])

    def hold(self, tokens: Collection[str]) -> None:
        """These are being erased: nobody is given one from now on."""
        self._held = self._held | frozenset(tokens)

    def release(self, tokens: Collection[str]) -> None:
        """After `destroy`, or where there will be none. On the thread that calls `token`."""
        gone = frozenset(tokens)
        for cached in [each for each, held in self._cache.items() if held in gone]:
            del self._cache[cached]
        self._held = self._held - gone
        self._suppressing = self._any_suppressed()

    def destroy(self, tokens: Sequence[str], suppress: Sequence[tuple[str, str]] = (), up_to: int | None = None) -> int:
        """Destroy every identifier of these tokens and return how many there were. A new call gets a new token, unless
        it comes under one of `suppress` (as `named` gives them). `up_to`: the seq of the erase record. On any thread;
        call `release` after.

        The pages are overwritten (`secure_delete`) and the write-ahead log is emptied before this returns. Raises
        LedgerReadOnly when the database cannot be written.
        """
        destroyed = 0
        with self._writing:
            gone = frozenset(tokens)
            with self._handover:
                waiting = [each for each, held in self._pending.items() if held in gone]
                for identifier in waiting:
                    del self._pending[identifier]
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                for token in tokens:
                    destroyed += self._writer.execute("DELETE FROM identifiers WHERE token = ?", (token,)).rowcount
                for kind, digest in suppress:
                    row = _KIND_CODES[kind], bytes.fromhex(digest)
                    self._writer.execute("INSERT OR IGNORE INTO suppressed (kind, digest) VALUES (?, ?)", row)
                if up_to is not None:
                    self._writer.execute("UPDATE erased SET up_to = MAX(up_to, ?)", (up_to,))
                self._writer.execute("COMMIT")
                self._writer.execute(f"PRAGMA busy_timeout = {_EMPTYING_MS}")
                (busy, *_) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise LedgerReadOnly(
                    f"keys.db cannot be written: {error}", where=str(self._path),
                    cure="free disk space, then restart the node: it finishes the erasure",
                ) from error  # fmt: skip
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            if busy:
                what = "keys.db is read by another process: its log still holds what was erased"
                raise Overloaded(what, where=str(self._path), cure="stop what reads keys.db, then restart the node")
        return destroyed + len(waiting)

    def forget(self, token: str) -> int:
        """Destroy every identifier of a token and return how many there were. A new call gets a new token."""
        destroyed = self.destroy([token])
        self.release([token])
        return destroyed

    def lift(self, named: Sequence[tuple[str, str]]) -> int:
        """Let identifiers (as `named` gives them) in again; gives how many stayed out. On the thread that calls
        `token`. Raises LedgerReadOnly when the database cannot be written."""
        lifted = 0
        with self._writing:
            try:
                for kind, digest in named:
                    row = _KIND_CODES[kind], bytes.fromhex(digest)
                    statement = "DELETE FROM suppressed WHERE kind = ? AND digest = ?"
                    lifted += self._writer.execute(statement, row).rowcount
            except sqlite3.Error as error:
                raise LedgerReadOnly(f"keys.db cannot be written: {error}", where=str(self._path)) from error
        self._synced(self._log)
        self._suppressing = self._any_suppressed()
        return lifted

    def _any_suppressed(self) -> bool:
        return self._reader.execute("SELECT 1 FROM suppressed LIMIT 1").fetchone() is not None

    def _is_suppressed(self, identifier: _Identifier) -> bool:
        found = self._reader.execute("SELECT 1 FROM suppressed WHERE kind = ? AND digest = ?", identifier).fetchone()
        return found is not None

    def suppressed(self, kind: IdentifierKind, value: str) -> bool:
        """Did this person ask to stay out?"""
        return self._suppressing and self._is_suppressed(self._identifier(kind, value))

    def close(self) -> None:
        """Commit what is pending and close the database."""
        self.commit()
        self._log.close()
        for connection in (self._reader, self._folder, self._writer):
            connection.close()

    def _identifier(self, kind: str, value: str) -> _Identifier:
        code = _KIND_CODES[kind]
        return code, hmac.digest(self._key, bytes([code]) + value.encode(), "sha256")

    def _find(self, identifier: _Identifier) -> str | None:
        with self._handover:
            waiting = self._pending.get(identifier) or self._committing.get(identifier)
        if waiting is not None:
            return waiting
        row = self._reader.execute("SELECT token FROM identifiers WHERE kind = ? AND digest = ?", identifier).fetchone()
        return None if row is None else str(row[0])

    def _remember(self, identifier: tuple[str, str], token: str) -> None:
        self._strangers.discard(identifier)
        self._cache[identifier] = token
        if len(self._cache) > self._cache_entries:
            self._cache.popitem(last=False)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_MS / 1000, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit is in the log and not synced: `Subjects.write` says who does that. Folding syncs what it must.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _being_erased(path: Path) -> Overloaded:
    return Overloaded("this person is being erased", where=str(path), retry_after_s=1)


def _base62(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(TOKEN_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
