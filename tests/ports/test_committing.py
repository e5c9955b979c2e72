"""Commits elsewhere: in order, none behind one that failed, told once each; whatever does them."""

import asyncio
import errno
import os
import queue
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nextpaint.ports import InlineWorkers, SeededRandom, SimulatedDisk, SimulatedWorkers, SystemDisk, ThreadWorkers
from nextpaint.ports.committing import NativeCommits
from nextpaint.ports.disk import DIRECT_ALIGN, aligned
from nextpaint.record.durable import SCRATCH_WORDS, commit_all


def workers_of(kind, calls):
    return {
        "inline": InlineWorkers, "thread": lambda: ThreadWorkers(calls.put),
        "simulated": lambda: SimulatedWorkers(SeededRandom(4)),
    }[kind]()  # fmt: skip


@pytest.mark.parametrize("kind", ["inline", "thread", "simulated"])
def test_commits_are_in_order_and_none_follows_one_that_failed(kind):
    disk, calls, told = SimulatedDisk(SeededRandom(1)), queue.Queue(), []
    file, other = disk.open("a", create=True), disk.open("b", create=True)
    workers = workers_of(kind, calls)

    def commit(which, data):
        workers.commit(which, data, lambda at_ns, error: told.append((data, error and error.errno)))

    commit(file, b"one ")
    commit(file, b"two ")
    workers.close()
    workers = workers_of(kind, calls)
    disk.fail("sync", error=errno.EIO)
    commit(file, b"three")
    commit(file, b"four")
    commit(other, b"elsewhere")
    workers.close()
    while not calls.empty():
        calls.get()()
    assert told == [
        (b"one ", None), (b"two ", None), (b"three", errno.EIO), (b"four", errno.EIO), (b"elsewhere", errno.EIO),
    ]  # fmt: skip
    assert b"four" not in disk.read("a") and disk.read("b") == b""


class Native:
    """Native commits on a loop, to files in a directory."""

    def __init__(self, directory):
        self.disk = SystemDisk(directory)
        self.told = []

    def run(self, body):
        async def running():
            self.commits = NativeCommits(commit_all, np.zeros(SCRATCH_WORDS, np.int64), asyncio.get_running_loop())
            try:
                await body()
            finally:
                self.commits.close()
                self.commits.close()  # a second time does nothing

        asyncio.run(running())

    def commit(self, file, data):
        began = time.monotonic_ns()
        self.commits.commit(
            file,
            data,
            lambda at_ns, error: self.told.append((len(data), began <= at_ns, error and error.errno)),
        )

    async def all_told(self, count):
        while len(self.told) < count:
            await asyncio.sleep(0.001)


def test_native_commits_append_whole_frames_of_any_size(tmp_path):
    native = Native(tmp_path)
    file = native.disk.open("log", create=True)
    frames = [b"", b"a", os.urandom(4096), os.urandom(9_000_000), *(b"%d" % n for n in range(5000))]

    async def body():
        for each in frames:
            native.commit(file, each)
        await native.all_told(len(frames))

    native.run(body)
    assert native.told == [(len(each), True, None) for each in frames]
    assert native.disk.read("log") == b"".join(frames)


def random_aligned(size):
    data = aligned(size)
    data[:] = os.urandom(size)
    return data


@pytest.mark.parametrize("directory", ["disk", "/dev/shm"])
def test_commits_past_the_page_cache_and_through_it_make_one_file(tmp_path, directory):
    where = Path(tempfile.mkdtemp(dir=directory)) if Path(directory).is_dir() else tmp_path
    native = Native(where)
    file = native.disk.open("log", create=True)
    sector = DIRECT_ALIGN
    sizes = [sector, 7 * sector, 4096, 1 << 20, (5 << 19) + sector, 3, sector, 0, 2 * sector, sector - 3, sector, 8192]
    pieces = [random_aligned(size) for size in sizes]
    whole = b"".join(pieces)

    async def body():
        for count, each in enumerate(pieces, 1):
            native.commit(file, each)
            if count % 2:
                await native.all_told(count)
                written = sum(sizes[:count])
                assert file.read(0, written + 1) == whole[:written], f"after commit {count}"
        await native.all_told(len(pieces))

    native.run(body)
    file.close()
    assert {each[1:] for each in native.told} == {(True, None)}
    assert native.disk.read("log") == whole
    shutil.rmtree(where)


