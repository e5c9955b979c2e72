"""Members: the single values that some aggregates of a group must know, each a row of its own, so that an event writes
one row however many there are.

    LISTED     LAST_N: the last n values by event time, ties by arrival
    DECAYED    DECAYED_SUM and DECAYED_COUNT: one total per half-life, as `kernels.decayed` has them
    DISTINCT   the values seen and how often; the aggregate itself is an ordinary line of the program
    TOP        TOP_N_COUNTS: values and counts, as `process.frequent` has them

A member row: the group's hash (two words), the call, order, number, then the fields of values; calls whose values are
alike share those. Order and number: LISTED event time and arrival; DECAYED bucket and total; DISTINCT 0 and times;
TOP arrival and count. The NULL bit of number says that a ROW as a whole is NULL. The members of a group's call are a
list in descending order, `HEAD` to `TAIL`; lists are links, layout: not hashed, not saved, made anew by
`members_linked`.

A line of `calls` (`CALL_WORDS` words, the names below): what; the program's line; half-life, n, or the most that are
kept; word and field of the event time in the packed input row; the first field of values and how many there are (none
for DECAYED, which stores no value); word and field of the argument, or of its first field, in the packed input row; the
word that says whether a ROW is there (-1: no ROW); whether DECAYED has an argument, and a real one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.decayed import KEPT, SCALE_BITS, WEIGHT_MAX
from nextpaint.process.kernels.exact_math import exp2_of_fraction
from nextpaint.process.kernels.memory import clear, load, load_real, store, store_real
from nextpaint.process.kernels.packing import absorb_packed, absorb_word, hash_begun, hash_ended
from nextpaint.process.kernels.paged import (
    CAPACITY,
    FIELDS,
    FIRST_FIELD,
    FREE,
    HEAP_AT,
    HEAP_END,
    HIGH,
    LIVE,
    NULLS,
    ROOM_HEAP,
    ROOM_ROWS,
    SPEC,
    SPEC_WORDS,
    STRING,
    find,
    insert,
    is_live,
    lacking,
    next_slot,
    read_fields,
    row_at,
    string_kept,
    touch,
    units_of,
    unlink,
)
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

LISTED, DECAYED, DISTINCT, TOP = range(4)
WHAT, LINE_OF, PARAMETER, TIME, TIME_FIELD, FIRST, COUNT, INPUT, INPUT_FIELD, PRESENT, ARGUMENT = range(11)
CALL_WORDS = 11
NO_ARGUMENT, WHOLE_ARGUMENT, REAL_ARGUMENT = range(3)
GROUP_LOW, GROUP_HIGH, CALL, ORDER, NUMBER = range(5)  # fields of a member row
LEAD = 5
HEAD, TAIL, SIZE, DISORDER = range(4)  # links of a group's row, for each call; see `_linked` for DISORDER
GROUP_LINKS = 4
OLDER, NEWER = range(2)  # links of a member row
MEMBER_LINKS = 2

LACKING, DONE, CHANGED = range(3)  # what came of a row; CHANGED: a member came or left, so a DISTINCT value counts
NO_TIME = -(2**63)
_SCALE = 2.0**SCALE_BITS
_SCALES = np.array([2.0 ** -(SCALE_BITS + back) for back in range(KEPT + 1)])

Address = Any


# ---------------------------------------------------------------- lists


@inner
def _field(row: Address, field: int) -> Address:
    return row + 8 * (FIRST_FIELD + field)


@inner
def _link_at(members: Any, slot: Any, which: int) -> Address:
    return row_at(members, slot) + 8 * (FIRST_FIELD + members[FIELDS] + which)


@inner
def _order(members: Any, slot: Any) -> Any:
    return load(_field(row_at(members, slot), ORDER))


@inner
def _linked(members: Any, place: Address, slot: Any, older: Any, newer: Any) -> None:
    """Put a member between two others (slots + 1, 0: none). What goes in below the head is disorder: DISORDER is the
    last arrival that did, and readings that were kept since before it are of no use."""
    store(_link_at(members, slot, OLDER), older)
    store(_link_at(members, slot, NEWER), newer)
    if newer:
        store(_link_at(members, newer - 1, OLDER), slot + 1)
        store(place + 8 * DISORDER, load(_field(row_at(members, slot), NUMBER)))
    else:
        store(place + 8 * HEAD, slot + 1)
    if older:
        store(_link_at(members, older - 1, NEWER), slot + 1)
    else:
        store(place + 8 * TAIL, slot + 1)
    store(place + 8 * SIZE, load(place + 8 * SIZE) + 1)


@inner
def _dropped(members: Any, place: Address, slot: Any) -> None:
    """Take a touched member out."""
    older, newer = load(_link_at(members, slot, OLDER)), load(_link_at(members, slot, NEWER))
    if newer:
        store(_link_at(members, newer - 1, OLDER), older)
    else:
        store(place + 8 * HEAD, older)
    if older:
        store(_link_at(members, older - 1, NEWER), newer)
    else:
        store(place + 8 * TAIL, newer)
    store(place + 8 * SIZE, load(place + 8 * SIZE) - 1)
    unlink(members, slot)


@inner
def emptied(members: Any, place: Address, calls: int) -> Any:
    """Take out all members of a group; False when room lacks, and then some may be gone."""
    for call in range(calls):
        list_at = place + 8 * GROUP_LINKS * call
        while load(list_at + 8 * HEAD):
            slot = load(list_at + 8 * HEAD) - 1
            if not touch(members, slot):
                return False
            _dropped(members, list_at, slot)
    return True


# ---------------------------------------------------------------- rows


@inner
def _room(members: Any, spec: Address, packed: Address) -> Any:
    """Is there room for one more member with the values of an input row?"""
    if members[FREE] == 0 and members[HIGH] == members[CAPACITY]:
        return lacking(members, ROOM_ROWS, 1)
    units, word = 0, load(spec + 8 * INPUT)
    for field in range(load(spec + 8 * FIRST), load(spec + 8 * FIRST) + load(spec + 8 * COUNT)):
        if load(members[SPEC] + field * 8 * SPEC_WORDS) >= STRING:
            units += units_of(load(packed + 8 * word + 8))
            word += 1
        word += 1
    if members[HEAP_AT] + units > members[HEAP_END]:
        return lacking(members, ROOM_HEAP, units)
    return touch(members, next_slot(members))


@inner
def _made(members: Any, digest: Any, lead: Any, spec: Address, packed: Address) -> Any:
    """A new member; `_room` has been asked. `lead`: the group's hash, call, order, number."""
    slot = insert(members, digest[0], digest[1])
    row = row_at(members, slot)
    for field in range(LEAD):
        store(_field(row, field), lead[field])
    nulls, given = LIVE, load(packed)
    word, first, input_field = load(spec + 8 * INPUT), load(spec + 8 * FIRST), load(spec + 8 * INPUT_FIELD)
    for at in range(load(spec + 8 * COUNT)):
        field = first + at
        if given >> (input_field + at) & 1:
            nulls |= 1 << field
        if load(members[SPEC] + field * 8 * SPEC_WORDS) >= STRING:
            store(_field(row, field), string_kept(members, load(packed + 8 * word), load(packed + 8 * word + 8)))
            word += 1
        else:
            store(_field(row, field), load(packed + 8 * word))
        word += 1
    if load(spec + 8 * PRESENT) >= 0 and load(packed + 8 * load(spec + 8 * PRESENT)) == 0:
        nulls |= 1 << NUMBER
    store(row + 8 * NULLS, nulls)
    return slot


