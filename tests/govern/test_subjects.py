"""Tokens: stable, separate by kind, durable after commit, found again after a restart, and the text kept nowhere."""

import sqlite3
import threading

import pytest

from nextpaint.govern import subjects as module
from nextpaint.govern.subjects import TOKEN_LENGTH, Subjects, Suppressed
from nextpaint.ports.random import SystemRandom
from nextpaint.record.errors import LedgerReadOnly, NextpaintError, Overloaded


@pytest.fixture
def opened(tmp_path):
    subjects = Subjects.open(tmp_path / "keys.db", SystemRandom())
    yield subjects
    subjects.close()


def test_a_token_is_stable_and_kinds_are_separate(opened):
    one = opened.token("user", "ada@example.org")
    assert one == opened.token("user", "ada@example.org")
    assert len({one, opened.token("anonymous", "ada@example.org"), opened.token("user", "bob")}) == 3
    assert len(one) == TOKEN_LENGTH and one.isalnum()


def test_committed_tokens_survive_a_restart_and_uncommitted_ones_do_not(tmp_path):
    first = Subjects.open(tmp_path / "keys.db", SystemRandom())
    kept = first.token("user", "kept")
    assert first.commit() == 1
    lost = first.token("user", "lost")
    first._reader.close(), first._writer.close()  # a crash: nothing more is written
    second = Subjects.open(tmp_path / "keys.db", SystemRandom())
    assert second.known("user", "kept") == kept == second.token("user", "kept")
    assert second.known("user", "lost") is None
    assert second.token("user", "lost") != lost
    second.close()


def test_the_text_of_an_identifier_is_in_no_file(tmp_path, opened):
    opened.token("email", "ada.lovelace@example.org")
    opened.token("user", "customer-4711")
    opened.commit()
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert b"lovelace" not in data and b"customer-4711" not in data, path


def test_a_small_cache_forgets_and_still_answers_the_same(tmp_path):
    subjects = Subjects.open(tmp_path / "keys.db", SystemRandom(), cache_entries=3)
    tokens = {f"u{n}": subjects.token("user", f"u{n}") for n in range(20)}
    assert {name: subjects.token("user", name) for name in tokens} == tokens  # pending
    subjects.commit()
    assert {name: subjects.token("user", name) for name in tokens} == tokens  # stored
    assert len(subjects._cache) == 3
    subjects.close()


def test_commit_on_another_thread_never_changes_a_token(opened):
    seen: dict[str, str] = {}
    stop = threading.Event()

    def commit() -> None:
        while not stop.wait(0.0002):  # without a pause it holds the interpreter, and the other thread waits 5 ms a call
            opened.commit()

    writer = threading.Thread(target=commit)
    writer.start()
    opened._cache_entries = 10
    try:
        for n in range(20_000):
            name = f"u{n * 7919 % (20 + n // 4)}"  # new ones all the time, and those met a moment ago
            assert seen.setdefault(name, opened.token("user", name)) == opened.token("user", name)
    finally:
        stop.set()
        writer.join()
    opened.commit()
    assert all(opened.known("user", name) == token for name, token in seen.items())


def test_forgetting_destroys_the_link_and_a_new_call_is_a_new_person(tmp_path, opened):
    token = opened.token("user", "ada")
    opened.commit()
    ((kind, digest),) = opened.identifiers(token)
    assert kind == "user"
    assert opened.forget(token) == 1
    assert opened.identifiers(token) == []
    assert opened.known("user", "ada") is None
    assert all(bytes.fromhex(digest) not in path.read_bytes() for path in tmp_path.iterdir())
    assert opened.token("user", "ada") != token


def test_forgetting_a_pending_token(opened):
    token = opened.token("user", "ada")
    assert opened.forget(token) == 1
    assert opened.commit() == 0


def test_a_failed_commit_keeps_the_tokens_pending(opened):
    token = opened.token("user", "ada")
    other = sqlite3.connect(opened._path)
    opened._writer.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerReadOnly):
        opened.commit()
    other.rollback()
    other.close()
    assert opened.pending == 1
    assert opened.token("user", "ada") == token
    assert opened.commit() == 1


