"""The style guide is a test. Each rule walks the tree by itself and names the cure.

A rule is a function from one file to its findings; `test_every_rule_can_fail` feeds each rule a file that breaks it.
Exceptions are few, listed here with their reason, and a test removes those that nothing needs any more.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES_MAX = 700  # past this a file has more than one noun
FUNCTION_LINES_MAX = 70  # what fits on one screen

# "file::function" -> why everything must be caught there: the last line between a fault and a running node.
BROAD_EXCEPT_EDGES: dict[str, str] = {
    "nextpaint/engine/nearest.py::Followed._follow": "another system may raise anything: it is tried again",
    "nextpaint/process/user_code.py::FolderLibrary._module": "an application's own Python may raise anything",
    "nextpaint/process/functions/called.py::_results": "a batch that raises is tried row by row",
    "nextpaint/process/functions/called.py::_one": "an application's own Python may raise anything: its row fails",
    "nextpaint/process/folding.py::folding": "an application's own Python may raise anything",
    "nextpaint/process/user_aggregates.py::Calls.result": "an application's own Python may raise anything: NULL",
    "nextpaint/process/user_aggregates.py::Calls._changed": "an application's own Python may raise anything: left out",
    "nextpaint/process/user_tables.py::UserTable.rows": "a batch that raises is tried row by row",
    "nextpaint/process/user_tables.py::UserTable._one": "an application's own Python may raise anything: its row fails",
    "nextpaint/application.py::_surfaces": "an application's own Python may raise anything: a finding of check",
    "nextpaint/connect/conformance/run.py::run_case": "a case that breaks the engine has failed; the others go on",
    "nextpaint/engine/turns.py::Turns._turn": "what breaks applying stops the engine, which says so and refuses",
    "nextpaint/serve/app.py::App._answered": "the last resort of the HTTP edge, as App._tried: a 500 that says so",
    "nextpaint/engine/deciding.py::Deciding.decide": "an error of one request belongs to its caller",
    "nextpaint/engine/deciding.py::Deciding._submit.run": "an error of one decision is its caller's; others go on",
    "nextpaint/engine/deciding.py::Deciding._record.answer": "an error of one answer is its caller's alone",
    "nextpaint/engine/proofs.py::Proofs.prove": "whatever it was, that there is no proof is logged and on record",
    "nextpaint/ports/promise.py::Promise._tell": "who settles one is not to blame for its followers: logged",
    "nextpaint/serve/app.py::App._tried": "a fault of ours is one 500 with a request id, and the server lives on",
    "nextpaint/stream/writer.py::Writer._take_off": "a frame that cannot be made stops the ledger, which says so",
    "nextpaint/ports/workers.py::_outcome": "a worker hands what its job raised to the caller's `done`, and lives on",
    "nextpaint/models/ranking.py::OnnxRanker.__init__": "onnxruntime has no common error; hostile files are refused",
}

# "rule:file" -> why the rule does not apply there.
EXCEPTIONS: dict[str, str] = {
    "marks:tests/test_style.py": "it spells the marks out",
    "addresses:tests/test_style.py": "it spells the addresses out",
    # The load generator is a client in a process of its own: what it measures is the outside.
    "doors_only_in_ports:nextpaint/connect/load.py": "a client: its message ids must differ from run to run",
    "doors_only_in_ports:nextpaint/connect/open_loop.py": "a client: it keeps its own schedule and times answers",
    "doors_only_in_ports:nextpaint/connect/sync_probe.py": "a probe of the disk itself, beside the node",
    "doors_only_in_ports:nextpaint/connect/traffic.py": "a client: seeded random traffic",
    "doors_only_in_ports:nextpaint/cli/loading.py": "waits for a node in another process",
    "doors_only_in_ports:nextpaint/cli/running.py": "says how long a start took",
}

SKIPPED = re.compile(
    r"^(\.git|\.venv|\.venv-flink|build|dist|var)/|(^|/)(__pycache__|\.hypothesis|\.cache|\.\w+_cache)/"
)
CODE_SUFFIXES = {".py", ".sql", ".js", ".css", ".html", ".sh", ".toml", ".cfg", ".yml", ".yaml", ""}
EMPTY_NAMES = re.compile(r"^_*(utils?|helpers?|common|managers?|base|misc)_*$")

CLOCK = "take a Clock from nextpaint.ports"
CHANCE = "take the random source from nextpaint.ports, so that one seed reproduces a run"
DISK = "go through the disk of nextpaint.ports: file sync, rename and directory sync live in one place"
BANNED_OUTSIDE_PORTS = {
    **{f"time.{name}": CLOCK for name in ("time", "monotonic", "perf_counter", "process_time")},
    **{f"time.{name}_ns": CLOCK for name in ("time", "monotonic", "perf_counter", "process_time")},
    **{f"datetime.datetime.{name}": CLOCK for name in ("now", "utcnow", "today")},
    "datetime.date.today": CLOCK,
    **{f"uuid.{name}": CHANCE for name in ("uuid1", "uuid4")},
    "os.urandom": CHANCE,
    "random.*": CHANCE,
    "secrets.*": CHANCE,
    **{f"os.{name}": DISK for name in ("rename", "renames", "replace", "fsync", "fdatasync")},
}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal"}
INDEX_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|crates\.io|repo1?\.maven|proxy\.golang|/simple/?\b.*index-url"
    r"|^\s*--?(?:extra-)?index-url", re.MULTILINE
)  # fmt: skip
MACHINE_PATHS = re.compile(r"(?<![\w.:/}~$-])/(?:work|root|home)/\w")
MARKS = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


@dataclass(frozen=True)
class File:
    """One tracked file: its path from the root, with `/`, and its text."""

    path: str
    text: str

    @property
    def is_ours(self) -> bool:
        """Part of the package, not of its tests, benches or scripts."""
        return self.path.startswith("nextpaint/") and self.path.endswith(".py")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; Python files only."""
        return ast.parse(self.text, self.path)

    @cached_property
    def functions(self) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Every function with its dotted name, outer ones first."""

        def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield prefix + child.name, child
                named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                yield from walk(child, f"{prefix}{child.name}." if named else prefix)

        return list(walk(self.tree, ""))

    def function_at(self, line: int) -> str:
        """The dotted name of the innermost function that holds `line`, or `<module>`."""
        holding = [name for name, node in self.functions if node.lineno <= line <= (node.end_lineno or node.lineno)]
        return holding[-1] if holding else "<module>"


def tracked_paths() -> list[Path]:
    """Every file that is, or would be, committed; a copy without `.git` is walked."""
    if (ROOT / ".git").exists():
        listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, check=True, capture_output=True).stdout.decode().split("\0")
        found = [ROOT / name for name in names if name]
    else:
        found = [path for path in ROOT.rglob("*") if not SKIPPED.search(path.relative_to(ROOT).as_posix())]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def files() -> list[File]:
    """All tracked text files; a NUL byte in the first 8 KB makes a file binary."""
    texts = []
    for path in tracked_paths():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts.append(File(path.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")))
    return texts


def short_files(file: File) -> Iterator[str]:
    """A file has one noun."""
    lines = file.text.count("\n")
    if file.is_ours and lines > FILE_LINES_MAX:
        yield f"{file.path}: {lines} lines, at most {FILE_LINES_MAX}. Split it by noun."


def short_functions(file: File) -> Iterator[str]:
    """A function fits on one screen."""
    for name, node in file.functions if file.is_ours else ():
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{file.path}:{node.lineno}: {name} has {lines} lines, at most {FUNCTION_LINES_MAX}. Name its parts."


def telling_names(file: File) -> Iterator[str]:
    """A name that says nothing collects everything."""
    if not file.is_ours:
        return
    parts = [word for part in Path(file.path).with_suffix("").parts for word in part.split("_")]
    classes = [node for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef)]
    if any(EMPTY_NAMES.match(part) for part in parts):
        yield f"{file.path}: the name says nothing. Name the file after the noun it holds."
    for node in classes:
        if any(EMPTY_NAMES.match(word.lower()) for word in re.findall(r"[A-Z][a-z]+", node.name)):
            yield f"{file.path}:{node.lineno}: class {node.name} says nothing. Name it after what it is."


def dotted_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name used, spelled through the imports: after `import time as t`, `t.time` is `time.time`."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                imported[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for node in ast.walk(tree):
        parts: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in imported:
            yield inner.lineno, ".".join([imported[inner.id], *reversed(parts)])


def doors_only_in_ports(file: File) -> Iterator[str]:
    """Time, chance and durable renames enter through ports/ alone."""
    if not file.is_ours or file.path.startswith("nextpaint/ports/"):
        return
    for line, name in sorted(set(dotted_names(file.tree))):
        cure = BANNED_OUTSIDE_PORTS.get(name)
        if cure is None and "." in name:
            cure = BANNED_OUTSIDE_PORTS.get(name.split(".")[0] + ".*")
        if cure is not None:
            yield f"{file.path}:{line}: {name} is banned here; {cure}."


def no_pickle(file: File) -> Iterator[str]:
    """Pickle runs what it reads and has no version."""
    if not file.path.endswith(".py"):
        return
    cure = "is banned everywhere; write a versioned format (nextpaint/record)"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if PICKLES & {module.split(".")[0] for module in modules}:
                yield f"{file.path}:{node.lineno}: {', '.join(modules)} {cure}."
        allows = isinstance(node, ast.keyword) and node.arg == "allow_pickle"
        if allows and getattr(node.value, "value", True) is not False:
            yield f"{file.path}:{node.value.lineno}: allow_pickle {cure}."


def broad_excepts(file: File) -> Iterator[tuple[str, int]]:
    """Where all is caught and kept, as ("file::function", line). A handler that ends in `raise` keeps nothing."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler):
            last = node.body[-1]
            passes_on = isinstance(last, ast.Raise) and last.exc is None
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            passes_on, kinds = False, node.args
        else:
            continue
        broad = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
        if broad and not passes_on:
            yield f"{file.path}::{file.function_at(node.lineno)}", node.lineno