@inner
def _digest(group: Any, call: int, order: int) -> Any:
    """The hash of a member that is known by its order."""
    state = absorb_word(absorb_word(hash_begun(), group[0]), group[1])
    return hash_ended(absorb_word(absorb_word(state, call), order))


@inner
def _digest_of_value(members: Any, group: Any, call: int, spec: Address, rows: Any, at: Any) -> Any:
    """The hash of a member that is known by its value."""
    state = absorb_word(absorb_word(absorb_word(hash_begun(), group[0]), group[1]), call)
    kind = load(members[SPEC] + load(spec + 8 * FIRST) * 8 * SPEC_WORDS)
    return hash_ended(absorb_packed(state, rows, at, (kind, load(spec + 8 * INPUT), load(spec + 8 * INPUT_FIELD))))


@inner
def _time(spec: Address, packed: Address) -> Any:
    if load(packed) >> load(spec + 8 * TIME_FIELD) & 1:
        return np.int64(NO_TIME)
    return load(packed + 8 * load(spec + 8 * TIME))


# ---------------------------------------------------------------- one row of input

# What a row asks for: nothing; a number to be added to a member; a new member (and one dropped for it); a member
# dropped; one dropped that is too old, and then to be asked again.
NOTHING, ADD, MAKE, DROP, EXPIRE = range(5)


@inner
def _weight(spec: Address, packed: Address, rest: int) -> Any:
    """What a row weighs at the start of its bucket, in units of 2^-SCALE_BITS; NaN when it has no number."""
    x = 1.0
    if load(spec + 8 * ARGUMENT):
        word = packed + 8 * load(spec + 8 * INPUT)
        x = load_real(word) if load(spec + 8 * ARGUMENT) == REAL_ARGUMENT else np.float64(load(word))
    weight = x * exp2_of_fraction(np.float64(rest) / np.float64(load(spec + 8 * PARAMETER))) * _SCALE
    if weight >= WEIGHT_MAX:
        return np.float64(WEIGHT_MAX)
    if weight <= -WEIGHT_MAX:
        return -np.float64(WEIGHT_MAX)
    return np.rint(weight)


