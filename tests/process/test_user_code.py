"""An application's own functions and models: resolved in its folder, typed, called in batches; what fails is one
row."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from nextpaint.application import Application
from nextpaint.process.runner import Arriving, Runner
from nextpaint.record.errors import ApplicationError

MODEL = (Path(__file__).parent.parent / "models/data/lgb_rank.txt").read_bytes()
PYTHON = b"""
import numpy as np
from nextpaint.sql.user_functions import function, udf

@function("DOUBLE", inputs=["STRING", "DOUBLE"])
def boosted(category, price):
    return [None if p is None else p * 2 if c == "toys" else p for c, p in zip(category, price)]

def doubled(n: int) -> int:
    return n * 2

@udf(result_type="STRING", input_types=["STRING"])
def shout(text):
    if text == "bad":
        raise RuntimeError("no")
    return None if text is None else text.upper()

@function("DOUBLE", inputs=[], exact=False)
def chance():
    return [0.5]

@function("INT", inputs=["INT"])
def short(n):
    return [1]

@function("INT", inputs=["INT"])
def wrong_type(n):
    return ["x"] * len(n)

@function(inputs=["INT"])
def untyped(n):
    return n
"""
TABLES = """
CREATE TABLE s (k STRING, c STRING, n BIGINT, p DOUBLE);
CREATE TABLE made (k STRING, b DOUBLE, n BIGINT, t STRING);
"""
FUNCTIONS = """
CREATE FUNCTION boosted AS 'mine.boosted' LANGUAGE PYTHON;
CREATE TEMPORARY SYSTEM FUNCTION Doubled AS 'mine.doubled' LANGUAGE PYTHON;
CREATE FUNCTION shout AS 'mine.shout' LANGUAGE PYTHON;
"""


def application(sql, **files):
    return Application.of({"app.sql": sql.encode(), "mine.py": PYTHON, **files})


def run(sql, rows, **files):
    runner = Runner(application(sql, **files).design)
    records = [Arriving(i, i, "s", None, json.dumps(row).encode(), True) for i, row in enumerate(rows)]
    outputs = runner.apply(records)
    made = [tuple(each.row.values()) for each in outputs if each.topic == "made"]
    return made, [each.row["reason"] for each in outputs if each.topic != "made"]


def refused(sql, **files):
    with pytest.raises(ApplicationError) as caught:
        application(sql, **files)
    return [each.what for each in caught.value.diagnostics]


def test_functions_are_called_with_arrays_or_rows_and_nulls():
    sql = TABLES + FUNCTIONS + "INSERT INTO made SELECT k, boosted(c, p), DOUBLED(n), shout(k) FROM s"
    rows = [{"k": "a", "c": "toys", "n": 3, "p": 1.5}, {"k": None, "c": "x", "n": 4, "p": 2.0}, {"k": "c", "n": 1}]
    made, dead = run(sql, rows)
    assert made == [("a", 3.0, 6, "A"), (None, 2.0, 8, None), ("c", None, 2, "C")]
    assert not dead


def test_what_raises_is_a_dead_row_and_the_statement_goes_on():
    sql = TABLES + FUNCTIONS + "INSERT INTO made SELECT k, p, n, shout(k) FROM s"
    made, dead = run(sql, [{"k": "a"}, {"k": "bad"}, {"k": "c"}])
    assert [row[3] for row in made] == ["A", "C"]
    assert dead == ["shout: RuntimeError: no"]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_batch_that_raises_is_tried_row_by_row_and_cuts_are_unseen(cut):
    sql = TABLES + FUNCTIONS + "INSERT INTO made SELECT k, p, doubled(n), k FROM s"
    rows = [{"k": str(i), "n": None if i == 2 else i} for i in range(5)]
    runner = Runner(application(sql).design)
    outputs = []
    for start in range(0, 5, cut):
        part = [Arriving(i, i, "s", None, json.dumps(row).encode(), True) for i, row in enumerate(rows)][
            start : start + cut
        ]
        outputs += runner.apply(part)
    made = [each.row["n"] for each in outputs if each.topic == "made"]
    dead = [each.row["reason"] for each in outputs if each.topic != "made"]
    assert made == [0, 2, 6, 8]
    assert len(dead) == 1 and dead[0].startswith("Doubled: TypeError")


@pytest.mark.parametrize(
    ("declared", "used", "said"),
    [
        ("f AS 'mine.short'", "f(1)", None),
        ("f AS 'nowhere.f'", "1", "there is no nowhere.py in the application's folder"),
        ("f AS 'mine.nothing'", "1", "mine.py has no nothing"),
        ("f AS 'os/../x.y'", "1", "'os/../x.y' is not 'module.name'"),
        ("f AS 'mine.untyped'", "1", "the result type of mine.untyped is not declared"),
        ("abs AS 'mine.short'", "1", "abs is the name of a function of SQL"),
        ("f AS 'mine.chance'", "f()", "f is declared inexact"),
        ("f AS 'mine.boosted'", "f('a')", "f takes 2 arguments"),
        ("f AS 'mine.boosted'", "f('a', TRUE)", "f needs DOUBLE here, not BOOLEAN"),
    ],
)
def test_declarations_and_calls_are_checked(declared, used, said):
    declared = declared.replace("abs", "`abs`")
    sql = f"CREATE FUNCTION {declared} LANGUAGE PYTHON; CREATE VIEW v AS SELECT {used} AS x FROM events"
    if said is None:
        application(sql)
    else:
        assert any(said in each for each in refused(sql))


@pytest.mark.parametrize(("name", "said"), [("short", "gave 1 values for"), ("wrong_type", "is not a INT")])
def test_results_of_another_length_or_type_fail_their_rows(name, said):
    sql = f"{TABLES} CREATE FUNCTION f AS 'mine.{name}' LANGUAGE PYTHON;"
    sql += "INSERT INTO made SELECT k, p, f(CAST(n AS INT)), k FROM s"
    made, dead = run(sql, [{"k": "a", "n": 1}, {"k": "b", "n": 2}])
    if name == "wrong_type":
        assert not made and all(said in each for each in dead)
    else:
        assert len(made) == 2  # one row at a time it gives one value


def test_the_code_is_part_of_the_application_and_of_the_operators_identity():
    sql = TABLES + FUNCTIONS + "INSERT INTO made SELECT k, p, n, shout(k) FROM s"
    one = application(sql)
    other = Application.of({"app.sql": sql.encode(), "mine.py": PYTHON.replace(b"upper", b"lower")})
    assert one.hash != other.hash
    ids = [[stage.operator.id for stage in Runner(each.design).graph.stages] for each in (one, other)]
    assert ids[0] != ids[1]
    assert Application.unpacked(one.packed()).hash == one.hash


def test_only_what_sql_names_is_read_from_the_folder(tmp_path):
    (tmp_path / "app.sql").write_text("CREATE FUNCTION shout AS 'mine.shout' LANGUAGE PYTHON")
    (tmp_path / "mine.py").write_bytes(PYTHON)
    (tmp_path / "other.py").write_text("raise SystemExit")
    assert sorted(Application.load(tmp_path).files) == ["app.sql", "mine.py"]


# ---------------------------------------------------------------- models

DIGEST = sha256(MODEL).hexdigest()
DECLARED = """
CREATE TABLE s (k STRING, heat DOUBLE, price DECIMAL(10, 2), category INT, sim DOUBLE, score STRING);
CREATE TABLE made (k STRING, score STRING, score0 DOUBLE);
CREATE MODEL ctr INPUT (heat DOUBLE, price DOUBLE, category INT, sim DOUBLE) OUTPUT (score DOUBLE)
  COMMENT 'clicks' WITH ('provider' = 'file', 'path' = 'models/ctr.txt', 'sha256' = '%s');
