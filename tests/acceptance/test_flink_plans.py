"""Every SQL statement of the blueprints, and every SQL block of the docs, is planned by real Apache Flink."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from nextpaint.application import events_table, identity_table, impressions_table
from tests.engine.shop import CORNER_SQL, ROOT

BLUEPRINTS = sorted(path.parent for path in (ROOT / "blueprints").glob("*/nextpaint.toml"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "blueprints").rglob("*.md"))]


def statements(text):
    """The statements of a text: split at semicolons outside of quotes, without comments."""
    parts = re.split(r"('(?:[^']|'')*'|--[^\n]*|;)", text)
    found, now = [], ""
    for part in parts:
        if part == ";":
            found.append(now.strip())
            now = ""
        elif not part.startswith("--"):
            now += part
    return [each for each in [*found, now.strip()] if each]


def blocks_of(page):
    """(place, statements) of each fenced SQL block of a page."""
    text = page.read_text()
    return [
        (f"{page.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}", statements(found.group(1)))
        for found in re.finditer(r"^```sql\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]


def files_of(blueprint):
    return [(str(path.relative_to(ROOT)), statements(path.read_text())) for path in sorted(blueprint.glob("*.sql"))]


def pages_of(blueprint):
    """The pages that speak of a blueprint's tables: its own, and those of no other blueprint with the retail one."""
    own = {each: [page for page in PAGES if each.name in (page.stem, page.parent.name)] for each in BLUEPRINTS}
    if blueprint.name != "retail":
        return own[blueprint]
    others = {page for each, pages in own.items() if each != blueprint for page in pages}
    return [page for page in PAGES if page not in others]


def ddl(table):
    columns = [f"`{field.name}` {field.type}" for field in table.fields]
    if table.watermark is not None:
        time = table.fields[table.watermark.column].name
        columns.append(f"WATERMARK FOR `{time}` AS `{time}` - INTERVAL '1' MINUTE")
    if table.primary_key:
        columns.append(f"PRIMARY KEY ({', '.join(f'`{table.names[at]}`' for at in table.primary_key)}) NOT ENFORCED")
    return f"CREATE TABLE `{table.name}` ({', '.join(columns)})"


BUILT_IN = [ddl(table) for table in (events_table(60_000), impressions_table(60_000), identity_table())]


def planned(flink_python, blocks):
    done = subprocess.run(
        [str(flink_python), str(Path(__file__).with_name("plan_with_flink.py"))],
        input=json.dumps({"tables": BUILT_IN, "blocks": blocks}), capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def report(answer):
    return "\n".join(f"{place}: {why}\n    {text[:200]}" for place, text, why in answer["refused"])


def test_every_page_is_planned_with_a_blueprint():
    assert {page for each in BLUEPRINTS for page in pages_of(each)} == set(PAGES)


def test_statements_are_split_where_they_end():
    assert statements("SET 'a;b' = 'it''s; --no'; -- c;d\nSELECT 1;\n") == ["SET 'a;b' = 'it''s; --no'", "SELECT 1"]
    assert all(statements(path.read_text()) for blueprint in BLUEPRINTS for path in blueprint.glob("*.sql"))


@pytest.mark.flink
@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda path: path.name)
def test_flink_plans_every_statement_of_a_blueprint_and_every_block_of_the_docs(flink_python, blueprint):
    files = files_of(blueprint)
    docs = [block for page in pages_of(blueprint) for block in blocks_of(page)]
    answer = planned(flink_python, [*files, *docs])
    print(f"{blueprint.name}: {answer['created']} tables and views, {answer['planned']} queries planned")
    assert not answer["refused"], report(answer)
    assert answer["planned"] >= sum(text.upper().startswith("INSERT") for _, texts in files for text in texts) > 0


@pytest.mark.flink
def test_flink_plans_the_application_the_tests_use(flink_python):
    answer = planned(flink_python, [("corner", statements(CORNER_SQL))])
    assert not answer["refused"], report(answer)


@pytest.mark.flink
def test_what_flink_does_not_know_is_reported(flink_python):
    """The check itself can fail: a column that is not there, a function that Flink does not have."""
    bad = [
        "CREATE TABLE t (a STRING)",
        "INSERT INTO t SELECT nope FROM events",
        "INSERT INTO t SELECT NO_SUCH(event) FROM events",
    ]
    answer = planned(flink_python, [("bad", bad)])
    assert [text for _, text, _ in answer["refused"]] == bad[1:]
