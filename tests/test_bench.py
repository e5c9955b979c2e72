"""The benches run, whatever the machine, and close with their ratios. What the ratios are is for people to judge."""

import importlib
import json
import os
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RATIO = re.compile(r"^ratio (.+): (\d+\.\d\d) \((.+)\)$", re.MULTILINE)

EXPECTED = {
    "decide": {"decide/echo", "decide over HTTP/in the process", "record/answer"},
    "ingest": {
        "whole/append+fdatasync, 1 a request",
        "whole/append+fdatasync, 10 a request",
        "whole/append+fdatasync, 100 a request",
        "door/parser",
        "whole/parser, 100 a request",
        "track/echo, 1 connections",
        "track/echo, 32 connections",
        "apply in steps of 1/100",
    },
    "start": {
        "start/plain read, 5000 events",
        "start/plain read, 20000 events",
        "start long/short",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_bench_runs_and_prints_its_ratios(name, repo_root, tmp_path):
    command = [sys.executable, f"bench/{name}.py", "--seconds", "2", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ratios = {found[1]: float(found[2]) for found in RATIO.finditer(done.stdout)}
    assert set(ratios) == EXPECTED[name]
    assert all(value > 0 for value in ratios.values())
    assert list(tmp_path.iterdir()) == [], "a bench leaves nothing behind"


def sql_bench(repo_root, tmp_path, *options):
    command = [sys.executable, "bench/sql.py", "--runs", "1", *options]
    return subprocess.run(
        command, cwd=repo_root, capture_output=True, text=True, timeout=400, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process says it itself")
def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it(repo_root):
    held = b"x" * (300 << 20)
    command = [sys.executable, "-c", "from rig.peak_memory import peak_mb; print(peak_mb())"]
    done = subprocess.run(command, cwd=repo_root / "bench", capture_output=True, text=True, timeout=300, check=True)
    assert 1 < float(done.stdout) < 200, len(held)


def test_the_compiler_of_a_jvm_is_told_by_the_names_of_its_threads(monkeypatch, repo_root):
    monkeypatch.syspath_prepend(repo_root / "bench")
    flink = importlib.import_module("rig.sql_flink")
    used = " ".join(["S", "1"] + ["0"] * 9 + [str(3 * flink.TICKS), str(flink.TICKS)] + ["0"] * 20)
    assert flink.cpu(f"17 (C2 CompilerThre) {used}") == ("C2 CompilerThre", 4.0)
    assert "C2 CompilerThre".startswith(flink.COMPILER)
    assert not "GC Thread#0".startswith(flink.COMPILER)


@pytest.mark.slow
def test_the_sql_bench_measures_queries_and_leaves_nothing_behind(repo_root, tmp_path):
    done = sql_bench(repo_root, tmp_path, "--rows", "2000,6000", "--engines", "node", "--queries", "Q1,Q4,q2")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r"^(\w+) +-?[\d.]+ us .+ MB, start [\d.]+ s, runs 1$", done.stdout, re.MULTILINE)
    assert lines == ["Q1", "Q4", "q2"]
    assert list(tmp_path.iterdir()) == [], "a bench leaves nothing behind"


@pytest.mark.slow
def test_duckdb_answers_every_query_of_the_sql_bench_as_a_node_does(repo_root, tmp_path):
    done = sql_bench(repo_root, tmp_path, "--rows", "5000,30000", "--engines", "node,duckdb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^ +duckdb +-?[\d.]+ us +\d+ MB, runs 1$", done.stdout, re.MULTILINE)) == 19


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["bytewax", "quixstreams", "pathway", "pyclink"])
def test_other_engines_answer_queries_of_the_sql_bench_as_a_node_does(engine, repo_root, tmp_path):
    if not (repo_root / ".venv-sql/pins.txt").exists():
        pytest.skip("no environment of the other engines: scripts/bench sql makes it")
    queries = ["--queries", "Q1,Q3,q2,q8,q17"]
    done = sql_bench(repo_root, tmp_path, "--rows", "2000,6000", "--engines", f"node,{engine}", *queries)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(rf"^ +{engine} +-?[\d.]+ us +\d+ MB, runs 1$", done.stdout, re.MULTILINE)) == 5


