"""A node's life in simulated time, and what it left: days of a shop on a simulated disk within a second.

Clicks (some late), orders, catalogue and stock changes, impressions and decisions are drawn from a seed; the clock
jumps over nights so that sessions and windows close; ticks come as a quiet node makes them.
"""

import random
from datetime import UTC, datetime

from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from nextpaint.process.runner import Runner
from tests.engine.shop import asked, click, order_lines, order_rows, slice_of

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
# A jump of the clock is no lag of the node.
SETTINGS = NodeSettings(
    checkpoint_records=60,
    checkpoint_s=10**6,
    checkpoints_kept=10**6,
    tick_ms=3_600_000,
    lag_ms_max=10**9,
    frame_gap_ms=0,
)


class Kept:
    """Frames held in memory, as a ledger to read from."""

    def __init__(self, frames):
        self._frames = list(frames)
        self.last_seq = self._frames[-1].next_seq - 1

    def lost(self):
        return []

    def frames(self, start=0):
        return (frame for frame in self._frames if frame.number >= start)


class Life:
    """An engine on simulated ports. `directory` holds only its keys.db."""

    def __init__(self, directory, application, seed, items=40, disk=None):
        self.directory, self.application, self.seed = directory, application, seed
        self.chance = random.Random(seed)
        self.items = slice_of(items)
        self.disk = disk or SimulatedDisk(SeededRandom(seed))
        self.clock = SimulatedClock(START_MS)
        self.visitors = [f"v{n}" for n in range(5)]
        self.lines = [(o, self._item(), q, p, c) for o, _, q, p, c in order_lines(400)]

    def ports(self):
        return Ports(self.clock, self.disk, SeededRandom(self.seed + 1), InlineWorkers())

    async def open(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.engine = await Engine.open(
            self.directory,
            self.application,
            self.ports(),
            settings=SETTINGS,
            embedder=HashEncoder(),
            background=InlineWorkers(),
        )
        return self.engine

    def _item(self):
        return self.chance.choice(self.items)["item_id"]

    def _time(self):
        """Now, or up to a quarter of an hour ago: within the lateness, and beyond it."""
        late = self.chance.choice(
            [0, 0, 0, self.chance.randrange(9 * MINUTE_MS), self.chance.randrange(16 * MINUTE_MS)]
        )
        return self.clock.now_ms() - late

    async def begin(self):
        await self.open()
        past = [{**item, "ts": START_MS - 60 * MINUTE_MS} for item in self.items]
        await self.engine.put_items(LOCAL, past)

    async def live(self, steps):
        """Some steps of a life; gives the decisions made."""
        made = []
        for _ in range(steps):
            self.clock.advance(self.chance.choice([0, 5, 300, 4_000, 45_000]))
            visitor = self.chance.choice(self.visitors)
            match self.chance.randrange(20):
                case 0:
                    self.clock.advance(self.chance.randrange(40 * MINUTE_MS))
                    self.engine.node.writer.tick()
                case 1 | 2 | 3:
                    lines = [self.chance.choice(self.lines) for _ in range(self.chance.randrange(1, 5))]
                    await self.engine.put_rows(LOCAL, "orders", order_rows(lines, self._time()))
                case 4 | 5:
                    item = {"item_id": self._item(), "stock": self.chance.randrange(9)}
                    await self.engine.put_items(LOCAL, [item])
                case 6:
                    item = self.chance.choice(self.items)
                    await self.engine.put_items(
                        LOCAL, [{**item, "category": self.chance.choice(self.items)["category"]}]
                    )
                case 7:
                    shown = {"items": [{"item_id": self._item(), "position": n} for n in range(3)]}
                    await self.engine.ingest(LOCAL, [click(visitor, self._item(), "Impression", properties=shown)])
                case 8:
                    call = {
                        "type": "identify",
                        "userId": f"u{visitor}",
                        "anonymousId": visitor,
                        "traits": {"plan": "x"},
                    }
                    await self.engine.ingest(LOCAL, [call])
                case 9 | 10 | 11:
                    made.append(await self.engine.decide(LOCAL, "home_carousel", asked(visitor)))
                case _:
                    event = self.chance.choice(["Product Viewed", "Product Viewed", "Product Added"])
                    ts = self._time()
                    calls = [
                        click(visitor, self._item(), event, timestamp=iso(ts))
                        for _ in range(self.chance.randrange(1, 4))
                    ]
                    await self.engine.ingest(LOCAL, calls)
        await self.engine.node.settled()
        return made

    def kept(self):
        return Kept(self.engine.node.ledger.frames())


def iso(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reloaded(runner):
    """A runner with the same state, through the bytes a checkpoint holds."""
    snapshot = runner.state.snapshot()
    pages = []
    while not snapshot.done:
        pages += snapshot.slice(50)
    fresh = Runner(runner.design)
    for name, data in pages:
        fresh.state.cells[name].load_page(data)
    assert fresh.state.hash() == snapshot.state_hash
    fresh.restore(runner.applied, runner.at_ms)
    return fresh
