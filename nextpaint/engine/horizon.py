"""The checkpoints that a node keeps, and which of its ledger they let go.

Files are put in place and removed on a worker thread; what is known of them is read on any.
"""

from __future__ import annotations

from nextpaint.ports import Disk
from nextpaint.process import checkpoint


class Horizon:
    """`headers`: of the checkpoints that are there, by position; replaced, never changed."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.headers: dict[int, checkpoint.Header] = {}

    def look(self) -> None:
        """Take what is on disk."""
        found = {each: checkpoint.header(self._disk, each) for each in checkpoint.positions(self._disk)}
        self.headers = {each: header for each, header in found.items() if header is not None}

    @property
    def oldest(self) -> checkpoint.Header | None:
        """The replay horizon: from its position on, decisions can be made again whatever retention takes."""
        return self.headers[min(self.headers)] if self.headers else None

    def retainable(self, switched: int) -> int:
        """The first frame that no retention may touch; 0 where nothing may be taken: without a checkpoint, or where
        none is from after the last switch of application, at seq `switched`: what came into force then was made of the
        records before it, and is in no checkpoint."""
        oldest = self.oldest
        return 0 if oldest is None or max(self.headers) < switched else oldest.next_frame

    def publish(self, writer: checkpoint.CheckpointWriter, recent: int, days: int, erased: int) -> None:
        """Put a checkpoint in place, and remove those that need not stay (`checkpoint.keeping`) or are from before the
        last erasure, at seq `erased`. On a worker thread, or where none runs."""
        disk = self._disk
        if writer.header.applied < erased:
            writer.abandon()  # it holds rows of somebody who was erased since
            return
        writer.finish()
        there = checkpoint.positions(disk)
        headers = {**self.headers, writer.header.applied: writer.header}
        times = {each: headers[each].at_ms for each in there if each >= erased and each in headers}
        stay = checkpoint.keeping(times, recent, days)
        self.headers = {each: headers[each] for each in stay}  # first: nothing may count on one that goes
        for applied in there:
            if applied not in stay:
                disk.remove(checkpoint.path_of(applied))
