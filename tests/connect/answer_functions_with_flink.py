"""Runs our aggregates as PyFlink functions on real Apache Flink; run by `test_flink_functions.py`, not a test itself.

Argument: a JSON file with {"module": the file of the functions, "ddl", "query", "result": path}. Writes the rows that
the query leaves at the end, as JSON.
"""

import json
import sys
from pathlib import Path

from pyflink.common import Configuration, Row
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment


def plain(value):
    return [plain(each) for each in value] if isinstance(value, (Row, tuple, list)) else value


def main():
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path.insert(0, str(Path(request["module"]).parent))
    import flink_functions

    configuration = Configuration()
    for key, value in {
        "parallelism.default": "1",
        "table.local-time-zone": "UTC",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.files": request["module"],
        "taskmanager.memory.network.max": "128m",
    }.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    flink = TableEnvironment.create(settings)
    pair = DataTypes.ROW([DataTypes.FIELD("item", DataTypes.STRING()), DataTypes.FIELD("n", DataTypes.INT())])
    flink_functions.register(flink, last=pair, frequent=DataTypes.STRING())
    flink.execute_sql(request["ddl"])
    left = []
    with flink.execute_sql(request["query"]).collect() as changes:
        for change in changes:
            row = plain(list(change))
            if "BEFORE" in str(change.get_row_kind()) or "DELETE" in str(change.get_row_kind()):
                left.remove(row)
            else:
                left.append(row)
    Path(request["result"]).write_text(json.dumps(left), "utf-8")


main()
