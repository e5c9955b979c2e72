"""PyFlink with one JVM for several jobs; prints what each cost. Run by `rig/flink_session.py` in Flink's environment.

    python sql_flink.py  <one job a line: {"tables": [DDL with connectors], "insert": SQL, "settings": {...}}

Parallelism 1, a local cluster for every job. After every job, and once before the first, a line `@report {...}`: CPU
seconds of the JVM since the last report, its peak memory so far in MB, from /proc.
"""

import json
import os
import sys
from itertools import chain


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


def run(job):
    from pyflink.table import EnvironmentSettings, TableEnvironment

    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in job["settings"].items():
        environment.get_config().set(key, value)
    for statement in job["tables"]:
        environment.execute_sql(statement)
    if job["insert"]:
        environment.execute_sql(job["insert"]).wait()


def main():
    before = 0.0
    run({"tables": [], "insert": "", "settings": {}})
    for line in chain([""], iter(sys.stdin.readline, "")):
        report = {}
        if line:
            try:
                run(json.loads(line))
            except Exception as error:
                causes = [each for each in str(error).splitlines() if "Caused by" in each]
                report["failed"] = causes[-1].strip() if causes else str(error)
        cpu, peak = jvm()
        report |= {"cpu_s": cpu - before, "peak_mb": peak}
        before = cpu
        print("\n@report " + json.dumps(report), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