@pytest.mark.slow
def test_the_sql_bench_goes_on_where_it_was_stopped(repo_root, tmp_path):
    options = ["--rows", "2000,4000", "--engines", "node", "--queries", "q2", "--data", str(tmp_path)]
    assert sql_bench(repo_root, tmp_path, *options).returncode == 0
    readings = tmp_path / "readings.jsonl"
    first = readings.read_text()
    assert [json.loads(line)["query"] for line in first.splitlines()] == ["q2", "q2", "input nexmark", "input nexmark"]
    readings.write_text(first + '{"query": "q2", "wh')  # as a killed process leaves it
    again = sql_bench(repo_root, tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert "  q2 node" not in again.stdout, "nothing is measured twice"
    sql_bench(repo_root, tmp_path, *options, "--again", "node")
    assert readings.read_text().count('"what": "node"') == 8


@pytest.mark.slow
def test_the_bench_of_keys_runs_and_prints_its_ratios(repo_root):
    command = [sys.executable, "bench/keys.py", "--events", "400", "--keys", "100000"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ratios = {found[1]: float(found[2]) for found in RATIO.finditer(done.stdout)}
    assert {"GROUP BY general/typed at 2000", "bytes per key, most keys / fewest"} <= set(ratios)
    assert len(ratios) == 18


@pytest.mark.slow
def test_the_bench_of_exploration_prints_what_the_docs_say(repo_root):
    """Regrets and coverages are functions of the seeds: the page's figures of the short mode, to the digit."""
    page = (repo_root / "docs/performance.md").read_text()
    block = next(each for each in page.split("```") if each.strip().startswith("scripts/bench bandit --seeds"))
    command, *told = block.strip().splitlines()
    program = [sys.executable, "bench/bandit.py", *command.split()[2:]]
    done = subprocess.run(program, cwd=repo_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = [re.sub(r" +(us/step|\d+)$", "", line) for line in done.stdout.splitlines()]
    assert len(told) == 9
    assert [line for line in told[1:] if line not in printed] == []


def test_the_bench_of_exploration_fails_where_intervals_cover_too_little_or_too_much(repo_root, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(repo_root / "bench"))
    judged = importlib.import_module("bandit").judged
    assert judged({"ips": 0.93, "arms": 0.97}, 1_000) == 0
    assert judged({"ips": 0.929, "snips": 0.95, "arms": 0.971}, 1_000) == 1
    assert "FAIL for ips, arms" in capsys.readouterr().out
    assert judged({"ips": 0.5}, 40) == 0 and "not judged" in capsys.readouterr().out


def test_the_bench_of_exploration_reads_open_bandit_logs_with_their_clicks_beside(
    repo_root, monkeypatch, tmp_path, capsys
):
    """Two items at one place: an even policy, and one that shows the better item in three of four."""
    monkeypatch.syspath_prepend(str(repo_root / "bench"))
    for name, items, propensities in (
        ("random", [0, 1] * 200, [0.5] * 400), ("bts", [0, 0, 0, 1] * 100, [0.75, 0.75, 0.75, 0.25] * 100),
    ):  # fmt: skip
        clicks = [int(item == 0 and at % 4 == 0) for at, item in enumerate(items)]
        columns = {"item_id": items, "position": [1] * 400, "click": clicks, "propensity_score": propensities}
        pq.write_table(pa.table(columns), tmp_path / f"{name}_all.parquet")
    importlib.import_module("bandit").open_bandit(tmp_path)
    told = capsys.readouterr().out
    assert told.count("400 showings, 100 clicks: logged 0.25000") == 2
    assert re.search(r"bts from it: ips +0\.37500 .*; 100 clicks, worth 320 showings", told)  # 0.25 * 0.75 / 0.5
    assert re.search(r"random from it: ips +0\.16667 .*; 100 clicks, worth 300 showings", told)


@pytest.mark.slow
def test_the_bench_of_decisions_tells_all_of_a_large_catalogue_while_events_come_in(repo_root, tmp_path):
    pytest.importorskip("lightgbm", reason="the extra: pip install 'nextpaint[train]'")
    command = [sys.executable, "bench/decide.py", "--items", "3000", "--seconds", "8", "--events", "100"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], cwd=repo_root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "among 3000 vectors of 512" in done.stdout
    for kind in ("any items", "items alike"):
        assert f"exact, sessions of {kind}: recall@10 1.0000" in done.stdout
    assert re.search(r"^memory: .*: \d+ bytes an item$", done.stdout, re.MULTILINE)
    for what in ("new item", "changed title", "deleted item"):
        assert re.search(rf"^  {what} +p50 \d\.\d+, most \d\.\d+, to be under 1: ", done.stdout, re.MULTILINE), what
    assert done.stdout.count("same: True") == 2
    for page in ("page_200 by weights, 2", "page_1000 by weights, 1", "page_200 by 100 trees, 2"):
        assert page in done.stdout
    assert len(re.findall(r"CPU \d+ us: \d+ decisions per CPU-second", done.stdout)) == 4
    assert len(re.findall(r"degraded \d+ \(", done.stdout)) == 4
    assert re.search(r"^degraded in all passes: \d+ of \d+ \(", done.stdout, re.MULTILINE)
    for stage in ("retrieve", "filter", "features", "rank", "explore", "near", "record"):
        assert len(re.findall(rf"^    {stage}.*( +\d+){{4}}$", done.stdout, re.MULTILINE)) >= 4, stage
    assert {found[1] for found in RATIO.finditer(done.stdout)} == {
        "trees/LightGBM, 200 rows", "trees/LightGBM, 1000 rows", "decide/LightGBM, 200 rows",
        "decide/LightGBM, 1000 rows", "decide/echo, page_200", "decide/echo, page_1000",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == [], "a bench leaves nothing behind"
