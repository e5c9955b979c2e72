"""Which checkpoints a node keeps, and what of its ledger they need."""

from nextpaint.engine.horizon import Horizon
from nextpaint.ports import SeededRandom, SimulatedDisk
from nextpaint.process import checkpoint
from nextpaint.process.checkpoint import DAY_MS, CheckpointWriter, Header
from tests.process.harness import records, whole
from tests.process.test_protocol import make, stream


def published(horizon, disk, applied, at_ms, erased=-1, days=7):
    runner = make()
    whole(runner, records(stream(1, 20)))
    writer = CheckpointWriter(runner, Header("0", "app", applied, applied // 10, at_ms, (-1, 0, 0)), disk)
    while not writer.slice(100):
        pass
    horizon.publish(writer, 2, days, erased)


def test_the_oldest_of_a_week_of_days_is_the_horizon():
    disk = SimulatedDisk(SeededRandom(1))
    horizon = Horizon(disk)
    assert (horizon.oldest, horizon.retainable(-1)) == (None, 0)
    for number in range(1, 60):
        published(horizon, disk, number * 100, number * DAY_MS // 4)
    days = sorted({each.at_ms // DAY_MS for each in horizon.headers.values()})
    assert days == list(range(7, 15))
    assert checkpoint.positions(disk) == sorted(horizon.headers)
    assert horizon.oldest.at_ms == 7 * DAY_MS
    assert horizon.retainable(-1) == horizon.oldest.next_frame == 280
    again = Horizon(disk)
    again.look()
    assert again.headers == horizon.headers


def test_nothing_may_go_before_a_checkpoint_of_the_application_in_force():
    disk = SimulatedDisk(SeededRandom(1))
    horizon = Horizon(disk)
    published(horizon, disk, 100, DAY_MS)
    assert horizon.retainable(switched=101) == 0
    published(horizon, disk, 150, DAY_MS + 1)
    assert horizon.retainable(switched=101) == 10


def test_an_erasure_takes_what_is_older():
    disk = SimulatedDisk(SeededRandom(1))
    horizon = Horizon(disk)
    for number in range(1, 5):
        published(horizon, disk, number * 100, number * DAY_MS)
    published(horizon, disk, 450, 5 * DAY_MS, erased=460)
    assert 450 not in horizon.headers, "it holds who was erased"
    published(horizon, disk, 500, 5 * DAY_MS, erased=460)
    assert sorted(horizon.headers) == checkpoint.positions(disk) == [500]


def test_the_directory_outlives_a_power_cut_with_what_is_in_it():
    disk = SimulatedDisk(SeededRandom(1))
    horizon = Horizon(disk)
    published(horizon, disk, 100, DAY_MS)
    disk.crash()
    assert checkpoint.newest(disk).header.applied == 100


def test_a_file_that_is_no_checkpoint_is_none():
    disk = SimulatedDisk(SeededRandom(1))
    horizon = Horizon(disk)
    published(horizon, disk, 100, DAY_MS)
    disk.replace(checkpoint.path_of(50), b"not one")
    horizon.look()
    assert sorted(horizon.headers) == [100]