@inner
def _asked_of_list(members: Any, place: Address, spec: Address, arrival: Any, time: Any) -> Any:
    oldest = np.int64(-1)
    if load(place + 8 * SIZE) >= load(spec + 8 * PARAMETER):
        oldest = load(place + 8 * TAIL) - 1
        if time < _order(members, oldest):
            return NOTHING, oldest, time, arrival
    return MAKE, oldest, time, arrival


@inner
def _asked_of_buckets(members: Any, place: Address, spec: Address, packed: Address, time: Any) -> Any:
    half_life = load(spec + 8 * PARAMETER)
    bucket = time // half_life
    weight = _weight(spec, packed, time - bucket * half_life)
    slot, oldest = load(place + 8 * HEAD) - 1, load(place + 8 * TAIL) - 1
    if weight != weight or (slot >= 0 and bucket + KEPT < _order(members, slot)):
        return NOTHING, slot, bucket, np.int64(0)
    if oldest >= 0 and _order(members, oldest) + KEPT < bucket:
        return EXPIRE, oldest, bucket, np.int64(0)
    while slot >= 0 and _order(members, slot) > bucket:
        slot = load(_link_at(members, slot, OLDER)) - 1
    if slot >= 0 and _order(members, slot) == bucket:
        return ADD, slot, bucket, np.int64(weight)
    return MAKE, np.int64(-1), bucket, np.int64(weight)


@inner
def _asked_of_values(members: Any, place: Address, spec: Address, found: Any, arrival: Any, back: bool) -> Any:
    """`found`: the member that holds the row's value, -1: none."""
    if load(spec) == DISTINCT:
        if found < 0:
            return NOTHING if back else MAKE, np.int64(-1), np.int64(0), np.int64(1)
        if back and load(_field(row_at(members, found), NUMBER)) == 1:
            return DROP, found, np.int64(0), np.int64(0)
        return ADD, found, np.int64(0), np.int64(-1 if back else 1)
    if found >= 0:
        return ADD, found, arrival, np.int64(1)
    if load(place + 8 * SIZE) < load(spec + 8 * PARAMETER):
        return MAKE, np.int64(-1), arrival, np.int64(1)
    rarest = _rarest(members, place)
    return MAKE, rarest, arrival, load(_field(row_at(members, rarest), NUMBER)) + 1


@inner
def _rarest(members: Any, place: Address) -> Any:
    """The member with the least count, of several the one that came first."""
    slot = load(place + 8 * TAIL) - 1
    found, least = slot, load(_field(row_at(members, slot), NUMBER))
    while slot >= 0:
        count = load(_field(row_at(members, slot), NUMBER))
        if count < least:
            found, least = slot, count
        slot = load(_link_at(members, slot, NEWER)) - 1
    return found


@inner
def _asked(members: Any, place: Address, spec: Address, given: Any, found: Any) -> Any:
    """(what a row asks for, the member to add to or to drop (-1: none), order and number)."""
    _, _, arrival, rows, at, back = given
    packed = rows[at].ctypes.data
    what = load(spec)
    if what == LISTED:
        return _asked_of_list(members, place, spec, arrival, _time(spec, packed))
    if what == DECAYED:
        return _asked_of_buckets(members, place, spec, packed, _time(spec, packed))
    return _asked_of_values(members, place, spec, found, arrival, back)


@inner
def _put_in(members: Any, place: Address, spec: Address, digest: Any, lead: Any, packed: Address) -> None:
    """A new member at its place in the list: behind those of a larger order."""
    slot = _made(members, digest, lead, spec, packed)
    newer, older = np.int64(0), load(place + 8 * HEAD)
    while older and _order(members, older - 1) > lead[ORDER]:
        newer, older = older, load(_link_at(members, older - 1, OLDER))
    _linked(members, place, slot, older, newer)


@inner
def member_taken(members: Any, place: Address, spec: Address, given: Any) -> Any:
    """Take an input row into a call's members, or back. `place`: the call's links in the group's row; `given`: the
    group's hash, the call, the row's arrival (its ordinal in the group), the packed rows, which of them, and whether it
    is taken back. LACKING: nothing that cannot be done again was done."""
    group, call, _, rows, at, _ = given
    packed = rows[at].ctypes.data
    what = load(spec)
    digest, found = (np.int64(0), np.int64(0)), np.int64(-1)
    if what >= DISTINCT:
        digest = _digest_of_value(members, group, call, spec, rows, at)
        found = find(members, digest[0], digest[1])
    while True:
        action, slot, order, number = _asked(members, place, spec, given, found)
        if action == NOTHING:
            return DONE
        if action == MAKE and not _room(members, spec, packed):
            return LACKING
        if slot >= 0:
            if not touch(members, slot):
                return LACKING
            if action == ADD:
                total = _field(row_at(members, slot), NUMBER)
                store(total, load(total) + number)
                return DONE
            _dropped(members, place, slot)
        if action == MAKE:
            if what < DISTINCT:
                digest = _digest(group, call, number if what == LISTED else order)
            _put_in(members, place, spec, digest, (group[0], group[1], call, order, number), packed)
        if action != EXPIRE:
            return CHANGED


