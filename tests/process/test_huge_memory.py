"""Pieces of memory: zero, apart from each other, and there as long as anybody holds them."""

import gc

from nextpaint.process.huge_memory import PAGE_BYTES, HugeMemory


def test_pieces_are_zero_and_do_not_overlap():
    memory = HugeMemory()
    pieces = [memory.zeros(words) for words in (1_000, 130_000, 20_000, 20_000, 600_000, 20_000, 300_000)]
    for number, piece in enumerate(pieces):
        assert not piece.any()
        piece[:] = number + 1
    del memory
    gc.collect()
    assert [(int(piece.min()), int(piece.max())) for piece in pieces] == [(n + 1, n + 1) for n in range(len(pieces))]
    assert [len(piece) for piece in pieces] == [1_000, 130_000, 20_000, 20_000, 600_000, 20_000, 300_000]


def test_later_pieces_begin_in_large_pages():
    memory = HugeMemory()
    memory.zeros(130_000)
    assert memory.zeros(20_000).ctypes.data % PAGE_BYTES == 0
    assert memory.zeros(20_000).ctypes.data % PAGE_BYTES == 8 * 20_000