def excepts_are_declared(file: File) -> Iterator[str]:
    """Everything is caught only at a declared edge."""
    for place, line in broad_excepts(file) if file.is_ours else ():
        if place not in BROAD_EXCEPT_EDGES:
            yield (
                f"{file.path}:{line}: {place.split('::')[1]} catches everything. Catch what can happen there; a true "
                "edge of the node goes into BROAD_EXCEPT_EDGES (tests/test_style.py) with its reason."
            )


def is_data(file: File) -> bool:
    """Rows of a data set: their words are not ours."""
    return Path(file.path).suffix in {".csv", ".ndjson", ".jsonl", ".tsv"}


def marks(file: File) -> Iterator[str]:
    """Unfinished work is an issue, not a comment."""
    if Path(file.path).suffix not in CODE_SUFFIXES:
        return
    for number, line in enumerate(file.text.splitlines(), 1):
        if found := MARKS.search(line):
            yield f"{file.path}:{number}: leftover {found.group()}. Finish it, or file an issue and remove the mark."


def addresses(file: File) -> Iterator[str]:
    """A checkout means the same on every machine and behind every mirror."""
    if is_data(file):
        return
    for number, line in enumerate(file.text.splitlines(), 1):
        if INDEX_HOSTS.search(line):
            yield f"{file.path}:{number}: names a package index. Leave the index to the machine's own configuration."
        if found := MACHINE_PATHS.search(line):
            yield f"{file.path}:{number}: {found.group()}... is one machine's path. Make it relative to the checkout."


