"""Writes docs/sql.md from the code: statements, settings, functions, operators, and where we differ from Flink.

.venv/bin/python scripts/sql_reference.py            writes the page
.venv/bin/python scripts/sql_reference.py --check    status 1 when the page is not current
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from nextpaint.process.functions import (
    angles,
    arrays,
    encodings,
    json_text,
    lists,
    strings,
    times,
    words,
    zones,
)
from nextpaint.process.functions import json as json_functions
from nextpaint.record.types import Type
from nextpaint.sql import hint_grammar, settings, signatures, statement_grammar, tables
from nextpaint.sql.reserved import RESERVED
from nextpaint.sql.table_grammar import LIKE_PARTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/sql.md"

STATEMENTS = (
    ("`CREATE [TEMPORARY] TABLE [IF NOT EXISTS] t (...) [COMMENT ..] [DISTRIBUTED ..] [PARTITIONED BY ..] [WITH ..] "
     "[LIKE ..]`",
     "columns `c T [NOT NULL] [PRIMARY KEY NOT ENFORCED]`, `c T METADATA [FROM 'key'] [VIRTUAL]`, `c AS expression`, "
     "`WATERMARK FOR ts AS ts - INTERVAL ..`, `[CONSTRAINT n] PRIMARY KEY (..) NOT ENFORCED`; DISTRIBUTED and "
     "PARTITIONED are "
     "read and change nothing"),
    ("`CREATE TABLE [IF NOT EXISTS] t [(...)] [COMMENT ..] [WITH ..] AS query`",
     "a table with the query's columns, and the INSERT that fills it. Columns in `(...)` come first and get no value "
     "unless they are computed, one with the name of a column of the query gives it its type; names alone, `(b, a)`, "
     "put the query's columns in that order. A column of the PRIMARY KEY must not be one that may be NULL. Other "
     "tables may be LIKE it, which takes its columns and fills nothing"),
    ("`CREATE [TEMPORARY] VIEW [IF NOT EXISTS] v [(c, ..)] [COMMENT ..] AS query`", "a name for a query"),
    ("`CREATE [TEMPORARY [SYSTEM]] FUNCTION f AS 'module.name' LANGUAGE PYTHON`",
     "a scalar, table or aggregate function of `module.py` in the application's folder, with a decorator of "
     "`nextpaint.sql.user_functions` or PyFlink, over arrays or rows; what raises is a dead-letter row"),
    ("`CREATE MODEL m INPUT (..) OUTPUT (score DOUBLE) WITH ('provider' = 'file', 'path' = .., 'sha256' = ..)`",
     "a LightGBM (text), XGBoost (JSON) or ONNX file of the folder, for `ML_PREDICT`; a continuous statement takes "
     "such as are scored exactly"),
    ("`[EXECUTE] INSERT INTO t [PARTITION (c = value, ..)] [(c, ..)] query "
     "[ON CONFLICT DO {NOTHING | ERROR | DEDUPLICATE}]`",
     "a continuous statement; columns left out are NULL, computed ones are worked out; several into one target are one "
     "UNION ALL. Where rows of a key replace each other: NOTHING keeps the first, ERROR does too and sends the others "
     "to the dead letters, DEDUPLICATE keeps the last. Over a query that updates rows and is not unique by the key of "
     "its target, the next row of the key shows when the one shown is taken back"),
    ("`EXECUTE STATEMENT SET BEGIN insert; ... END;`", "the same as its INSERTs"),
    ("`SET 'key' = 'value'`, `RESET ['key']`", "settings, below; RESET takes back what its own file set above"),
    ("`USE [CATALOG] ..`, `DROP .. IF EXISTS ..`", "at the head of a script: accepted where they change nothing"),
    ("`SHOW ..`, `DESCRIBE ..`, `EXPLAIN ..`, `SET`",
     "answered by `nextpaint sql` and `POST /v1/query`, not part of an application"),
)  # fmt: skip

QUERIES = (
    ("`SELECT [DISTINCT] .. FROM .. WHERE .. GROUP BY .. HAVING .. WINDOW .. QUALIFY ..`",
     "GROUP BY also with GROUPING SETS, ROLLUP, CUBE; without FROM one row, once. Keys may be ARRAY, MAP and ROW, "
     "which are compared by value, in DISTINCT, set operations and PARTITION BY too"),
    ("`VALUES (a, b), (c, d)`",
     "rows of constants, as a query, in FROM, IN and INSERT INTO: they come once, with the first record, and end"),
    ("`.. (SELECT ..)`, `x [NOT] IN (..)`, `EXISTS (..)`, `x < ANY (..)`, `x < ALL (..)`",
     "in WHERE, HAVING and the SELECT list, also under OR and in CASE; the query may equate its columns with those "
     "around it. The result is updated when the query's rows are. As a value it gives one row: more fail the row"),
    ("`.. JOIN t USING (k, ..)`, `NATURAL JOIN`",
     "a shared column is one, of a FULL JOIN the one of both that is not NULL"),
    ("`.. ORDER BY .. LIMIT n OFFSET m`, `FETCH FIRST n ROWS ONLY`", "a stream without LIMIT is sorted by its time"),
    ("`TABLE t`", "`SELECT * FROM t`, as a query"),
    ("`.. FROM FROM_CHANGELOG(input => TABLE t, op => DESCRIPTOR(op), op_mapping => MAP['c, r', 'INSERT', ..])`",
     "rows of `t` that only come as the changes that their column `op` says, without that column: INSERT, "
     "UPDATE_BEFORE, UPDATE_AFTER, DELETE, or the words of `op_mapping`; a row with another word is a dead-letter row"),
    ("`.. FROM TO_CHANGELOG(input => TABLE t [, op => DESCRIPTOR(op)] [, op_mapping => MAP[kinds, word, ..]])`",
     "the changes of `t` as rows that only come: `op` (INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE), then its columns; "
     "with `op_mapping`, as MAP['INSERT, UPDATE_AFTER', 'false', 'DELETE', 'true'], those that have a word"),
    ("`.. CURRENT_WATERMARK(ts) ..`",
     "in the SELECT list and WHERE of a query without GROUP BY and OVER over rows that are not updated: the watermark "
     "the row finds, NULL before the first"),
    ("`WITH x [(c, ..)] AS (query) query`, `FROM (query) AS x [(c, ..)]`", "not recursive"),
    ("`UNION`, `INTERSECT`, `EXCEPT` `[ALL]`", "INTERSECT binds closest"),
    ("`SELECT /*+ STATE_TTL('a' = '1 d', 'b' = '2 h') */ ..`",
     "how long what a join remembers of its table `a`, or an aggregation of its groups, is kept without a write, by "
     "the ledger's clock; each side of a join has its own; what it does not name follows `table.exec.state.ttl`. Hints "
     "that only choose how Flink computes are read and change nothing: " + ", ".join(hint_grammar.WITHOUT_MEANING)),
    ("`FROM a, LATERAL (SELECT .. FROM t WHERE t.k = a.k ..) AS b`, `LEFT JOIN LATERAL (..) AS b ON ..`",
     "the rows of a query for each row before it, of which its SELECT list may name columns too: joined on what its "
     "WHERE ties it by; one that groups may aggregate columns of the row before it and, as in Flink, joins no row for "
     "which there is nothing to aggregate, but for LEFT JOIN LATERAL of one COUNT, which is 0"),
    ("`FROM (SELECT DISTINCT k FROM t) AS o, LATERAL (SELECT .. FROM t WHERE t.k = o.k ORDER BY x LIMIT n) AS b`",
     "the best `n` rows of each key of one table: the one form of Flink 2.3 with ORDER BY and LIMIT; NULL is a key"),
    ("`FROM t /*+ OPTIONS('key' = 'value') */ ..`",
     "taken where `t` is declared WITH the same or it goes without saying ('format' = 'json'); other options would "
     "make it another table and are refused"),
    ("`FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(p), ..))`, `MATCH_RECOGNIZE (.. ORDER BY p ..)`",
     "`p` is the event time, or processing time: then the ledger's clock cuts and fires"),
    ("`.. (SELECT .., ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) AS rn ..) WHERE rn <= n`",
     "the best `n` of each key, a number or a column of which the first row of a key counts; of one, by time, the "
     "first or last row"),
    ("`.. OVER (PARTITION BY k ORDER BY t [RANGE | ROWS BETWEEN .. PRECEDING AND CURRENT ROW])`",
     "the aggregates, ROW_NUMBER, LAG, RANK and DENSE_RANK, which as in Flink 2.3 both count the rows up to the time, "
     "those of that time too; `t` is the event time, or processing time (`PROCTIME()`, a column `p AS PROCTIME()`): "
     "then each row is answered as it arrives"),
    ("`.. OVER (PARTITION BY k ORDER BY x [ROWS UNBOUNDED PRECEDING])`",
     "in the order of a column that is no time, ascending, over rows that may be updated: a row's frame reaches from "
     "the first row of its key to the last with an equal `x`, over ROWS to the row itself; results that change are "
     "told again, so the statement updates its rows. All rows of a key are kept, and a change costs what stands behind "
     "it. COUNT, SUM, AVG, MIN, MAX, STDDEV, VAR, RANK, DENSE_RANK, ROW_NUMBER; without ROWS also FIRST_VALUE, "
     "LAST_VALUE and LISTAGG"),
)  # fmt: skip

# Functions typed by a rule of their own: usage, result, note.
SPECIAL = {
    "COALESCE": ("COALESCE(x, ...)", "common type", "the first that is not NULL"),
    "IFNULL": ("IFNULL(x, y)", "common type", ""),
    "NULLIF": ("NULLIF(x, y)", "type of x", ""),
    "IF": ("IF(condition, x, y)", "common type", "a NULL condition gives y"),
    "GREATEST": ("GREATEST(x, ...)", "common type", "NULL if any is NULL"),
    "LEAST": ("LEAST(x, ...)", "common type", "NULL if any is NULL"),
    "ROUND": ("ROUND(number[, digits])", "type of number", "half away from zero; a DECIMAL needs constant digits"),
    "TRUNCATE": ("TRUNCATE(number[, digits])", "type of number", ""),
    "MOD": ("MOD(x, y)", "type of y", "also x % y; the sign of x; a zero divisor fails its row"),
    "TIMESTAMPADD": ("TIMESTAMPADD(unit, n, time)", "type of time", "the end of a month clamps"),
    "JSON_VALUE": ("JSON_VALUE(text, 'path' [RETURNING T] [.. ON EMPTY] [.. ON ERROR])", "STRING or T",
                   "a path is strict unless it says lax; T is STRING, BOOLEAN, INTEGER or DOUBLE"),
    "JSON_QUERY": ("JSON_QUERY(text, 'path' [RETURNING ..] [WITH [CONDITIONAL] WRAPPER] [.. ON EMPTY] [.. ON ERROR])",
                   "STRING or ARRAY<STRING>", "objects and arrays; keys come out sorted"),
    "ROW": ("ROW(x, ...)", "ROW", "a field takes the name of its column"),
    "ARRAY": ("ARRAY[x, ...]", "ARRAY", ""),
    "MAP": ("MAP[k, v, ...]", "MAP", ""),
    "ARRAY_CONTAINS": ("ARRAY_CONTAINS(array, x)", "BOOLEAN", "a NULL is looked for as any other value"),
    "ARRAY_POSITION": ("ARRAY_POSITION(array, x)", "INT", "from 1; 0 = absent"),
    "ARRAY_APPEND": ("ARRAY_APPEND(array, x)", "ARRAY", ""),
    "ARRAY_PREPEND": ("ARRAY_PREPEND(array, x)", "ARRAY", ""),
    "ARRAY_REMOVE": ("ARRAY_REMOVE(array, x)", "ARRAY", "every equal element"),
    "ARRAY_UNION": ("ARRAY_UNION(a, b)", "ARRAY", "each element once, in order of arrival"),
    "ARRAY_INTERSECT": ("ARRAY_INTERSECT(a, b)", "ARRAY", ""),
    "ARRAY_EXCEPT": ("ARRAY_EXCEPT(a, b)", "ARRAY", ""),
    "ARRAY_CONCAT": ("ARRAY_CONCAT(a, ...)", "ARRAY", ""),
    "MAP_UNION": ("MAP_UNION(m, ...)", "MAP", "the last one wins"),
    "JSON_OBJECT": (
        "JSON_OBJECT([KEY] k VALUE v, ... [{NULL | ABSENT} ON NULL])", "STRING",
        "keys come out sorted; a value JSON(text) is text that is JSON already, as in JSON_ARRAY",
    ),
    "JSON_ARRAY": ("JSON_ARRAY(v, ... [{NULL | ABSENT} ON NULL])", "STRING",
                   "NULLs are left out unless it says NULL ON NULL"),
    "TYPEOF": ("TYPEOF(x)", "STRING", "the type, without NOT NULL"),
    "PI": ("PI()", "DOUBLE", ""),
    "E": ("E()", "DOUBLE", ""),
    "CURRENT_DATABASE": ("CURRENT_DATABASE()", "STRING", "default_database"),
    "INSTR": ("INSTR(text, part[, from[, nth]])", "INT", "from 1; 0 = absent; a negative start searches backwards"),
    "TO_TIMESTAMP_LTZ": ("TO_TIMESTAMP_LTZ(number[, 0 or 3]) or (text[, format[, zone]])", "TIMESTAMP_LTZ(3)",
                         "0 = seconds, 3 = milliseconds, the default"),
    "DATE_FORMAT": ("DATE_FORMAT(time or its text, format)", "STRING", "Java's letters `y M d D H h m s S a E`"),
    "LOG": ("LOG(x) or LOG(base, x)", "DOUBLE", ""),
}  # fmt: skip
NOTES = {
    "INET_ATON": "of an IPv4 address; NULL of other text",
    "INET_NTOA": "the IPv4 address of a number; NULL outside of 32 bits",
    "SUBSTRING": "from 1; 0 is as 1; a negative start counts from the end",
    "SPLIT_INDEX": "from 0; an empty separator splits at white space",
    "SPLIT": "an empty separator gives the letters",
    "CHAR_LENGTH": "code points",
    "CONCAT_WS": "leaves NULLs out",
    "REGEXP": "Java's syntax; a pattern that may never end is refused",
    "REGEXP_EXTRACT": "group 0 unless said; NULL without a match",
    "REGEXP_EXTRACT_ALL": "group 1 unless said",
    "REGEXP_REPLACE": "the replacement is literal",
    "PRINTF": "Java's format; one that does not fit gives NULL",
    "HEX": "of a number its 64 bits",
    "HASH_CODE": "as in Flink: of text the magnitude of Java's hashCode",
    "CONVERT_TZ": "`yyyy-MM-dd HH:mm:ss`",
    "UNIX_TIMESTAMP": "seconds; without arguments of the ledger's clock",
    "ARRAY_SLICE": "from 1, both ends included, negative from the end",
    "ARRAY_SORT": "ascending, NULLs first, unless said",
    "ARRAY_JOIN": "leaves NULLs out unless a replacement is given",
    "CURRENT_TIMESTAMP": "of the ledger's clock, so that a replay sees the same",
    "PROCTIME": "of the ledger's clock",
    "EXTRACT": "EXTRACT(unit FROM x); Sunday is DOW 1",
    "TIMESTAMPDIFF": "TIMESTAMPDIFF(unit, from, to), toward zero",
    "FLOOR": "also FLOOR(time TO unit)",
    "CEIL": "also CEIL(time TO unit)",
    "ELT": "from 1; NULL outside",
    "STR_TO_MAP": "`,` and `=` unless said",
    "PARSE_URL": "HOST PATH QUERY REF PROTOCOL FILE AUTHORITY USERINFO",
}
AGGREGATES = {
    "COUNT": "`COUNT(*)`, `COUNT(x)`, `COUNT(DISTINCT x)`, which as in Flink takes no ROW and no MAP",
    "SUM": "wraps as in Flink; of an INT is an INT",
    "AVG": "of an integer is an integer, truncated",
    "COLLECT": "a MULTISET of the values, without NULLs; `UNNEST` gives each as often as it came",
    "LISTAGG": "`LISTAGG([DISTINCT] text[, separator])`: in order of arrival, without NULLs",
    "ARRAY_AGG": "`ARRAY_AGG([DISTINCT] x)`: in order of arrival, NULLs too; DISTINCT keeps the first of equal values",
    "PERCENTILE": "`PERCENTILE([DISTINCT] x, share[, frequency])`: exact, DOUBLE; of `ARRAY[share, ..]` an ARRAY; "
    "shares are constants from 0 to 1. A group keeps its values",
    "DECAYED_SUM": "`DECAYED_SUM(x, INTERVAL half-life)`: ours; fades with time, read as of the request",
    "DECAYED_COUNT": "`DECAYED_COUNT(INTERVAL half-life)`: ours",
    "LAST_N": "`LAST_N(x, n)`: ours; the last n by event time, an ARRAY",
}
FORMATS = """Formats of records (keys are JSON in every format):

