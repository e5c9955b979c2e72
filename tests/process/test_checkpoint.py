"""A checkpoint file is whole or does not exist; it loads only into the application it is of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.ports import SeededRandom, SimulatedDisk
from nextpaint.process import checkpoint
from nextpaint.process.checkpoint import CheckpointWriter, Header
from nextpaint.process.runner import Runner
from nextpaint.record.errors import ReplayError
from tests.process.harness import records, whole
from tests.process.test_protocol import make, stream


def begun(disk: SimulatedDisk, runner: Runner) -> CheckpointWriter:
    header = Header("0", "app", runner.applied, 7, runner.at_ms, (-1, 0, 0))
    return CheckpointWriter(runner, header, disk, {"dedup": lambda: b"ids", "places": lambda: b""})


def written(disk: SimulatedDisk, runner: Runner) -> bytes:
    writer = begun(disk, runner)
    while not writer.slice(3):
        pass
    writer.finish()
    return disk.read(writer.path)


def test_what_was_written_is_read_and_loads() -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(1, 80)))
    written(disk, runner)
    found = checkpoint.newest(disk)
    assert found is not None
    assert (found.header.applied, found.header.next_frame) == (runner.applied, 7)
    assert found.beside == {"dedup": b"ids", "places": b""}
    other = make()
    found.load(other)
    assert other.state.hash() == runner.state.hash()
    assert other.applied == runner.applied


def test_the_newest_at_or_before_a_position_is_found() -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    arriving = records(stream(2, 60))
    for end in (20, 40, 60):
        whole(runner, arriving[end - 20 : end])
        written(disk, runner)
    assert checkpoint.positions(disk) == [19, 39, 59]
    found = checkpoint.newest(disk, 45)
    assert found is not None and found.header.applied == 39
    assert checkpoint.newest(disk, 5) is None


def test_a_damaged_or_unfinished_file_does_not_exist() -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(3, 60)))
    data = written(disk, runner)
    path = checkpoint.path_of(runner.applied)
    for damaged in (
        data[:-1],
        data[:-20],
        data[: len(data) // 2],
        b"",
        data[:-1] + bytes([data[-1] ^ 1]),
        b"x" + data[1:],
    ):
        disk.replace(path, damaged)
        assert checkpoint.read(disk, runner.applied) is None
    for at in range(0, len(data), 97):
        disk.replace(path, data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        assert checkpoint.read(disk, runner.applied) is None, f"byte {at}"


def test_a_damaged_file_is_passed_over_and_named(caplog: pytest.LogCaptureFixture) -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    arriving = records(stream(4, 40))
    whole(runner, arriving[:20])
    written(disk, runner)
    whole(runner, arriving[20:])
    data = written(disk, runner)
    disk.replace(checkpoint.path_of(39), data[:-1])
    found = checkpoint.newest(disk)
    assert found is not None and found.header.applied == 19
    assert checkpoint.path_of(39) in caplog.text


def test_state_of_another_application_is_refused() -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(4, 60)))
    written(disk, runner)
    found = checkpoint.newest(disk)
    assert found is not None
    stranger = make()
    stranger.state.cells.pop(next(name for name, _ in found.pages))
    with pytest.raises(ReplayError, match="which this application does not have"):
        found.load(stranger)


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 3 * checkpoint.DAY_MS), min_size=1, max_size=80), recent=st.integers(1, 3),
    days=st.integers(0, 9),
)  # fmt: skip
def test_the_newest_stay_and_enough_of_each_day_to_make_the_span_again(gaps: list[int], recent: int, days: int) -> None:
    """As a node keeps them: looked at after each new one, those that do not stay are gone for good."""
    kept: dict[int, int] = {}
    made: list[int] = []
    at_ms = 0
    for applied, gap in enumerate(gaps):
        at_ms += gap
        made.append(at_ms)
        kept[applied] = at_ms
        stay = checkpoint.keeping(kept, recent, days)
        kept = {each: kept[each] for each in sorted(stay)}
        assert set(range(max(0, applied + 1 - recent), applied + 1)) <= kept.keys()
        assert len(kept) <= recent + days + 2
        edge = at_ms - days * checkpoint.DAY_MS
        for moment in (each for each in made if each >= edge and days):
            assert min(kept.values()) <= moment, "whatever happened in the span can be made again"


def test_a_header_is_read_without_the_rest() -> None:
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(1, 80)))
    data = written(disk, runner)
    path = checkpoint.path_of(runner.applied)
    found = checkpoint.header(disk, runner.applied)
    assert found is not None and (found.applied, found.next_frame) == (runner.applied, 7)
    for damaged in (b"", data[:10], data[:15], b"x" + data[1:]):
        disk.replace(path, damaged)
        assert checkpoint.header(disk, runner.applied) is None
    assert checkpoint.header(disk, 10**6) is None


def test_what_is_carried_and_what_was_made_are_one_state() -> None:
    old, new = make(), make()
    arriving = records(stream(4, 120))
    whole(old, arriving)
    whole(new, arriving)
    assert checkpoint.carried(old, new).state.hash() == old.state.hash()
    less = make()
    whole(less, arriving[60:])
    assert less.state.hash() != old.state.hash()
    assert checkpoint.carried(old, less).state.hash() == old.state.hash(), "all operators are the same: nothing is lost"


def test_a_file_that_is_written_piece_by_piece_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, other, runner = SimulatedDisk(SeededRandom(1)), SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(5, 200)))
    data = written(other, runner)
    monkeypatch.setattr(checkpoint, "PIECE_BYTES", 600)
    writer, pieces = begun(disk, runner), 0
    while not writer.slice(3):
        if writer.full:
            writer.write()
            pieces += 1
            assert not writer.full
        writer.write()
        assert len(writer._piece) < 600, "what is written is not in memory"
    assert pieces > 1
    assert not disk.exists(writer.path), "it is not in place before it is whole"
    writer.finish()
    assert disk.read(writer.path) == data
    writer.write()
    assert disk.list(checkpoint.DIRECTORY) == [writer.path.rpartition("/")[2]]


def test_nothing_is_left_of_a_file_that_was_given_up_or_could_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PIECE_BYTES", 1)
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    whole(runner, records(stream(7, 80)))
    given_up = begun(disk, runner)
    given_up.slice(3)
    given_up.write()
    assert disk.list(checkpoint.DIRECTORY)
    given_up.abandon()
    given_up.write()
    assert not disk.list(checkpoint.DIRECTORY)
    failing = begun(disk, runner)
    failing.slice(3)
    disk.fail("append")
    with pytest.raises(OSError, match="Input/output"):
        failing.write()
    assert not disk.list(checkpoint.DIRECTORY)
    while not failing.slice(3):
        pass
    with pytest.raises(OSError, match="Input/output"):
        failing.finish()
    assert checkpoint.newest(disk) is None


def test_what_a_crash_left_of_an_unfinished_file_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PIECE_BYTES", 1)
    disk, runner = SimulatedDisk(SeededRandom(1)), make()
    checkpoint.swept(disk)
    whole(runner, records(stream(8, 40)))
    written(disk, runner)
    whole(runner, records(stream(8, 60))[40:])
    writer = begun(disk, runner)
    writer.slice(3)
    writer.write()
    disk.restart()
    assert len(disk.list(checkpoint.DIRECTORY)) == 2
    checkpoint.swept(disk)
    assert disk.list(checkpoint.DIRECTORY) == [checkpoint.path_of(39).rpartition("/")[2]]
