"""Answers queries with real Apache Flink, in the environment that has PyFlink; run by `goldens.py`, not a test itself.

Argument: a JSON file with {"settings": {...}, "batch": queries in one job, "cases": [{"id", "tables": [DDL],
"statements": [SQL], "query", "insert", "plan_only"}], "result": path}. Either `query` is asked, or `insert` is run as
it stands (its target is declared among the statements, with `{print}` where the connector's options go), or `filled`,
a CREATE TABLE ... AS with `{print}` in it.

All answers of a request come from few jobs: a case has a database of its own, every query is an INSERT into a print
table, and one statement set of them is one job, since starting a job costs more than running a small query. A job that
fails is cut in halves until the case that fails is alone.

Rows are printed on standard output, under the identifier in the result: {"answers": {id: {"tag", "types", "json"}},
"refused": {id: why}}. `json` says which columns are printed as JSON text: texts and nested values, so that a line can
be cut into its cells.
"""

import json
import re
import sys

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableDescriptor, TableEnvironment

QUOTED = ("CHAR", "VARCHAR", "STRING")
NESTED = ("ARRAY", "MAP", "ROW", "MULTISET", "BINARY", "VARBINARY", "BYTES")


class Asking:
    def __init__(self, request):
        configuration = Configuration()
        settings = {
            "parallelism.default": "1",
            "pipeline.auto-watermark-interval": "0 ms",  # a watermark after every row
            "table.local-time-zone": "UTC",
            "taskmanager.memory.network.max": "256m",
            "taskmanager.memory.network.min": "256m",
            **request["settings"],
        }
        for key, value in settings.items():
            configuration.set_string(key, value)
        builder = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration)
        self.flink = TableEnvironment.create(builder.build())
        self.cases, self.batch = request["cases"], request["batch"]
        self.answers, self.refused = {}, {}
        self.attempt = 0

    def run(self):
        planned = [case for number, case in enumerate(self.cases) if self.declare(number, case)]
        running = [case for case in planned if not case.get("plan_only")]
        together = [case for case in running if not case.get("filled")]
        for start in range(0, len(together), self.batch):
            self.job(together[start : start + self.batch])
        for case in running:
            if case.get("filled"):
                self.fill(case)

    def declare(self, number, case):
        case["database"] = f"case_{number}"
        self.flink.execute_sql(f"CREATE DATABASE case_{number}")
        self.flink.use_database(f"case_{number}")
        try:
            for statement in [*case["tables"], *case["statements"]]:
                self.flink.execute_sql(statement.replace("{print}", "'connector'='print'"))
            if case.get("insert") or case.get("filled"):
                if case.get("plan_only"):
                    self.flink.explain_sql(case["insert"] or case["filled"].replace("{print}", "'connector'='print'"))
                return True
            case["wrapped"], case["types"], case["json"] = self.wrapped(case["query"])
            if case.get("plan_only"):
                self.flink.sql_query(case["query"]).explain()
            return True
        except Exception as error:
            self.refused[case["id"]] = why(error)
            return False

    def wrapped(self, query):
        """The query with every column in a form that print shows unambiguously; its types; which columns are JSON."""
        columns = self.flink.sql_query(query)._j_table.getResolvedSchema().getColumns()
        items, types, as_json = [], [], []
        for index in range(columns.size()):
            column = columns.get(index)
            name = f"x{index}"  # names of a query may repeat
            kind = column.getDataType().getLogicalType().asSummaryString()
            root = re.match(r"\w+", kind).group(0)
            as_json.append(root in QUOTED or root in NESTED)
            types.append(re.sub(r" (NOT NULL|\*\w+\*)", "", kind))
            if root in QUOTED:
                name = f"JSON_QUOTE({name})"
            elif root in NESTED:
                name = f"JSON_STRING({name})"
            elif "*" in kind:
                name = f"CAST({name} AS {types[-1]})"
            items.append(f"{name} AS c{index}")
        names = ", ".join(f"x{index}" for index in range(len(items)))
        return f"SELECT {', '.join(items)} FROM ({query}\n) AS answer ({names})", types, as_json

    def fill(self, case):
        """CREATE TABLE ... AS is a job of its own; its table says the types."""
        self.attempt += 1
        tag = f"A{self.attempt}N0"
        self.flink.use_database(case["database"])
        try:
            options = f"'connector'='print', 'print-identifier'='{tag}'"
            self.flink.execute_sql(case["filled"].replace("{print}", options)).wait()
            name = re.match(r"CREATE\s+TABLE\s+(`?\w+`?)", case["filled"], re.IGNORECASE).group(1)
            with self.flink.execute_sql(f"DESCRIBE {name}").collect() as rows:
                types = [re.sub(r" \*\w+\*", "", row[1]) for row in rows]
            self.answers[case["id"]] = {"tag": tag, "types": types, "json": None}
        except Exception as error:
            self.refused[case["id"]] = why(error)

    def job(self, cases):
        if not cases:
            return
        self.attempt += 1
        tags = {}
        try:
            statements = self.flink.create_statement_set()
            for number, case in enumerate(cases):
                self.flink.use_database(case["database"])
                tag = tags[case["id"]] = f"A{self.attempt}N{number}"
                if case.get("insert"):
                    name = re.match(r"INSERT\s+INTO\s+(`?\w+`?)", case["insert"], re.IGNORECASE).group(1)
                    self.flink.execute_sql(f"ALTER TABLE {name} SET ('print-identifier'='{tag}')")
                    statements.add_insert_sql(case["insert"])
                    continue
                target = TableDescriptor.for_connector("print").option("print-identifier", tag).build()
                statements.add_insert(target, self.flink.sql_query(case["wrapped"]))
            statements.execute().wait()
        except Exception as error:
            if len(cases) == 1:
                self.refused[cases[0]["id"]] = why(error)
                return
            half = len(cases) // 2
            self.job(cases[:half])
            self.job(cases[half:])
            return
        for case in cases:
            self.answers[case["id"]] = {
                "tag": tags[case["id"]], "types": case.get("types"), "json": case.get("json"),
            }  # fmt: skip


def why(error):
    lines = [
        line.strip() for line in str(error).splitlines() if "Exception" in line and not line.strip().startswith("at ")
    ]
    return " < ".join(lines[-3:] if lines else [str(error)])[:900]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    asking = Asking(request)
    asking.run()
    with open(request["result"], "w", encoding="utf-8") as file:
        json.dump({"answers": asking.answers, "refused": asking.refused}, file)


main()
