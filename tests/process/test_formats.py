"""Tables whose records are Avro: through a runner, whatever the step; what does not fit is a dead-letter row."""

from __future__ import annotations

import pytest

from nextpaint.process.avro_values import encoded
from nextpaint.process.formats import writer_of
from nextpaint.process.runner import Arriving, Runner
from nextpaint.record.avro import declared, parsed
from nextpaint.record.errors import ApplicationError
from nextpaint.sql.planner import plan_program
from tests.process.harness import runner_of, table

PLAIN = "CREATE TABLE s (k STRING, n INT NOT NULL, up AS n + 1, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) "
PLAIN += "WITH ('format' = 'avro');"
KEYED = "CREATE TABLE t (k STRING, n INT, PRIMARY KEY (k) NOT ENFORCED) WITH ('value.format' = 'avro');"
NARROW = '{"type": "record", "name": "e", "fields": [{"name": "n", "type": "int"}, {"name": "k", "type": "string"}]}'
WIDE = NARROW.replace('"int"', '["null", "int"]').replace('"fields": [', '"fields": [{"name": "x", "type": "double"}, ')
FRAMED = f"""CREATE TABLE s (k STRING, n INT) WITH ('value.format' = 'avro-confluent',
  'value.avro-confluent.schemas' = '{{"1": {NARROW}, "2": {WIDE}}}');"""
MADE = "CREATE TABLE made (k STRING, n INT);"


def program(text):
    return plan_program([("a.sql", text)], {})


def run(text, records, topic="s", cut=100):
    runner = runner_of(program(text))
    arriving = [Arriving(i, i, topic, None, each, True) for i, each in enumerate(records)]
    outputs = [each for at in range(0, len(records), cut) for each in runner.apply(arriving[at : at + cut])]
    rows = [tuple(each.row.values()) for each in outputs if each.topic == "made"]
    return rows, [each.row["reason"] for each in outputs if each.topic != "made"], runner


def fields_of(text, name):
    return program(text).tables[name].fields


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_plain_avro_has_the_declared_columns_in_their_order(cut):
    schema = declared([each for each in fields_of(PLAIN, "s") if each.name != "up"])
    rows = [encoded((f"k{i}" if i % 3 else None, i, i * 1000), schema) for i in range(20)]
    made, dead, _ = run(
        f"{PLAIN}{MADE} INSERT INTO made SELECT k, up FROM s", [*rows[:9], rows[9][:-1], *rows[10:]], cut=cut
    )
    assert made == [(f"k{i}" if i % 3 else None, i + 1) for i in range(20) if i != 9]
    assert dead == ["the Avro bytes end where 1 more are needed"]


@pytest.mark.parametrize("cut", [1, 100])
def test_confluents_header_says_which_schema_wrote_a_record(cut):
    def framed(identity, row):
        return b"\0" + identity.to_bytes(4, "big") + encoded(row, parsed(NARROW if identity == 1 else WIDE))

    records = [framed(1 + i % 2, [i, "a"] if i % 2 == 0 else [0.5, i, "b"]) for i in range(12)]
    records.append(b"\0\0\0\0\7" + records[0][5:])
    made, dead, _ = run(f"{FRAMED}{MADE} INSERT INTO made SELECT k, n FROM s", records, cut=cut)
    assert made == [("ab"[i % 2], i) for i in range(12)]
    assert dead == ["the schema 7 is not declared for the table, which has 1, 2"]


def test_a_keyed_table_keeps_the_last_row():
    schema = declared(fields_of(KEYED, "t"))
    rows = [encoded((f"k{i % 3}", i), schema) for i in range(30)]
    runner = run(KEYED, rows, "t")[2]
    assert table(runner, "t") == {(f"k{i}",): (f"k{i}", 27 + i) for i in range(3)}
    assert isinstance(runner, Runner)


def test_rows_that_come_as_json_are_written_as_the_table_says():
    keyed = program(KEYED).tables["t"]
    assert writer_of(keyed)({"k": "a"}) == encoded(("a", None), declared(keyed.fields))
    with pytest.raises(ValueError, match="n is NOT NULL"):
        writer_of(program(PLAIN).tables["s"])({"k": "a", "ts": 1})
    with pytest.raises(ValueError, match="come from those who write its schemas"):
        writer_of(program(FRAMED).tables["s"])({"k": "a"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("'format' = 'protobuf'", "'protobuf' is no value of 'format'"),
        ("'format' = 'avro', 'value.format' = 'avro'", "format and value.format are one and the same"),
        ("'format' = 'avro-confluent'", "nothing says by which schemas the records were written"),
        ("'format' = 'avro', 'avro-confluent.schemas' = '{}'", "'avro-confluent.schemas' is read by nothing here"),
        ("'format' = 'avro-confluent', 'avro-confluent.schemas' = '{}'", "no schema is given"),
        ("'format' = 'avro-confluent', 'avro-confluent.schemas' = '{\"x\": 1}'", "'x' is not the id of a schema"),
        (
            '\'format\' = \'avro-confluent\', \'avro-confluent.schemas\' = \'{"1": {"type": "record", "name": "e", '
            '"fields": [{"name": "n", "type": "string"}]}}\'',
            "n is INT, and the schema has string there (schema 1)",
        ),
    ],
)
def test_formats_are_checked(options, said):
    with pytest.raises(ApplicationError) as caught:
        program(f"CREATE TABLE s (k STRING, n INT) WITH ({options})")
    assert [each.what for each in caught.value.diagnostics] == [said]


def test_a_statement_does_not_write_avro():
    with pytest.raises(ApplicationError, match="statements write JSON"):
        program(f"{KEYED} CREATE TABLE u (k STRING, n INT); INSERT INTO t SELECT k, n FROM u")
