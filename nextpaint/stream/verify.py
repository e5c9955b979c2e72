"""A read-only walk over a ledger: every checksum, the chain, dense numbers, gapless offsets. `nextpaint verify DIR`.

It takes no lock and changes nothing, so it also runs on the directory of a live node: then the frame being written
shows as an unfinished tail. It checks more than recovery does: each RecordBatch is decoded, and every offset and seq
must be the one after the last.

Does not judge what records mean; whoever recounts a report's figures reads `Ledger.frames` or `walk_frames`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nextpaint.ports import Disk
from nextpaint.record.errors import CorruptLedger
from nextpaint.stream.frame import BadFrame, EntryKind, Frame, FrameFlag
from nextpaint.stream.recovery import require_as_marked
from nextpaint.stream.segment import DIRECTORY, SUFFIX, End, Segment


@dataclass(slots=True)
class TopicReport:
    """One topic-partition and kind. `bytes` of encoded batches."""

    records: int = 0
    bytes: int = 0
    first_at: int = 0
    last_at: int = 0


@dataclass(slots=True)
class VerifyReport:
    """What the walk saw. `ok`: nothing is damaged; an unfinished tail is not damage."""

    segments: int = 0
    deleted_segments: int = 0
    rewritten_segments: int = 0
    frames: int = 0
    records: int = 0
    bytes: int = 0
    first_at: int = 0
    last_at: int = 0
    tail_bytes: int = 0
    clean_shutdown: bool = False
    topics: dict[tuple[str, int, EntryKind], TopicReport] = field(default_factory=dict)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [
            f"{'ok' if self.ok else 'DAMAGED'}: {self.frames} frames, {self.records} records, {self.bytes} bytes in "
            f"{self.segments} segments ({self.deleted_segments} deleted by retention"
            + (f", {self.rewritten_segments} rewritten)" if self.rewritten_segments else ")"),
            *(
                f"  {topic}-{partition} {kind.name.lower()}: {report.records} records, {report.bytes} bytes, "
                f"next offset {self.offsets.get((topic, partition), 0)}"
                for (topic, partition, kind), report in sorted(self.topics.items())
            ),
            *(f"  {problem}" for problem in self.problems),
        ]
        if self.tail_bytes:
            lines.append(f"  {self.tail_bytes} bytes of an unfinished frame at the end: a live writer, or a torn tail")
        return "\n".join(lines)


def verify(disk: Disk) -> VerifyReport:
    """Walk the ledger below `disk`. Never raises for what it finds: problems are in the report, each with its place."""
    report = _Walk(disk).run()
    if report.problems:  # retention may have replaced a file under our feet; real damage is still there
        report = _Walk(disk).run()
    return report


class _Walk:
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.report = VerifyReport()
        self.end = End()
        self.holes = False  # whether retention took anything out of the segment being walked

    def run(self) -> VerifyReport:
        paths = [f"{DIRECTORY}/{name}" for name in self.disk.list(DIRECTORY) if name.endswith(SUFFIX)]
        if not paths:
            self.problem(DIRECTORY, "there is no ledger here")
        segments: list[Segment] = []
        for path in paths:
            try:
                segments.append(Segment.open(self.disk, path))
            except (CorruptLedger, OSError) as error:
                self.problem(path, str(error))
        for index, segment in enumerate(segments):
            self.segment(segment, segments[index + 1] if index + 1 < len(segments) else None)
        self.report.segments = len(segments)
        return self.report

    def problem(self, where: str, what: str) -> None:
        self.report.problems.append(f"{where}: {what}")

    def segment(self, segment: Segment, following: Segment | None) -> None:
        header, report = segment.header, self.report
        if self.end != End(header.first_frame, header.first_seq, header.prev):
            self.problem(
                segment.path,
                f"begins at frame {header.first_frame}, seq {header.first_seq}, chain {header.prev:08x}; "
                f"the segment before ends at {self.end.frame}, {self.end.seq}, {self.end.chain:08x}",
            )
        if header.offsets != report.offsets and not (report.deleted_segments or report.rewritten_segments):
            self.problem(segment.path, "the offsets in its header are not those at the end of the segment before")
        report.offsets = dict(header.offsets)
        self.end = End(header.first_frame, header.first_seq, header.prev)
        self.holes = segment.thinned
        report.rewritten_segments += segment.thinned
        if segment.hollow:
            report.deleted_segments += 1
            self.end = header.end or self.end
            return
        file = self.disk.open(segment.path)
        limit = following.header.first_frame if following else None
        try:
            size = file.size()
            report.bytes += size
            seen = segment.start
            try:
                for offset, frame in segment.walk(file, segment.start, size):
                    if limit is not None and frame.number >= limit:
                        break
                    seen = offset + frame.bytes
                    self.frame(f"{segment.path}, offset {offset}", frame)
                    if self.holes:
                        segment.note(frame)
            except BadFrame as bad:
                later = segment.later_frame(file, seen, size, self.end.frame) if limit is None else None
                if later is not None or self.holes or (limit is not None and self.end.frame < limit):
                    self.problem(f"{segment.path}, offset {seen}", f"frame {self.end.frame}: {bad}")
            if limit is None:
                report.tail_bytes = size - seen
            if header.end is not None:
                self.rewritten(segment, size, following)
        finally:
            file.close()

    def rewritten(self, segment: Segment, size: int, following: Segment | None) -> None:
        """What retention left of a segment must be all there."""
        if following is None:
            self.problem(segment.path, "it was rewritten by retention, and the segment after it is missing")
        else:
            try:
                require_as_marked(segment, size, following.header)
            except CorruptLedger as error:
                self.problem(error.where, error.what)
        self.end = segment.header.end or self.end

    def frame(self, where: str, frame: Frame) -> None:
        report = self.report
        self.end = End(frame.number + 1, frame.next_seq, frame.chain)
        report.clean_shutdown = FrameFlag.END in frame.flags
        if frame.flags:
            return
        report.frames += 1
        for entry in frame.entries:
            partition = (entry.topic, entry.partition)
            expected = report.offsets.get(partition, 0)
            if entry.base_offset != expected and not (self.holes and entry.base_offset > expected):
                self.problem(where, f"{entry.topic}-{entry.partition} has offset {entry.base_offset}, not {expected}")
            if entry.at < report.last_at:
                self.problem(where, f"`at` goes back from {report.last_at} to {entry.at}")
            report.offsets[partition] = entry.base_offset + entry.count
            report.first_at, report.last_at = report.first_at or entry.at, entry.at
            if entry.kind is EntryKind.GONE:
                continue
            try:
                records = len(entry.records)
            except CorruptLedger as error:
                self.problem(where, str(error))
                records = entry.count
            topic = report.topics.setdefault((*partition, entry.kind), TopicReport(first_at=entry.at))
            topic.records += records
            topic.bytes += len(entry.batch)
            topic.last_at = entry.at
            report.records += records


def walk_frames(disk: Disk) -> Iterator[Frame]:
    """The frames of a ledger, in order, without opening (or locking) it; stops at an unfinished tail.

    For tools that recount figures beside a live node. Raises CorruptLedger for damage.
    """
    names = [f"{DIRECTORY}/{name}" for name in disk.list(DIRECTORY) if name.endswith(SUFFIX)]
    segments = [Segment.open(disk, name) for name in names]
    for index, segment in enumerate(segments):
        limit = segments[index + 1].header.first_frame if index + 1 < len(segments) else None
        number = segment.header.first_frame
        while not segment.hollow:
            try:
                for frame in _frames(disk, segment, limit):
                    if frame.number >= number:
                        number = frame.number + 1
                        if not frame.flags:
                            yield frame
                break
            except BadFrame as bad:
                now = Segment.open(disk, segment.path)
                if now.header.nonce == segment.header.nonce:
                    if segment.thinned or (limit is not None and number < limit):
                        raise CorruptLedger(f"frame {number}: {bad}", where=segment.path) from None
                    break
                segment = now  # retention replaced the file before it was opened


def _frames(disk: Disk, segment: Segment, limit: int | None) -> Iterator[Frame]:
    """The frames of one file before frame `limit`."""
    file = disk.open(segment.path)
    try:
        for _, frame in segment.walk(file, segment.start, file.size()):
            if limit is not None and frame.number >= limit:
                return
            yield frame
    finally:
        file.close()
