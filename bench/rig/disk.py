"""A disk that remembers the size of every append to the ledger, for a yardstick that writes the same."""

from __future__ import annotations

from pathlib import Path

from nextpaint.ports.disk import TEMPORARY, File, SystemDisk


class WatchedDisk(SystemDisk):
    """`sizes`: bytes of each append since it was last cleared, in order; files put in place whole are left out."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sizes: list[int] = []

    def open(self, path: str, *, create: bool = False) -> File:  # type: ignore[override]
        file = super().open(path, create=create)
        return file if path.endswith(TEMPORARY) else _Watched(file, self.sizes)


class _Watched:
    """One file; every call goes through."""

    def __init__(self, file: File, sizes: list[int]) -> None:
        self._file = file
        self._sizes = sizes
        self.read = file.read
        self.size = file.size
        self.sync = file.sync
        self.truncate = file.truncate
        self.close = file.close

    def append(self, data: bytes) -> None:
        self._sizes.append(len(data))
        self._file.append(data)

    def commit(self, data: bytes) -> None:
        self._sizes.append(len(data))
        self._file.commit(data)
