"""How good recommendations are, by docs/quality-protocol.md: tuned on the past, read once on the rest.

    scripts/bench quality --uci online_retail.parquet [--rees46 events_sample.parquet] [--movielens DIR]

A task whose file is not named is skipped and says so. Exit status 1 when a bar fails. With --tuning every figure is
read on the tuning part: the test part stays unread, and there are no bars.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rig.bars import BUDGET, Bars, Plan
from rig.films import next_films
from rig.next_basket import next_basket
from rig.next_item import next_item
from rig.paraphrases import encoders_compared

from nextpaint.models.embedding import HashEncoder, SentenceEncoder


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uci", type=Path, help="UCI Online Retail as Parquet")
    parser.add_argument("--rees46", type=Path, help="REES46 events as Parquet")
    parser.add_argument("--movielens", type=Path, help="folder with ratings.parquet and movies.parquet")
    parser.add_argument("--data", type=Path, help="directory for the nodes; default: /dev/shm where it exists")
    parser.add_argument("--tuning", action="store_true", help="read the tuning part only; no bars")
    parser.add_argument("--settings", type=int, default=BUDGET, metavar="N", help="settings tried per method")
    parser.add_argument("--hashed", action="store_true", help="hashed titles in the place of the text encoder: quick")
    return parser.parse_args(argv)


async def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    plan = Plan(HashEncoder if options.hashed else SentenceEncoder, options.settings, options.tuning)
    bars = Bars(counted=not plan.tuning_only)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=options.data or (shm if shm.is_dir() else None)) as held:
        for name, path, task in (
            ("uci", options.uci, next_basket), ("rees46", options.rees46, next_item),
            ("movielens", options.movielens, next_films),
        ):  # fmt: skip
            if path is None:
                print(f"\n{name}: skipped, name its file with --{name}")
            else:
                await task(path, Path(held) / name, bars, plan)
        if not options.hashed:
            encoders_compared()
    print(f"\n{len(bars.failed)} of {bars.read} bars failed" if bars.read else "\nno bar was read")
    return 1 if bars.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