* `json`: an object with a member per column; times are epoch milliseconds or ISO-8601 text, bytes base64.
* `debezium-json`: an object with `before`, `after` and `op`.
* `avro`: plain Avro of the declared physical columns in their order; a column that may be NULL is a union of null and
  its type, first null; TIMESTAMP and TIMESTAMP_LTZ are a long of milliseconds, as in Flink's default mapping.
* `avro-confluent`: `0x00`, the id of the writer's schema in 4 bytes, Avro. There is no registry to ask: the schemas are
  given by id. Columns take the fields by name; int widens to BIGINT, FLOAT and DOUBLE, an enum is text, a fixed BYTES,
  fields that no column has are skipped and columns that no field has are NULL (of a keyed table: keep their value).
  Recursive schemas and unions of several types as a column are refused.
* What does not follow its schema to the last byte is a dead-letter row. Statements write JSON only: a table with
  another format is no target of INSERT; rows sent over HTTP to an `avro` table are written as Avro.
"""
OWN = """## Functions and models of your own

```python
# features.py, beside the SQL
from nextpaint.sql.user_functions import aggregate, function, table_function


@function("DOUBLE", inputs=["STRING", "DOUBLE"])  # arrays in, one value per row out; NULL is None
def boosted(category, price):
    return [None if p is None else 2 * p if c == "toys" else p for c, p in zip(category, price)]


@table_function(["STRING", "INT"], inputs=["STRING"])  # arrays in, the rows of each row out
def words(titles):
    return [[(word, len(word)) for word in title.lower().split()] for title in titles]


@aggregate("DOUBLE", inputs=["DOUBLE"])  # the arrays of a group's rows in, one value out
def median(prices):
    return sorted(prices)[len(prices) // 2]


@aggregate("DOUBLE", inputs=["DOUBLE", "BIGINT"])  # row by row, in bounded memory
class WeightedMean:
    def create_accumulator(self):
        return [0.0, 0]

    def accumulate(self, acc, value, weight):
        acc[0] += value * weight
        acc[1] += weight

    def merge(self, acc, others):
        for total, weight in others:
            acc[0] += total
            acc[1] += weight

    def get_value(self, acc):
        return acc[0] / acc[1] if acc[1] else None
```

