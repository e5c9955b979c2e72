"""Both disks keep the same contract; the simulated one forgets like a real one."""

import errno
import os
import subprocess
import sys

import pytest

from nextpaint.ports import Locked, ReadOnlyDisk, SeededRandom, SimulatedCrash, SimulatedDisk, SystemDisk
from nextpaint.ports.simulated import SECTOR_BYTES


@pytest.fixture(params=["system", "simulated"])
def disk(request, tmp_path):
    return SystemDisk(tmp_path / "data" / "deep") if request.param == "system" else SimulatedDisk(SeededRandom(1))


def test_files_append_read_and_truncate(disk):
    disk.make_directory("ledger")
    file = disk.open("ledger/a", create=True)
    file.append(b"hello ")
    file.append(b"world")
    assert (file.size(), file.read(6, 100), file.read(0, 5), file.read(50, 5)) == (11, b"world", b"hello", b"")
    file.sync()
    file.truncate(5)
    file.append(b"!")
    assert disk.read("ledger/a") == b"hello!"
    file.close()
    assert disk.exists("ledger/a")
    assert disk.list("ledger") == ["a"]
    assert disk.list("nowhere") == []
    disk.remove("ledger/a")
    assert not disk.exists("ledger/a")
    assert disk.free_bytes() > 0


def test_a_commit_appends_and_syncs(disk):
    file = disk.open("a", create=True)
    file.append(b"one ")
    file.commit(b"two ")
    file.commit(b"three")
    assert disk.read("a") == b"one two three"
    file.close()


@pytest.mark.parametrize("written", [0, 3, None])
def test_a_commit_that_the_system_does_in_part_or_not_at_all_is_finished(tmp_path, monkeypatch, written):
    synced: list[int] = []

    def partly(descriptor, buffers, offset, flags):
        if written is None:
            raise OSError(errno.EOPNOTSUPP, "this file system has no such call")
        return os.write(descriptor, buffers[0][:written])

    monkeypatch.setattr(os, "pwritev", partly)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    file = SystemDisk(tmp_path).open("a", create=True)
    file.commit(b"abcdef")
    assert (tmp_path / "a").read_bytes() == b"abcdef"
    assert len(synced) == 1
    file.close()


