"""Plans SQL with real Apache Flink, in the environment that has PyFlink; run by `test_flink_plans.py`, not a test
itself.

Reads {"tables": [DDL], "blocks": [[place, [statement, ...]], ...]} from standard input: all CREATE and SET statements
of all blocks make one catalogue; each INSERT and SELECT is then planned. Writes {"planned": n, "refused": [[place,
statement, why]]}.

A table without a connector gets one that takes any changelog if something is inserted into it, and one that produces
rows otherwise. The two functions that Flink does not have are replaced by ones with the same shape: DECAYED_SUM(x,
half-life) by SUM(x), LAST_N(row, n) by ARRAY_AGG(row). Flink has no provider for model files: ML_PREDICT becomes its
input with a score. Python functions of the docs are `flink_features.py`, with PyFlink's decorators.
"""

import json
import re
import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

DECAYED = re.compile(
    r"DECAYED_SUM\(((?:[^(),]|\([^()]*\))+),\s*INTERVAL\s+'[^']*'\s+\w+(?:\(\d+\))?\s*\)", re.IGNORECASE
)
LAST_N = re.compile(r"LAST_N\(((?:[^()]|\([^()]*\))+),\s*\d+\s*\)", re.IGNORECASE)
PREDICTED = re.compile(r"ML_PREDICT\(TABLE\s+(\w+),.*?\)\s*\)", re.IGNORECASE | re.DOTALL)
FEATURES = re.compile(r"(CREATE\s+FUNCTION\s+\w+\s+AS\s+')features\.", re.IGNORECASE)
CREATE_MODEL = re.compile(r"\s*CREATE\s+MODEL\b", re.IGNORECASE)
CREATE_TABLE = re.compile(r"\s*CREATE\s+TABLE\s+`?(\w+)", re.IGNORECASE)
INSERT = re.compile(r"\s*INSERT\s+INTO\s+`?(\w+)", re.IGNORECASE)
SET = re.compile(r"\s*SET\s+'([^']+)'\s*=\s*'([^']*)'", re.IGNORECASE)


def for_flink(statement):
    statement = LAST_N.sub(r"ARRAY_AGG(\1)", DECAYED.sub(r"SUM(\1)", statement))
    statement = PREDICTED.sub(r"(SELECT *, CAST(0 AS DOUBLE) AS score FROM \1)", statement)
    return FEATURES.sub(r"\1flink_features.", statement)


def why(error):
    lines = [
        line.strip() for line in str(error).splitlines() if "Exception" in line and not line.strip().startswith("at ")
    ]
    return (lines[-1] if lines else str(error))[:400]


def main():
    asked = json.load(sys.stdin)
    flink = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    flink.get_config().set("python.files", str(Path(__file__).with_name("flink_features.py")))
    texts = [(place, text) for place, statements in asked["blocks"] for text in statements]
    every = [(place, for_flink(text)) for place, text in texts if not CREATE_MODEL.match(text)]
    written = {found.group(1) for _, text in every if (found := INSERT.match(text))}
    creates, queries, refused = [("built in", text) for text in asked["tables"]], [], []
    for place, text in every:
        if found := SET.match(text):
            flink.get_config().set(found.group(1), found.group(2))
        else:
            (creates if text.lstrip().upper().startswith("CREATE") else queries).append((place, text))
    refused += create(flink, creates, written)
    planned = 0
    for place, text in queries:
        try:
            flink.explain_sql(text)
            planned += 1
        except Exception as error:
            refused.append([place, text, why(error)])
    json.dump({"planned": planned, "created": len(creates), "refused": refused}, sys.stdout)


def create(flink, creates, written):
    """Tables first, then views until no more of them find what they read."""
    open_, refused = [], []
    for place, text in creates:
        found = CREATE_TABLE.match(text)
        if found and not re.search(r"\)\s*WITH\s*\(", text, re.IGNORECASE):
            text += " WITH ('connector' = '%s')" % ("blackhole" if found.group(1) in written else "datagen")
        open_.append((place, text))
    open_.sort(key=lambda each: CREATE_TABLE.match(each[1]) is None)
    while open_:
        left, refused = [], []
        for place, text in open_:
            try:
                flink.execute_sql(text)
            except Exception as error:
                left.append((place, text))
                refused.append([place, text, why(error)])
        if len(left) == len(open_):
            return refused
        open_ = left
    return []


main()