```sql
CREATE TABLE candidates (item_id STRING, category STRING, price DOUBLE, heat DOUBLE);
CREATE TABLE headlines (item_id STRING, title STRING);
CREATE TABLE sales (category STRING, price DOUBLE, sold BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
CREATE TABLE scored (item_id STRING, boosted DOUBLE, score DOUBLE);
CREATE TABLE terms (item_id STRING, word STRING, size INT);
CREATE TABLE prices (begins TIMESTAMP(3), category STRING, price DOUBLE);
CREATE FUNCTION boosted AS 'features.boosted' LANGUAGE PYTHON;
CREATE FUNCTION words AS 'features.words' LANGUAGE PYTHON;
CREATE FUNCTION weighted AS 'features.WeightedMean' LANGUAGE PYTHON;
CREATE MODEL ctr INPUT (heat DOUBLE, price DOUBLE) OUTPUT (score DOUBLE)
  WITH ('provider' = 'file', 'path' = 'models/ctr.txt', 'sha256' = '...');
INSERT INTO scored SELECT item_id, boosted(category, price), score
FROM ML_PREDICT(TABLE candidates, MODEL ctr, DESCRIPTOR(heat, price));
INSERT INTO terms SELECT item_id, word, size FROM headlines, LATERAL TABLE(words(title)) AS w(word, size);
INSERT INTO prices SELECT window_start, category, weighted(price, sold)
FROM TABLE(TUMBLE(TABLE sales, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, category;
```