def test_a_commit_that_fails_is_not_tried_again(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(os, "pwritev", fails)
    file = SystemDisk(tmp_path).open("a", create=True)
    with pytest.raises(OSError, match="gone"):
        file.commit(b"abcdef")
    assert (tmp_path / "a").read_bytes() == b""
    file.close()


def test_replace_puts_a_whole_file_in_place(disk):
    disk.make_directory("ledger")
    disk.replace("ledger/a", b"one")
    before = disk.open("ledger/a")
    disk.replace("ledger/a", b"two!")
    assert disk.read("ledger/a") == b"two!"
    assert before.read(0, 10) == b"one", "who has it open goes on reading the old file"
    assert disk.list("ledger") == ["a"]
    before.close()


def test_missing_files_and_second_locks_are_refused(disk):
    with pytest.raises(FileNotFoundError):
        disk.open("nothing")
    with pytest.raises(FileNotFoundError):
        disk.remove("nothing")
    lock = disk.lock("lock")
    with pytest.raises(Locked):
        disk.lock("lock")
    lock.release()
    disk.lock("lock").release()


def test_paths_stay_below_the_directory(tmp_path):
    for path in ("/etc/passwd", "a/../../b"):
        with pytest.raises(ValueError, match="below the data directory"):
            SystemDisk(tmp_path).open(path)


def test_a_read_only_disk_reads_and_changes_nothing(tmp_path):
    SystemDisk(tmp_path).replace("a", b"hello")
    disk = ReadOnlyDisk(tmp_path)
    file = disk.open("a")
    assert (file.read(0, 9), disk.read("a"), disk.list("")) == (b"hello", b"hello", ["a"])
    changes = (
        lambda: file.append(b"!"),
        lambda: disk.open("b", create=True),
        lambda: disk.replace("a", b"other"),
        lambda: disk.remove("a"),
        lambda: disk.make_directory("c"),
        lambda: disk.lock("a"),
    )
    for change in changes:
        with pytest.raises(OSError) as refused:
            change()
        assert refused.value.errno in (errno.EROFS, errno.EBADF)
    file.close()
    assert ReadOnlyDisk(tmp_path / "nowhere").list("") == []
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_a_lock_is_held_against_another_process_and_names_it(tmp_path):
    code = (
        "import sys, pathlib; from nextpaint.ports import SystemDisk\n"
        "lock = SystemDisk(pathlib.Path(sys.argv[1])).lock('lock'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked) as caught:
            SystemDisk(tmp_path).lock("lock")
        assert caught.value.holder == str(holder.pid)
        holder.kill()
        holder.wait()
    SystemDisk(tmp_path).lock("lock").release()


def test_a_short_write_is_finished_or_reported(tmp_path, monkeypatch):
    file = SystemDisk(tmp_path).open("a", create=True)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    file.append(b"0123456789")
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OSError, match="space") as caught:
        file.append(b"x")
    assert caught.value.errno == errno.ENOSPC
    assert file.read(0, 100) == b"0123456789"
    file.close()


# --- what the simulated disk forgets ------------------------------------------------------------------------------


def crashed(seed: int, prepare) -> SimulatedDisk:
    disk = SimulatedDisk(SeededRandom(seed))
    prepare(disk)
    disk.crash()
    return disk


def outcomes(prepare, look) -> set:
    return {look(crashed(seed, prepare)) for seed in range(200)}


def test_synced_bytes_under_a_synced_name_survive():
    def prepare(disk):
        file = disk.open("a", create=True)
        file.append(b"x" * 1300)
        file.sync()
        disk.sync_directory("")

    assert outcomes(prepare, lambda disk: disk.read("a")) == {b"x" * 1300}


def test_a_name_without_directory_sync_may_be_gone():
    def prepare(disk):
        file = disk.open("a", create=True)
        file.append(b"x")
        file.sync()

    assert outcomes(prepare, lambda disk: disk.exists("a")) == {True, False}


def test_a_removed_or_renamed_name_may_be_back():
    def prepare(disk):
        disk.replace("a", b"old")
        disk.replace("b", b"b")
        disk.remove("b")
        file = disk.open("a.tmp", create=True)
        file.append(b"new")
        file.sync()
        disk.rename("a.tmp", "a")

    assert outcomes(prepare, lambda disk: disk.read("a")) == {b"old", b"new"}
    assert outcomes(prepare, lambda disk: disk.exists("b")) == {True, False}


def test_unsynced_sectors_are_kept_dropped_zeroed_or_garbled_one_by_one():
    def prepare(disk):
        disk.replace("a", b"o" * SECTOR_BYTES)
        disk.open("a").append(b"n" * 2 * SECTOR_BYTES)

    def look(disk):
        data = disk.read("a")
        assert data[:SECTOR_BYTES] == b"o" * SECTOR_BYTES, "a synced sector nobody wrote to is as it was"
        sectors = [data[at : at + SECTOR_BYTES] for at in range(SECTOR_BYTES, len(data), SECTOR_BYTES)]
        known = {b"n" * SECTOR_BYTES: "kept", bytes(SECTOR_BYTES): "zero"}
        return tuple(known.get(sector, "short" if len(sector) < SECTOR_BYTES else "garbled") for sector in sectors)

    seen = outcomes(prepare, look)
    assert {(), ("kept", "kept"), ("zero", "kept"), ("kept", "zero"), ("garbled", "kept")} <= seen
    assert any("short" in each for each in seen)


def test_a_failed_sync_marks_the_pages_clean():
    def prepare(disk):
        disk.replace("a", b"")
        file = disk.open("a")
        file.append(b"n" * SECTOR_BYTES)
        disk.fail("sync")
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        assert file.read(0, 1) == b"n", "the page cache still shows it"
        file.sync()  # succeeds, and proves nothing

    assert len(outcomes(prepare, lambda disk: disk.read("a")[:1])) > 1


def test_a_full_disk_takes_a_part():
    disk = SimulatedDisk(SeededRandom(3), capacity_bytes=10)
    file = disk.open("a", create=True)
    with pytest.raises(OSError, match="No space"):
        file.append(b"0123456789abc")
    assert file.size() == 10
    assert disk.free_bytes() == 0


def test_a_process_that_died_touches_nothing():
    disk = SimulatedDisk(SeededRandom(3))
    file = disk.open("a", create=True)
    disk.lock("lock")
    disk.restart()
    with pytest.raises(SimulatedCrash):
        file.append(b"x")
    disk.lock("lock")


def test_faults_come_when_they_are_told_to():
    disk = SimulatedDisk(SeededRandom(3))
    file = disk.open("a", create=True)
    disk.fail("append", after=1, error=errno.EDQUOT, lasting=True)
    file.append(b"1")
    for _ in range(2):
        with pytest.raises(OSError, match="quota"):
            file.append(b"2")
    disk.heal()
    file.append(b"3")
    disk.flip("a", 0)
    assert file.read(0, 1) == b"0"