# ---------------------------------------------------------------- reading


@inner
def folded(members: Any, place: Address) -> Any:
    """(total at the start of the newest bucket, that bucket, whether there is any): `DecayedSum.fold`."""
    slot = load(place + 8 * TAIL) - 1
    if slot < 0:
        return 0.0, np.int64(0), False
    newest = _order(members, load(place + 8 * HEAD) - 1)
    value = 0.0
    while slot >= 0:
        row = row_at(members, slot)
        value += np.float64(load(_field(row, NUMBER))) * _SCALES[newest - load(_field(row, ORDER))]
        slot = load(_link_at(members, slot, NEWER)) - 1
    return value, newest, True


@inner
def members_finished(members: Any, place: Address, calls: Address, count: int, out: Address) -> None:
    """The results of decayed calls in a finished row."""
    for call in range(count):
        spec = calls + call * 8 * CALL_WORDS
        if load(spec) == DECAYED:
            value, _, is_there = folded(members, place + 8 * GROUP_LINKS * call)
            line = load(spec + 8 * LINE_OF)
            store_real(out + 8 * (line + 1), value)
            if not is_there:
                store(out, load(out) | 1 << line)


@kernel("void(int64[::1], int64[::1], const int64[:,::1], int64, float64[::1], int64[::1], boolean[::1])")
def members_folded(
    groups: Words, members: Words, digests: Words, links: int, values: npt.NDArray[np.float64], buckets: Words,
    valid: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """A decayed call of many groups, found by their hashes. `links`: the word of the call's links in a group's row."""
    for at in range(digests.shape[0]):
        slot = find(groups, digests[at, 0], digests[at, 1])
        valid[at] = False
        values[at], buckets[at] = 0.0, 0
        if slot >= 0:
            values[at], buckets[at], valid[at] = folded(members, row_at(groups, slot) + 8 * links)


@kernel("int64(int64[::1], int64[::1], int64, int64, int64, int64[:,::1])")
def members_listed(groups: Words, members: Words, slot: int, links: int, since: int, packed: Words) -> int:
    """A call's members in descending order, as many as there is room for, down to the first one with a number below
    `since`; gives how many there are."""
    place = row_at(groups, slot) + 8 * links
    member, count = load(place + 8 * HEAD) - 1, 0
    while member >= 0:
        row = row_at(members, member)
        if load(_field(row, NUMBER)) < since:
            break
        if count < packed.shape[0]:
            read_fields(members, row, packed[count].ctypes.data)
        count += 1
        member = load(_link_at(members, member, OLDER)) - 1
    return count


@kernel("int64(int64[::1], int64, int64)")
def group_word(groups: Words, slot: int, word: int) -> int:
    """A word of a group's row."""
    found: int = load(row_at(groups, slot) + 8 * word)
    return found


# ---------------------------------------------------------------- after loading


@kernel("int64(int64[::1], int64[:,::1])")
def members_exported(members: Words, into: Words) -> int:
    """Group, call, order, number and slot of every member, in order of slots; gives how many there are."""
    count = 0
    for slot in range(members[HIGH]):
        row = row_at(members, slot)
        if is_live(row):
            for field in range(LEAD):
                into[count, field] = load(_field(row, field))
            into[count, LEAD] = slot
            count += 1
    return count


@kernel("boolean(int64[::1], int64[::1], const int64[::1], int64, int64)")
def members_linked(groups: Words, members: Words, slots: Words, links: int, words: int) -> bool:
    """Link members, given in ascending order within each list; False when one has no group. `links`, `words`: where the
    links of a group's row are, and how many."""
    for slot in range(groups[HIGH]):
        clear(row_at(groups, slot) + 8 * links, 8 * words)
    for at in range(slots.size):
        row = row_at(members, slots[at])
        group = find(groups, load(_field(row, GROUP_LOW)), load(_field(row, GROUP_HIGH)))
        if group < 0:
            return False
        place = row_at(groups, group) + 8 * (links + GROUP_LINKS * load(_field(row, CALL)))
        _linked(members, place, slots[at], load(place + 8 * HEAD), 0)
    return True