* A function is called once per batch with a NumPy array per argument (of objects where a NULL may be), or per row
  with `rowwise=True`. Types may be annotations instead: `int` (BIGINT), `float` (DOUBLE), `str`, `bool`, `bytes`, or
  text that names a SQL type.
* A table function's columns are f0, f1, ... unless it declares one `ROW<word STRING, ...>` or the query names them; a
  row may become at most 100,000. It keeps the kind of its row, so it works over updates.
* An aggregate stands wherever SUM may: GROUP BY, windows, SESSION, OVER, HAVING, with FILTER. A function over arrays
  keeps the arguments of the group's rows and is called when the result is read; a class keeps its accumulator
  (numbers, text, bytes, lists, tuples, dicts), which is hashed and checkpointed. Over rows that are updated a class
  needs `retract`; `merge` is always needed. An object of the class must not remember anything itself.
* PyFlink's `@udf`, `@udtf` and `@udaf` work as well; `nextpaint.sql.user_functions` has them by name and arguments
  where PyFlink is not installed. Its ListView, MapView and Row accumulators do not: use lists and dicts.
* When a batch raises, its rows are tried one by one: those that raise are dead-letter rows with the reason. A row that
  an aggregate refuses is left out of that aggregate only; a result that fails is NULL.
* Only Python and model files that the SQL names are read from the folder; they are part of the application's content
  hash, so a replay finds the code it ran. A module cannot import its neighbours. A model file has at most 8 MB.