"""
PREDICT = "INSERT INTO made SELECT k, score, score0 FROM "
PREDICT += "ML_PREDICT(TABLE s, MODEL ctr, DESCRIPTOR(heat, price, category, sim))"


def scored(sql, rows):
    return run(sql, rows, **{"models/ctr.txt": MODEL})


def test_a_model_adds_its_score():
    from nextpaint.process.scoring import ranker_of

    made, dead = scored(DECLARED % DIGEST + PREDICT, [{"k": "a", "heat": 1.0, "price": 2.5, "category": 3}, {"k": "b"}])
    expected = ranker_of("ctr.txt", MODEL, DIGEST).predict
    import numpy as np

    scores = expected(np.array([[1.0, 2.5, 3.0, np.nan], [np.nan] * 4])).tolist()
    assert [row[2] for row in made] == scores
    assert not dead


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (DIGEST, "0" * 64, "pin the file you mean"),
        ("'file'", "'openai'", "there is no provider 'openai' here"),
        ("models/ctr.txt", "models/no.txt", "there is no models/no.txt in the application's folder"),
        ("OUTPUT (score DOUBLE)", "OUTPUT (score STRING)", "OUTPUT (score DOUBLE)"),
        (", sim DOUBLE) OUTPUT", ") OUTPUT", "the model takes 4 features"),
        ("'provider' = 'file'", "'provider' = 'file', 'x' = 'y'", "unknown option 'x'"),
        ("MODEL ctr, DESC", "MODEL ctt, DESC", "unknown model ctt"),
        ("DESCRIPTOR(heat, ", "DESCRIPTOR(", "ctr takes 4 columns, not 3"),
        ("DESCRIPTOR(heat", "DESCRIPTOR(k", "k is STRING, the model's heat is DOUBLE"),
    ],
)
def test_models_are_checked(old, new, said):
    sql = DECLARED % DIGEST + PREDICT
    assert old in sql
    assert any(said in each for each in refused(sql.replace(old, new, 1), **{"models/ctr.txt": MODEL}))


@pytest.mark.parametrize("count", [1, 20])
def test_a_float_has_32_bits_however_many_records_come(count):
    sql = "CREATE TABLE s (f FLOAT); CREATE TABLE made (d DOUBLE); INSERT INTO made SELECT CAST(f AS DOUBLE) FROM s"
    made, dead = run(sql, [{"f": 0.1}] * count)
    assert made == [(0.10000000149011612,)] * count
    assert not dead
