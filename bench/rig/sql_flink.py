"""One query on PyFlink, alone in a process: prints what it cost as JSON. Run by `bench/sql.py` in Flink's environment.

    python sql_flink.py '{"tables": [DDL with connectors], "insert": SQL, "settings": {...}}'

Parallelism 1, one local cluster. CPU and peak memory are those of the JVM, from /proc, when the job is done.
"""

import json
import os
import sys


def jvm():
    """(CPU seconds, peak MB) of the Java process this one started."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                name, fields = file.read().rsplit(")", 1)
            if int(fields.split()[1]) != os.getpid() or "java" not in name:
                continue
            with open(f"/proc/{entry}/status") as file:
                peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
            ticks = sum(int(each) for each in fields.split()[11:13])
            return ticks / os.sysconf("SC_CLK_TCK"), peak / 1024
        except (OSError, StopIteration):
            continue
    raise SystemExit("sql_flink: the JVM is gone")


def main():
    job = json.loads(sys.argv[1])
    from pyflink.table import EnvironmentSettings, TableEnvironment

    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in job["settings"].items():
        environment.get_config().set(key, value)
    for statement in job["tables"]:
        environment.execute_sql(statement)
    environment.execute_sql(job["insert"]).wait()
    cpu, peak = jvm()
    print("\n" + json.dumps({"cpu_s": cpu, "peak_mb": peak}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