* `exact=False` (`deterministic=False`) says that two runs may differ: such a function, and an inexact model, may be
  asked in a query but not in a continuous statement. Trees (LightGBM, XGBoost) are scored exactly, without their
  libraries, and so is an ONNX graph of these operators: Abs, Add, BatchNormalization, Cast (between floats), Clip,
  Concat, Constant, Div, Dropout, Exp, Flatten, Gemm, Identity, LeakyRelu, MatMul, Max, Min, Mul, Neg, Relu, Reshape,
  Sigmoid, Softmax, Sqrt, Squeeze, Sub, Tanh, LinearRegressor, Scaler. Any other graph needs onnxruntime, and is
  inexact.
"""
GROUPS = (
    ("Text", (strings, words)),
    ("Bytes, spellings, checksums", (encodings,)),
    ("JSON", (json_functions, json_text)),
    ("Time", (times, zones)),
    ("Collections", (arrays, lists)),
    ("Angles", (angles,)),
)
DIFFERENCES = (
    "A row whose expression fails (division by zero, CAST of wrong text) goes to the dead-letter topic with its "
    "reason and the "
    "statement goes on; Flink fails the job.",
    "A NULL for a NOT NULL column does the same, or is dropped (`table.exec.sink.not-null-enforcer`); a NULL in "
    "a PRIMARY KEY is a "
    "key of its own.",
    "Nothing depends on chance or on the machine's clock: UUID, RAND and RAND_INTEGER are refused, "
    "CURRENT_TIMESTAMP and PROCTIME "
    "read the ledger's clock.",
    "A NULL key meets no version in FOR SYSTEM_TIME AS OF; in Flink NULL meets NULL where the versions are a view "
    "(the last row of each key).",
    "A MULTISET, as COLLECT gives it, is a MAP of values to how often they came wherever a MAP may stand; Flink does "
    "little more with one than UNNEST.",
    "SESSION over rows that are updated needs GROUP BY of its windows, and a ranking or a join within windows of such "
    "rows is refused; Flink runs the first without.",
    "OVER in the order of a value: of several equal rows one is taken back, Flink 2.3 takes all of them out of its "
    "sums; DISTINCT counts a value once, Flink at times twice over rows that are updated.",
    "STDDEV and VAR of DECIMAL in OVER are rounded once; there Flink 2.3 rounds between its steps.",
    "A SELECT list of LATERAL that names columns before it: Flink 2.3 loses rows where they are NULL, and makes some "
    "up where the query is tied by more than equalities; of one that groups it at times aggregates rows that a "
    "condition beside equalities leaves out.",
    "MATCH_ROWTIME of a match that only the end of the input lets out is the time of its last row.",
    "Windows over TIMESTAMP_LTZ in a zone without summer time: Flink 2.3 loses rows of windows that end between "
    "two windows of UTC; they are counted here.",
    "Constant text is STRING, not CHAR(n); times are held in milliseconds: further digits of a "
    "TIMESTAMP(6), which TIMESTAMP alone means, are cut.",
    "Regular expressions that may never end are refused, and the text they search is bounded.",
    "Catalogs, databases, connectors of other systems and Java functions are refused.",
    "Of a query inside an expression that has no rows yet IN is FALSE and ALL is TRUE; Flink gives no rows until it "
    "has one.",
    "A query as a value with more than one row fails its row, and of equal keys of JSON_OBJECTAGG the last counts; "
    "Flink fails the job.",
    "A ROWS frame of 0 rows before the current one, by processing time, holds the current one only; Flink keeps one "
    "more.",
    "What processing time lets out (windows, patterns) comes with the next record or tick of the ledger, and at the "
    "end of the input; Flink loses what its machine's clock has not let out when the input ends.",
    "OVER a RANGE of processing time counts the rows of one millisecond of the ledger one after the other; Flink those "
    "of one millisecond of its machine together, and loses those that wait when the input ends.",
    "Unknown settings and options are errors.",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def usage(name: str, signature: signatures.Signature) -> str:
    """`NAME(text, integer[, integer])`."""
    parts = ""
    for kind, optional, repeated in signature.shape:
        word = signatures.KIND_WORDS[kind].removeprefix("an ").removeprefix("a ")
        comma = ", " if parts else ""
        parts += f"[{comma}{word}]" if optional else comma + word + (", ..." if repeated else "")
    return f"{name}({parts})"


def function_row(name: str) -> tuple[str, str, str]:
    """Usage, result, note of a function."""
    if name in SPECIAL:
        shown, result, note = SPECIAL[name]
        return f"`{shown}`", result, note
    signature = signatures.FUNCTIONS[name]
    note = NOTES.get(name, NOTES.get(signature.name, "") if name == signature.name else "")
    if name != signature.name:
        note = f"as {signature.name}" + "".join(f" {key} {value}" for key, value in signature.options)
    result = str(signature.result) if isinstance(signature.result, Type) else "as its argument"
    return f"`{usage(name, signature)}`", result, note


def functions() -> list[str]:
    """Every function once, in groups by where it is evaluated."""
    lines: list[str] = []
    left = [*signatures.FUNCTIONS, *signatures.SPECIAL]
    for title, modules in GROUPS:
        known = {name for module in modules for name in module.FUNCTIONS}
        own = [n for n in left if (signatures.FUNCTIONS[n].name if n in signatures.FUNCTIONS else n) in known]
        left = [name for name in left if name not in own]
        lines += [f"### {title}", "", *table(("call", "result", "note"), map(function_row, sorted(own))), ""]
    lines += ["### Numbers and conditions", "", *table(("call", "result", "note"), map(function_row, sorted(left))), ""]
    rows = [(f"`{name}`", AGGREGATES.get(name, "")) for name in signatures.AGGREGATES]
    lines += ["### Aggregates", "", *table(("function", "note"), rows), ""]
    elsewhere = [(f"`{name}`", cure) for name, cure in sorted(signatures.ELSEWHERE.items())]
    return [*lines, "### Not here", "", *table(("people try", "here"), elsewhere), ""]


def differences() -> list[str]:
    """Ours by decision, and those found expression by expression."""
    found: dict[str, str] = {}
    for line in (ROOT / "tests/process/functions/flink_values.jsonl").read_text().splitlines():
        case = json.loads(line)
        if "differs" in case:
            found.setdefault(case["differs"], case["expr"])
    lines = [f"* {text}" for text in DIFFERENCES]
    return [*lines, *(f"* {why[0].upper()}{why[1:]}: `{expr}`." for why, expr in found.items())]


def operators() -> list[str]:
    """The table of docs/internals/engine.md: one place for the operators' rules."""
    text = (ROOT / "docs/internals/engine.md").read_text()
    part = text.partition("## Operators and their rules")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("|")]