def plain_locks(file: File) -> Iterator[str]:
    """A lock names exact versions and nothing else."""
    if not re.fullmatch(r"requirements/.*\.txt", file.path):
        return
    for number, line in enumerate(file.text.splitlines(), 1):
        exact = re.match(r"$|#|[A-Za-z0-9._-]+==[^\s;@]+(; .+)?$", line)
        if exact is None or "://" in line:
            yield f"{file.path}:{number}: not an exact version: {line!r}. Run scripts/lock."


Rule = Callable[[File], Iterator[str]]
# rule -> (a file that breaks it, one that keeps it)
RULES: dict[Rule, tuple[File, File]] = {
    short_files: (File("nextpaint/a.py", "\n" * 701), File("nextpaint/a.py", "\n" * 700)),
    short_functions: (
        File("nextpaint/a.py", "class A:\n  def f():\n" + "    1\n" * 70),
        File("nextpaint/a.py", "class A:\n  def f():\n" + "    1\n" * 69),
    ),
    telling_names: (File("nextpaint/sql/_utils.py", ""), File("nextpaint/sql/database.py", "class Database: ...")),
    doors_only_in_ports: (
        File("nextpaint/a.py", "from datetime import datetime as dt\ndt.now()"),
        File("nextpaint/ports/clock.py", "import time\ntime.time()"),
    ),
    no_pickle: (File("bench/a.py", "from pickle import loads"), File("bench/a.py", "load(f, allow_pickle=False)")),
    excepts_are_declared: (
        File("nextpaint/a.py", "try: f()\nexcept (OSError, Exception): pass"),
        File("nextpaint/a.py", "try: f()\nexcept BaseException:\n  close()\n  raise"),
    ),
    marks: (File("nextpaint/a.sql", "-- TODO: later"), File("nextpaint/a.sql", "-- todos are counted")),
    addresses: (File("docs/a.md", "see /home/me/x"), File("docs/a.md", "GET /v1/home/x, ~/home/x, /home")),
    plain_locks: (File("requirements/a.txt", "a @ file://x"), File("requirements/a.txt", "# all\na==1.0; b == 'c'")),
}
RULE_IDS = [rule.__name__ for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_the_tree_keeps(rule: Rule, files: list[File]) -> None:
    checked = [file for file in files if f"{rule.__name__}:{file.path}" not in EXCEPTIONS]
    findings = [finding for file in checked for finding in rule(file)]
    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_every_rule_can_fail(rule: Rule) -> None:
    breaking, keeping = RULES[rule]
    assert list(rule(breaking))
    assert not list(rule(keeping))


@pytest.mark.parametrize(
    "source",
    [
        "import time as t\nnow = t.monotonic_ns",
        "from time import perf_counter\nperf_counter()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import random\nrandom.Random(7)",
        "from secrets import token_hex\ntoken_hex()",
        "import os\nos.replace('a', 'b')",
        "from os import fsync\nfsync(3)",
    ],
)
def test_no_spelling_hides_a_banned_call(source: str) -> None:
    assert list(doors_only_in_ports(File("nextpaint/stream/a.py", source)))


def test_every_exception_is_still_needed(files: list[File]) -> None:
    by_path = {file.path: file for file in files}
    rules = {rule.__name__: rule for rule in RULES}
    places = {place for file in files if file.is_ours for place, _ in broad_excepts(file)}
    unused = [edge for edge in BROAD_EXCEPT_EDGES if edge not in places]
    for key in EXCEPTIONS:
        rule, path = key.split(":")
        if path not in by_path or not list(rules[rule](by_path[path])):
            unused.append(key)
    assert not unused, f"remove these from tests/test_style.py, nothing needs them: {unused}"
