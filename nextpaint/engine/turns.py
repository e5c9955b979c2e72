"""Who gets the state thread, and when: decisions between slices of applying, earliest deadline first.

A turn runs waiting decisions, then slices of un-applied records, then gives the loop back so that sockets are
read. With both waiting, decisions get at most `DECISION_SHARE` of the thread and applying the rest; with one waiting
it gets all. Most of a small slice is what it costs whatever is in it, so a slice is not sized by a cost per record: its
size grows while full slices take less than `SLICE_MS`, and shrinks in proportion when one took longer. The busier the
thread, the longer slices may be: what they cost whatever is in them is what a busy thread can save.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from itertools import count

from nextpaint.engine.replay import Switch, Waiting
from nextpaint.ports import Clock
from nextpaint.record.runs import Run

SLICE_MS = 3.0  # a decision waits at most this long for a slice to end
SLICE_MS_BUSY = 12.0  # the same on a thread that has no time to lose: a record of 120 costs half of one of 30
DECIDE_MS_MAX = 48.0  # decisions of one turn; then sockets are read
LAG_MS_MAX = 100.0  # how long the thread may keep work waiting, unless its node says otherwise
PRESSED_SHARE, PRESSED_FOR_MS = 0.15, 50.0  # every decision waited for this share of that, for so long
CROWDED_SHARE, CROWDED_FOR_MS = 0.3, 100.0
CATCH_UP_MS = 8.0  # a slice while BEHIND_FROM records wait and no decision did: larger steps cost less a record
BEHIND_FROM = 4096
SLICES_MS_MIN = 4.0  # slices of one turn at least, when records wait
DECISION_SHARE = 0.7  # applying keeps 30 % of the thread even when decisions alone could fill it
PATIENCE_MS = 8.0  # how long a few records may wait for more; a decision reads them at most this much later
PATIENCE_MS_MAX = 32.0  # the same on a busy thread: it applies more at once, and so for less
BUSY_FROM, BUSY_TO = 0.5, 0.85  # shares of the thread between which patience, company and slices grow
BUSY_WINDOW_MS = 250.0
COMPANY = 48  # records that are worth a slice at once: at 30 the fixed cost is a third of the whole
COMPANY_BUSY = 160  # the same on a busy thread
SLICE_RECORDS = 64  # what a slice takes at first
SLICE_RECORDS_MAX = 8192  # a step costs some 200 us whatever is in it; its columns fit a shared cache still
GROWTH_MAX = 1.5  # of a slice's size at once: one slice of cheap records says little about the next

Apply = Callable[[list[Run]], None]


class Standing:
    """Tells a queue that stands, because more is asked for than can be done, from a burst, which ends by itself: has
    everybody waited longer than `limit_ms` for `for_ms`? The rule of CoDel (RFC 8289): the least wait of an interval.
    """

    def __init__(self, limit_ms: float, for_ms: float) -> None:
        self._limit_ns, self._for_ns = int(limit_ms * 1e6), int(for_ms * 1e6)
        self._since_ns = 0  # since when all waited too long; 0: the last one did not
        self._last_ns = 0

    def waited(self, waited_ns: int, now_ns: int) -> None:
        self._last_ns = now_ns
        if waited_ns < self._limit_ns:
            self._since_ns = 0
        elif not self._since_ns:
            self._since_ns = now_ns

    def __call__(self, now_ns: int) -> bool:
        """Whether a queue stands. Where nobody had to wait for a while there is none."""
        return 0 < self._since_ns < now_ns - self._for_ns and now_ns - self._last_ns < self._for_ns


def _raise(error: Exception) -> None:
    raise error


class Turns:
    """The state thread's schedule. `submit` decisions, `extend` records; everything runs on the loop. `lag_ms_max`: how
    long it may keep work waiting; decisions that all wait for a share of that are a queue."""

    def __init__(
        self,
        clock: Clock,
        apply: Apply,
        switch: Callable[[Switch], None],
        idle: Callable[[], None],
        lag_ms_max: float = LAG_MS_MAX,
    ) -> None:
        self._clock = clock
        self._apply = apply
        self._switch = switch
        self._idle = idle
        self._decisions: list[tuple[int, int, int, Callable[[], None]]] = []  # deadline, order, since when, what
        self._records = Waiting()
        self._order = count()
        self._scheduled = False
        self._woken_ns = 0
        self._lag_ns = 0
        self._turned_ns = 0
        self._ended_ns = 0
        self._decided_ns = 0
        self._pressed = Standing(PRESSED_SHARE * lag_ms_max, PRESSED_FOR_MS)
        self._crowded = Standing(CROWDED_SHARE * lag_ms_max, CROWDED_FOR_MS)
        self._size = SLICE_RECORDS
        self.longest_slice_ms = 0.0
        self._sliced_ns = 0  # when the last slice ended
        self._timer: asyncio.TimerHandle | None = None
        self._waited = False  # the timer for company is over
        self._busy_ns = 0  # of the present window: turns, and what kept them waiting
        self._window_ns = 0  # when it began
        self._patience_ns = int(PATIENCE_MS * 1e6)
        self._slice_ms, self._company = SLICE_MS, COMPANY
        self.hurried: Callable[[], bool] = lambda: False  # whether somebody waits for a record to be applied
        self.decided: Callable[[], None] = lambda: None  # called after a decision: answers that are due leave
        self.between: Callable[[], None] = lambda: None  # called after a slice, not timed as a part of it
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failed: Callable[[Exception], None] = _raise  # told when applying broke: nothing is applied after that

    @property
    def waiting_records(self) -> int:
        return len(self._records)

    @property
    def waiting_decisions(self) -> int:
        return len(self._decisions)

    @property
    def lag_ms(self) -> float:
        """How long the state thread keeps its work waiting: the last wait for a turn, the present one or that of the
        next decision, whichever is longest. Who refuses events by it lets them give way before decisions are late.

        The last wait counts less the longer ago it was: a node that refuses everything gets no turn to measure anew.
        """
        now = self._clock.monotonic_ns()
        waiting_ns = now - self._woken_ns if self._scheduled else 0
        return max(self._lag_ns - (now - self._turned_ns), waiting_ns, self._decision_waits_ns(now), 0) / 1e6

    @property
    def pressed(self) -> bool:
        """Whether decisions queue: the first to go is what an answer does not depend on."""
        return self._pressed(self._clock.monotonic_ns())

    @property
    def crowded(self) -> bool:
        """Whether the queue stands all the same: who refuses events by it lets it drain."""
        return self._crowded(self._clock.monotonic_ns())

    @property
    def unread_ms(self) -> float:
        """How long bytes that were read just now may have lain in their socket: nothing is read during a turn, so it is
        at most the last turn with its wait, where that one has only just ended, and the present wait. A node whose last
        turn ended longer ago than it took slept since, and read at once."""
        now = self._clock.monotonic_ns()
        turn_ns = self._ended_ns - self._turned_ns + self._lag_ns
        if now - self._ended_ns > turn_ns:
            turn_ns = 0
        return max(turn_ns / 1e6 + (now - self._woken_ns if self._scheduled else 0) / 1e6, self.lag_ms)

    def _decision_waits_ns(self, now_ns: int) -> int:
        """How long the decision that is next has waited."""
        return now_ns - self._decisions[0][2] if self._decisions else 0

    def submit(self, deadline_ns: int, decide: Callable[[], None]) -> None:
        heapq.heappush(self._decisions, (deadline_ns, next(self._order), self._clock.monotonic_ns(), decide))
        self.wake()

    def extend(self, records: Sequence[Run | Switch]) -> None:
        self._records.extend(records)
        self.wake()

    def wake(self) -> None:
        """Take a turn soon."""
        if not self._scheduled:
            self._scheduled = True
            self._woken_ns = self._clock.monotonic_ns()
            if self._loop is None:
                self._loop = asyncio.get_running_loop()  # which asks the system for its process each time
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._turned_ns = self._clock.monotonic_ns()
        self._lag_ns = self._turned_ns - self._woken_ns
        self._decide()
        try:
            self._slices()
        except Exception as error:  # a declared edge: a broken invariant stops the engine, loudly
            self._records.clear()
            self.failed(error)
            return
        if self._decisions or (self._records and self._ready()):
            self.wake()
        elif self._records:
            self._wake_later()
        else:
            self._idle()
        self._ended_ns = self._clock.monotonic_ns()
        self._measure(self._turned_ns - self._lag_ns)

    def _measure(self, since_ns: int) -> None:
        """How busy the thread is, and so how patient, and how much it applies at once."""
        now = self._clock.monotonic_ns()
        self._busy_ns += now - since_ns
        passed_ns = now - self._window_ns
        if passed_ns < BUSY_WINDOW_MS * 1e6:
            return
        share = min(max((self._busy_ns / passed_ns - BUSY_FROM) / (BUSY_TO - BUSY_FROM), 0.0), 1.0)
        self._patience_ns = int((PATIENCE_MS + (PATIENCE_MS_MAX - PATIENCE_MS) * share) * 1e6)
        self._slice_ms = SLICE_MS + (SLICE_MS_BUSY - SLICE_MS) * share
        self._company = int(COMPANY + (COMPANY_BUSY - COMPANY) * share)
        self._busy_ns, self._window_ns = 0, now

    def _ready(self) -> bool:
        """Whether a slice is due. The fixed cost of a slice is that of several records, so on a busy node a few records
        wait a moment for company; on a quiet one, or when somebody waits for them, they do not."""
        if len(self._records) >= self._company or self._records.at_switch:
            return True
        return len(self._records) > 0 and (
            self._waited or self._clock.monotonic_ns() - self._sliced_ns >= self._patience_ns or self.hurried()
        )

    def _wake_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience_ns / 1e9, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._waited = None, True
        self.wake()

    def drain(self) -> None:
        """Run everything that waits, now; for start-up, shutdown and tools."""
        while self._decisions or self._records:
            self._decide()
            self._slice()

    def _decide(self) -> None:
        """All waiting decisions, earliest deadline first, as far as a turn allows. They rank before everything else:
        reading sockets takes time of its own between turns, and what has no time then is refused early."""
        started_ns = now_ns = self._clock.monotonic_ns()
        while self._decisions:
            _, _, since_ns, decide = heapq.heappop(self._decisions)
            self._pressed.waited(now_ns - since_ns, now_ns)
            self._crowded.waited(now_ns - since_ns, now_ns)
            decide()
            self.decided()
            now_ns = self._clock.monotonic_ns()
            if now_ns - started_ns >= DECIDE_MS_MAX * 1e6:
                break
        self._decided_ns = now_ns - started_ns

    def _slices(self) -> None:
        """Slices while they are due: applying has its floor, in proportion to what decisions just took."""
        floor_ns = self._decided_ns * (1 - DECISION_SHARE) / DECISION_SHARE
        end_ns = self._clock.monotonic_ns() + max(SLICES_MS_MIN * 1e6, floor_ns)
        while self._ready():
            self._slice()
            if self._clock.monotonic_ns() >= end_ns:
                return

    def _slice(self) -> None:
        switch = self._records.switch()
        if switch is not None:
            self._switch(switch)
            return
        taken = self._records.take(self._size)
        self._waited = False
        if not taken:
            return
        started_ns = self._clock.monotonic_ns()
        self._apply(taken)
        self._sliced_ns = self._clock.monotonic_ns()
        self._resize(sum(map(len, taken)), (self._sliced_ns - started_ns) / 1e6)
        self.between()

    def _resize(self, taken: int, spent_ms: float) -> None:
        """What a slice took says how many records the next may hold."""
        self.longest_slice_ms = max(self.longest_slice_ms, spent_ms)
        behind = not self._decided_ns and len(self._records) >= BEHIND_FROM
        allowed_ms = max(self._slice_ms, CATCH_UP_MS if behind else 0.0)
        if spent_ms > allowed_ms:
            self._size = max(1, int(taken * allowed_ms / spent_ms))
        elif taken >= self._size:
            growth = min(GROWTH_MAX, allowed_ms / spent_ms) if spent_ms else GROWTH_MAX
            self._size = min(SLICE_RECORDS_MAX, max(self._size + 1, int(self._size * growth)))