def page() -> str:
    """The whole page."""
    refused = [(f"`{name}`", cure) for name, cure in sorted(statement_grammar.REFUSED.items())]
    known = [(f"`{key}`", what) for key, (what, _) in sorted(settings.SETTINGS.items())]
    options = [(f"`{key}`", what) for key, (what, _) in sorted(settings.OPTIONS.items())]
    carried = [(f"`{key}`", str(type_)) for key, type_ in tables.METADATA.items()]
    lines = [
        "# SQL reference",
        "",
        "Made from the code by `scripts/sql_reference.py`; edit there. The language is Flink SQL: what is here "
        "means what it",
        "means on Apache Flink 2.3, which answered the expressions in `tests/`; everything else is refused at "
        "its place with",
        "what to write instead.",
        "",
        "## Statements",
        "",
        *table(("statement", "meaning"), STATEMENTS),
        "",
        f"LIKE takes over {', '.join(LIKE_PARTS)}; the default is INCLUDING ALL OVERWRITING OPTIONS.",
        "",
        "Not statements of an application:",
        "",
        *table(("word", "instead"), refused),
        "",
        "### Metadata columns",
        "",
        *table(("key", "type"), carried),
        "",
        "### Settings",
        "",
        *table(("key", "meaning"), known),
        "",
        "Accepted without meaning, so that one text serves Flink too: keys that start with",
        ", ".join(f"`{each}`" for each in settings.IGNORED) + ".",
        "",
        "### Table options",
        "",
        *table(("key", "meaning"), options),
        "",
        *FORMATS.splitlines(),
        "",
        "## Queries",
        "",
        *table(("query", "meaning"), QUERIES),
        "",
        "## Operators: held back, late rows, live or final",
        "",
        *operators(),
        "",
        "## Functions",
        "",
        "A NULL argument gives NULL unless the note says otherwise.",
        "",
        *functions(),
        *OWN.splitlines(),
        "",
        "## Differences from Flink",
        "",
        *differences(),
        "",
        "## Reserved words",
        "",
        "Names only in backticks: " + ", ".join(sorted(RESERVED)) + ".",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page, or another file of it."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    place.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