def test_more_tokens_than_a_statement_takes_are_committed_all_the_same(opened, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_MAX", 3)
    tokens = {n: opened.token("user", str(n)) for n in range(8)}
    assert (opened.commit(), opened.pending, opened.commit()) == (8, 0, 0)
    stored = opened._reader.execute("SELECT token FROM identifiers").fetchall()
    assert {token for (token,) in stored} == set(tokens.values())


def test_the_log_is_brought_in_from_elsewhere_and_commits_go_on(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FOLD_ROWS", 40)
    for n in range(50):
        opened.token("user", str(n))
        opened.commit()
    assert opened.grown
    before = (tmp_path / "keys.db").stat().st_size
    opened.fold()
    assert not opened.grown
    assert (tmp_path / "keys.db").stat().st_size > before
    token = opened.token("user", "50")
    assert (opened.commit(), opened.known("user", "50")) == (1, token)


def test_too_many_new_visitors_are_refused(opened, monkeypatch):
    monkeypatch.setattr(module, "PENDING_MAX", 5)
    for n in range(5):
        opened.token("user", str(n))
    with pytest.raises(Overloaded):
        opened.token("user", "one too many")
    assert opened.token("user", "3")
    opened.commit()
    assert opened.token("user", "one too many")


def test_a_database_without_its_key_or_with_damage_is_refused(tmp_path):
    Subjects.open(tmp_path / "keys.db", SystemRandom()).close()
    key = tmp_path / "keys.key"
    assert key.stat().st_mode & 0o077 == 0 and (tmp_path / "keys.db").stat().st_mode & 0o077 == 0
    content = key.read_bytes()
    key.unlink()
    with pytest.raises(NextpaintError, match="lost its key"):
        Subjects.open(tmp_path / "keys.db", SystemRandom())
    key.write_bytes(content[:5])
    with pytest.raises(NextpaintError, match="5 bytes"):
        Subjects.open(tmp_path / "keys.db", SystemRandom())
    key.write_bytes(content)
    (tmp_path / "keys.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(NextpaintError, match="cannot be opened"):
        Subjects.open(tmp_path / "keys.db", SystemRandom())


def test_while_somebody_is_erased_nobody_gets_their_token(opened):
    known, pending = opened.token("user", "ada"), opened.token("anonymous", "new")
    opened.commit()
    waits = opened.token("anonymous", "newer")
    tokens = [known, pending, waits]
    opened.hold(tokens)
    for kind, value in (("user", "ada"), ("anonymous", "new"), ("anonymous", "newer")):
        assert opened.known(kind, value) is None
        with pytest.raises(Overloaded, match="being erased"):
            opened.token(kind, value)
    opened.token("user", "bob")
    assert opened.destroy(tokens, up_to=7) == 3
    opened.release(tokens)
    assert opened.erased_up_to == 7
    assert opened.known("user", "ada") is None and opened.token("user", "ada") not in tokens
    assert opened.destroy(["unknown"], up_to=3) == 0
    assert opened.erased_up_to == 7, "never back"


def test_released_without_having_been_destroyed_they_are_who_they_were(opened):
    token = opened.token("user", "ada")
    opened.hold([token])
    opened.release([token])
    assert opened.token("user", "ada") == opened.known("user", "ada") == token


def test_who_stays_out_is_kept_as_a_hash_and_gets_no_token_also_after_a_restart(tmp_path):
    opened = Subjects.open(tmp_path / "keys.db", SystemRandom())
    token = opened.token("user", "ada.lovelace@example.org")
    opened.commit()
    named = opened.named("user", "ada.lovelace@example.org")
    assert opened.identifiers(token) == [named]
    opened.destroy((), [named])
    assert opened.token("user", "ada.lovelace@example.org") == token, "of no effect while there is a token"
    opened.destroy([token], (), 1)
    opened.release([token])
    opened.close()
    again = Subjects.open(tmp_path / "keys.db", SystemRandom())
    assert again.suppressed("user", "ada.lovelace@example.org") and not again.suppressed("user", "bob")
    assert not again.suppressed("anonymous", "ada.lovelace@example.org")
    with pytest.raises(Suppressed):
        again.token("user", "ada.lovelace@example.org")
    assert again.known("user", "ada.lovelace@example.org") is None
    assert again.token("user", "bob")
    assert again.lift([named, again.named("user", "bob")]) == 1
    assert again.token("user", "ada.lovelace@example.org") != token
    again.close()
    assert not any(b"ada.lovelace" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_destruction_that_fails_changes_nothing_and_can_be_tried_again(opened):
    token = opened.token("user", "ada")
    opened.commit()
    other = sqlite3.connect(opened._path)
    opened._writer.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerReadOnly, match="finishes the erasure"):
        opened.destroy([token], (), 5)
    other.rollback()
    assert opened.erased_up_to == -1 and opened.known("user", "ada") == token
    other.execute("BEGIN")
    other.execute("SELECT * FROM identifiers").fetchall()  # reads, so that the log cannot be emptied
    with pytest.raises(Overloaded, match="its log still holds"):
        opened.destroy([token], (), 5)
    other.rollback()
    other.close()
    assert opened.destroy([token], (), 5) == 0, "it was destroyed, and the log is empty now"
