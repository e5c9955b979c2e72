"""The colours of posters: three sets for each kind of film. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inks:
    """Five colours (hex): the background from `high` to `low`, the thing in `main`, what stands before it in `dark`,
    and one `spark`."""

    high: str
    low: str
    main: str
    dark: str
    spark: str


def _inks(*sets: str) -> tuple[Inks, ...]:
    return tuple(Inks(*(f"#{colour}" for colour in each.split())) for each in sets)


INKS: dict[str, tuple[Inks, ...]] = {
    "thriller": _inks(
        "1b2733 07090d 54718a 05070a ffb648",
        "3a1218 0b0406 a33a3f 080304 ff6b52",
        "12302c 050c0b 3f8278 040807 e8ff9a",
    ),
    "science fiction": _inks(
        "150f3a 3b2470 ff7a59 120a2c ffd27a",
        "04212e 0b5563 41b3a3 021219 f8e16c",
        "250a2e 7a1f5c c77dff 16051c 80ffdb",
    ),
    "romance": _inks(
        "ffd9c7 f28482 ff6b6b 6a2c40 ffe9a8",
        "fbe3ee c77b9b e0527f 4d2340 ffd6a5",
        "d7e9f7 7d9bc1 ff9a76 27395c fff0b3",
    ),
    "comedy": _inks(
        "ffd447 ffb81c ff5d5d 2a2340 3ec1d3",
        "7ee0d0 3bb8a8 ffd447 2b2045 ff6f91",
        "ffa9c6 ff7aa8 fff275 34204a 4dd0e1",
    ),
    "drama": _inks(
        "6b5a4e 2e2521 a68a72 1c1512 ffdf9e",
        "42586b 1c2733 7d97ab 10171f ffe3b8",
        "6a4a57 2b1c24 a87e8e 190f15 ffd0b5",
    ),
    "mystery": _inks(
        "1f3d3a 0a1817 c9a227 050c0b f4e9c9",
        "332452 110b20 b892ff 0a0614 ffe8a3",
        "4b2f1d 170d07 d98e4a 0d0704 fbe9c6",
    ),
    "adventure": _inks(
        "ffcf9c f08a5d b83b5e 44204a fff3c4",
        "bfe6f2 6fb7d6 2f7fa8 123b56 ffd166",
        "f7e3a1 d9a75b 8a6a2f 3b2a16 e4572e",
    ),
    "fantasy": _inks(
        "2b1d5c 7350a8 b48ae0 170f38 ffe6a7",
        "0f3b4c 2f8f83 7bd389 082430 f9f3c1",
        "4b1942 b4477f f28ab2 2a0c26 ffe4d0",
    ),
    "horror": _inks(
        "2a0d12 7a1a1f d7d0c0 0a0304 ffcf3f",
        "16241c 3f5c46 c6d6b5 060c08 ff5a3c",
        "1d1630 4d3b78 d6cbe8 08050f 9dff6e",
    ),
    "western": _inks(
        "ffdc8a f0904c a4442f 43180f fff0c2",
        "f7c7a3 d9726a 7e3348 33121f ffe29a",
        "bfe3dc e0b877 b0673a 3f2114 f9efc7",
    ),
    "documentary": _inks(
        "f2ead8 e3d5b8 4f6d5a 2c3b32 d1495b",
        "dfeaf0 b9d0dc 2f5d7c 183349 e08e45",
        "e8e4ef cdc3de 5b4b8a 2f2650 d98a29",
    ),
    "animation": _inks(
        "bdf0ff 7bd3f7 62c370 3a4a8c ffcf56",
        "ffe3c8 ffb58a f97068 57386d 57c4e5",
        "e2d7ff b39bf2 5fc9b2 42347d ffd85e",
    ),
    "music": _inks(
        "f9d57a ef8a57 7a2e5d 251026 fff1cf",
        "203a6b 0e1b3a 4fc3c7 070e20 ffb3c6",
        "e05d6f 8c2f55 ffd37a 2c0d20 8be0d4",
    ),
    "sport": _inks(
        "a8dcf5 e6f4d7 3f9b5f 17395c ff6b35",
        "ffd9a0 f7b267 c8553d 462255 fff275",
        "cfd8ff 94a7f2 3d5a9e 1c2756 ffc145",
    ),
    "history": _inks(
        "e9d9b8 c9a974 7b5a36 3a2614 b5413b",
        "cdd6d2 93a69d 4f655c 22322b d9a441",
        "e5cfc6 b98a7d 6e4038 331814 d9b44a",
    ),
    "family": _inks(
        "a5e1f5 e8f7d4 ef6f6c 426a9c ffd23f",
        "ffd6e0 fff1c9 5fb49c 6d597a ff9770",
        "c9e4ff fdeecf f2a541 3f7d6e e4576e",
    ),
}
