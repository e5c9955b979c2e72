"""Writes Flink's answers into case files: `scripts/goldens [--all | --check] [file ...]`. Not a test itself.

Cases without `expect` are answered, with `--all` every case; `--check` writes nothing and says which answers changed.
Rows of `append` and `final` are sorted, so that a run writes what the last run wrote. `types` are the types of Flink's
columns. A case with `flink_differs` keeps its `expect`, which is ours on purpose: Flink's rows go into
`flink_differs.answer`, beside the reason; or nowhere, where that says `varies`: they are others from run to run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from nextpaint.connect.conformance.case import Case, Expectation, Malformed, parse_case
from tests.conform.flink import Answer, ask, expectation

HERE = Path(__file__).parent
Json = Any


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/goldens", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="case files; tests/conform/*.jsonl when none is named")
    parser.add_argument("--all", action="store_true", help="answer every case again, not only those without an answer")
    parser.add_argument("--check", action="store_true", help="ask for every case and write nothing")
    options = parser.parse_args()
    files = options.files or sorted(HERE.glob("*.jsonl"))
    loaded = {path: path.read_text("utf-8").splitlines() for path in files}
    lines = {path: [_value(path, number, line) for number, line in enumerate(text, 1)] for path, text in loaded.items()}
    asked = [
        (value, parse_case({"expect": [], **value}, f"{path}:{number}"))
        for path, values in lines.items()
        for number, value in enumerate(values, 1)
        if isinstance(value, dict) and (options.all or options.check or not _is_answered(value))
    ]
    print(f"goldens: {len(asked)} cases for Flink", file=sys.stderr)
    answers = ask([case for _, case in asked], os.environ["NEXTPAINT_FLINK_PYTHON"])
    written = [_write(value, case, answers.get(case.id, Answer()), options.check) for value, case in asked]
    wrong = [problem for problem in written if problem]
    if not options.check:
        for path, values in lines.items():
            text = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in values]
            path.write_text("\n".join(text) + "\n", "utf-8")
    print("\n".join(wrong))
    print(f"goldens: {len(asked) - len(wrong)} answered, {len(wrong)} not", file=sys.stderr)
    return 1 if wrong else 0


def _value(path: Path, number: int, line: str) -> Json:
    """A case as it stands in the file, or a line that is none."""
    if not line.strip() or line.lstrip().startswith(("#", "//")):
        return line
    try:
        value = json.loads(line)
        parse_case({"expect": [], **value}, "")
    except (ValueError, Malformed) as error:
        raise SystemExit(f"{path}:{number}: {error}") from error
    return value


def _is_answered(value: Json) -> bool:
    if value["expect_kind"] == Expectation.REFUSED:
        return "flink_says" in value
    differs = value.get("flink_differs")
    return "expect" in value and (not isinstance(differs, dict) or "answer" in differs or "varies" in differs)


def _write(value: Json, case: Case, answer: Answer, check: bool) -> str:
    """The answer into the line; "" or what is wrong."""
    if case.expectation is Expectation.REFUSED:
        value["flink_says"] = answer.refused[-300:]
        return "" if answer.refused else f"{case.place} {case.id}: Flink plans it, and refused was expected"
    if answer.refused:
        return f"{case.place} {case.id}: Flink refuses it: {answer.refused}"
    try:
        rows = expectation(case, answer)
    except ValueError as error:
        return f"{case.place} {case.id}: {error}"
    differs = value.get("flink_differs")
    if isinstance(differs, dict) and differs.get("varies"):
        return ""
    target, name = (differs, "answer") if isinstance(differs, dict) else (value, "expect")
    changed = target.get(name) != rows
    if check:
        return f"{case.place} {case.id}: Flink answers {json.dumps(rows)}" if changed else ""
    target[name] = rows
    value["types"] = list(answer.types)
    if isinstance(differs, dict) and rows == value["expect"]:
        return f"{case.place} {case.id}: Flink does not differ any more: drop flink_differs"
    return ""


if __name__ == "__main__":
    sys.exit(main())