def test_who_reads_meanwhile_never_sees_bytes_of_before(tmp_path):
    """Reads fill the page cache with pages that end in the middle, which a direct write then continues."""
    native = Native(tmp_path)
    file = native.disk.open("log", create=True)
    pieces = [random_aligned(DIRECT_ALIGN * (1 + number % 5)) for number in range(400)]
    whole, durable, wrong, over = b"".join(pieces), [0], [], threading.Event()

    def read():
        other = native.disk.open("log")
        while not over.is_set():
            to = durable[0]
            at = max(0, to - 8192)
            if other.read(at, to - at) != whole[at:to]:
                wrong.append(to)
        other.close()

    readers = [threading.Thread(target=read) for _ in range(2)]

    async def body():
        for each in pieces:
            native.commit(file, each)
            await native.all_told(len(native.told) + 1)
            durable[0] += len(each)

    for each in readers:
        each.start()
    native.run(body)
    over.set()
    for each in readers:
        each.join()
    file.close()
    assert not wrong and native.disk.read("log") == whole


@pytest.mark.parametrize(
    ("path", "flags", "number"), [("/dev/full", os.O_WRONLY, errno.ENOSPC), ("/dev/null", os.O_RDONLY, errno.EBADF)]
)
def test_an_error_of_the_disk_is_told_with_its_number_and_nothing_follows_it(tmp_path, path, flags, number):
    native = Native(tmp_path)
    good = native.disk.open("log", create=True)
    broken = type(good)(os.open(path, flags))

    async def body():
        native.commit(good, b"one")
        native.commit(broken, b"two")
        native.commit(broken, b"three")
        native.commit(good, b"four")
        await native.all_told(4)

    native.run(body)
    broken.close()
    assert [each[2] for each in native.told] == [None, number, number, number]
    assert native.disk.read("log") == b"one"


def test_a_commit_of_nothing_syncs(tmp_path):
    native = Native(tmp_path)
    file = native.disk.open("log", create=True)

    async def body():
        file.append(b"written by somebody else")
        native.commit(file, b"")
        await native.all_told(1)

    native.run(body)
    assert native.told == [(0, True, None)] and native.disk.read("log") == b"written by somebody else"


def test_what_is_durable_can_be_asked_for_before_the_loop_comes_to_it_also_from_inside(tmp_path):
    native = Native(tmp_path)
    file = native.disk.open("log", create=True)
    order = []

    async def body():
        def first(at_ns, error):
            order.append("first")
            time.sleep(0.05)
            native.commits.deliver_due()
            order.append("after first")

        native.commits.commit(file, b"1", first)
        native.commits.commit(file, b"2", lambda at_ns, error: order.append("second"))
        while not order:
            native.commits.deliver_due()  # the loop gets no turn
        await asyncio.sleep(0.01)

    native.run(body)
    assert order == ["first", "second", "after first"]


def test_it_does_not_wait_for_the_interpreter(tmp_path):
    """A commit is done while another thread computes and gives the interpreter to nobody."""
    native = Native(tmp_path)
    file = native.disk.open("log", create=True)
    at = []

    async def body():
        numbers = np.random.default_rng(1).random(1_500_000).tolist()
        native.commits.commit(file, b"x", lambda at_ns, error: at.append(at_ns))
        numbers.sort()  # one call, which takes about a second
        ended = time.monotonic_ns()
        native.commits.deliver_due()
        assert at and at[0] < ended

    native.run(body)
