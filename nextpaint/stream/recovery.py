"""What an open finds on disk, and what it does about a bad frame: a torn tail, or damage.

The rule. A node writes frame n+1 only after the sync of frame n returned, so at most the last frame on disk can be
incomplete by accident. At the first bad frame:
  - a later segment, or a whole later frame of this segment, proves that what is bad was durable once: **damage**,
    CorruptLedger says where, and nothing is changed;
  - otherwise it is a **torn tail**: it is left where it is and superseded. A new segment begins at the last good
    frame, holds a fresh copy of it, and chains to the one before.

Why the last good frame is copied: it may be readable only because it is in the page cache of a machine whose sync
failed. Written again into a new file, synced, it is durable, and nothing is ever built on a frame that might vanish.

A torn tail was acknowledged to nobody, unless the disk lied about a sync or the last frame rotted before any witness
of it was written; the report therefore says what was cut and how much. Does not repair, guess or skip.
"""

from __future__ import annotations

from dataclasses import dataclass

from nextpaint.ports import Disk
from nextpaint.record.errors import CorruptLedger
from nextpaint.stream.frame import BadFrame, Frame, FrameFlag
from nextpaint.stream.segment import CURE, DIRECTORY, SUFFIX, End, Segment, SegmentHeader


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What `Ledger.open` found. `cut_bytes`: of an incomplete last frame; 0 after a clean shutdown."""

    frames: int = 0
    records: int = 0
    segments: int = 0
    cut_bytes: int = 0
    cut_at: str = ""  # segment and offset
    clean_shutdown: bool = True
    seconds: float = 0.0

    def __str__(self) -> str:
        text = f"{self.frames} frames, {self.records} records in {self.segments} segments, {self.seconds:.3f} s"
        if self.clean_shutdown:
            return f"{text}, clean shutdown"
        if not self.cut_bytes:
            return f"{text}, no clean shutdown, nothing cut"
        return (
            f"{text}, no clean shutdown: cut {self.cut_bytes} bytes of an incomplete frame at {self.cut_at}; it was "
            "acknowledged to nobody unless the disk lied about a sync"
        )


@dataclass(slots=True)
class Found:
    """The segments in order, and the last good frame, which is not counted in its segment yet."""

    segments: list[Segment]
    last: Frame | None = None  # None when the last segment has no frame
    tail_bytes: int = 0  # behind the last good frame of the last segment
    tail_offset: int = 0


def find_segments(disk: Disk) -> list[Segment]:
    """Every segment, by first frame, headers checked. CorruptLedger for a header that is damaged."""
    paths = [f"{DIRECTORY}/{name}" for name in disk.list(DIRECTORY) if name.endswith(SUFFIX)]
    segments = [Segment.open(disk, path) for path in sorted(paths)]
    if segments and segments[0].header.first_frame != 0:
        raise CorruptLedger(
            f"frames 0..{segments[0].header.first_frame - 1} are missing: the first segment file is gone",
            where=DIRECTORY,
            cure=CURE,
        )
    if segments and segments[-1].rewritten:
        raise CorruptLedger("the last segment was rewritten and has no successor", where=segments[-1].path, cure=CURE)
    return segments


def scan_sealed(disk: Disk, segment: Segment, following: SegmentHeader) -> None:
    """Check every frame of a segment that has a successor, and that it ends exactly where that begins.

    Bytes behind that point are superseded and not looked at.
    """
    until = End(following.first_frame, following.first_seq, following.prev)
    twin = Segment(segment.path, segment.header, segment.start)
    size = twin.start
    if not segment.hollow:
        file = disk.open(segment.path)
        try:
            size = file.size()
            for _, frame in twin.walk(file, twin.start, size):
                if frame.number >= until.frame:
                    break
                twin.note(frame)
        except BadFrame as bad:
            if twin.end.frame < until.frame or segment.thinned:
                raise damage(twin, twin.end_offset, f"frame {twin.end.frame}: {bad}") from None
        finally:
            file.close()
    if segment.header.end is not None:
        require_as_marked(twin, size, following)
        twin.end, twin.offsets, twin.at = segment.header.end, dict(following.offsets), following.at
    if twin.end.frame != until.frame:
        raise damage(twin, twin.end_offset, f"frames {twin.end.frame}..{until.frame - 1} are missing")
    if twin.end != until or twin.offsets != following.offsets:
        raise damage(twin, twin.end_offset, f"the segment of frame {until.frame} does not continue this one")
    segment.adopt(twin)


def require_as_marked(twin: Segment, size: int, following: SegmentHeader) -> None:
    """That a rewritten segment of `size` bytes, scanned into `twin`, holds what its marker says: a hole is no loss."""
    marker, end = twin.header.marker, twin.header.end
    assert end is not None
    records = sum(span.records for span in twin.topics.values())
    found = (twin.frames, records, size - twin.start)
    if marker is not None and found != (marker.frames, marker.records, marker.bytes):
        raise damage(
            twin, twin.end_offset,
            f"{found[0]} frames, {found[1]} records, {found[2]} bytes are there; "
            f"retention left {marker.frames} frames, {marker.records} records, {marker.bytes} bytes",
        )  # fmt: skip
    beyond = any(offset > following.offsets.get(each, 0) for each, offset in twin.offsets.items())
    reached = twin.end.frame == end.frame and twin.frames > 0
    if beyond or twin.end.frame > end.frame or twin.end.seq > end.seq or (reached and twin.end != end):
        raise damage(twin, twin.end_offset, f"its frames do not end where retention says, before frame {end.frame}")


def damage(segment: Segment, offset: int, what: str) -> CorruptLedger:
    """The error that stops a node, with the place."""
    return CorruptLedger(f"the ledger is damaged: {what}", where=f"{segment.path}, offset {offset}", cure=CURE)


def scan_last(disk: Disk, found: Found) -> None:
    """Check the last segment to its last good frame; raises CorruptLedger when what follows is damage."""
    segment = found.segments[-1]
    file = disk.open(segment.path)
    try:
        size = file.size()
        problem = ""
        try:
            for _, frame in segment.walk(file, segment.start, size):
                if found.last is not None:
                    segment.note(found.last)
                found.last = frame
        except BadFrame as bad:
            problem = str(bad)
        segment.scanned = True
        found.tail_offset = segment.end_offset + (found.last.bytes if found.last else 0)
        found.tail_bytes = size - found.tail_offset
        number = found.last.number + 1 if found.last else segment.end.frame
        later = segment.later_frame(file, found.tail_offset, size, number) if found.tail_bytes else None
        if later is not None:
            proof = f"frame {later[0]} at offset {later[1]} proves that it was durable once"
            raise damage(segment, found.tail_offset, f"frame {number}: {problem}; {proof}")
    finally:
        file.close()


def scan(disk: Disk, *, everything: bool) -> Found:
    """Read what is there. `everything`: all frames; otherwise those of sealed segments are checked when first read."""
    found = Found(find_segments(disk))
    for segment, following in zip(found.segments, found.segments[1:], strict=False):
        after = following.header
        if everything or segment.hollow:
            scan_sealed(disk, segment, after)
        else:
            segment.end = End(after.first_frame, after.first_seq, after.prev)
            segment.offsets = dict(after.offsets)
    if found.segments:
        scan_last(disk, found)
    return found


def report(found: Found, seconds: float) -> RecoveryReport:
    """The figures of a scan."""
    if not found.segments:
        return RecoveryReport(seconds=seconds)
    segment, last = found.segments[-1], found.last
    counted = last is not None and not last.flags  # an end frame or a witness gives its number back
    return RecoveryReport(
        frames=segment.end.frame + counted,
        records=last.next_seq if last else segment.end.seq,
        segments=len(found.segments),
        cut_bytes=found.tail_bytes,
        cut_at=f"{segment.path}, offset {found.tail_offset}" if found.tail_bytes else "",
        clean_shutdown=not found.tail_bytes and last is not None and FrameFlag.END in last.flags,
        seconds=seconds,
    )
