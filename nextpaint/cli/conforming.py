"""`nextpaint conform`: runs conformance cases and says per area how many passed."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from nextpaint.connect.conformance.case import Case, read_cases
from nextpaint.connect.conformance.run import run_case
from nextpaint.record.errors import InvalidInput


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("cases", type=Path, nargs="+", help="files with one case a line, see docs/conformance.md")
    words = "run each case N more times in steps of random size, from a checkpoint at a random place"
    parser.add_argument("--shuffle-cuts", type=int, default=0, metavar="N", dest="cuttings", help=words)
    parser.add_argument("--seed", type=int, default=0, help="of the random cuts")
    parser.add_argument("--only", action="append", default=[], metavar="AREA|ID", help="these areas or cases")
    parser.add_argument("--verbose", action="store_true", help="a line for every case")


def run(options: argparse.Namespace) -> int:
    """Exit status 0 when every case passed, 1 otherwise; a malformed file is an error."""
    cases = [case for path in options.cases for case in _read(path)]
    chosen = [case for case in cases if not options.only or {case.id, case.area} & set(options.only)]
    if options.only and not chosen:
        areas = ", ".join(sorted({case.area for case in cases}))
        raise InvalidInput(f"no case is {' or '.join(options.only)}", cure=f"areas: {areas}")
    counts: dict[str, list[int]] = {}
    for case in chosen:
        wrong = run_case(case, options.cuttings, options.seed)
        area = counts.setdefault(case.area, [0, 0])
        area[bool(wrong)] += 1
        if wrong:
            print(f"FAILED {case.id} ({case.place})")
            print(textwrap.indent(wrong, "    "))
        elif options.verbose:
            print(f"passed {case.id}")
    for name, (passed, failed) in sorted(counts.items()):
        print(f"{name:<28} {passed:>5} passed {failed:>5} failed")
    passed, failed = (sum(each[index] for each in counts.values()) for index in (0, 1))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _read(path: Path) -> list[Case]:
    try:
        return read_cases(path.read_text("utf-8").splitlines(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", cure="give a file with one JSON case a line") from error
