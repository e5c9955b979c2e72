"""PyFlink with one JVM for several jobs; prints what each cost. Run by `rig/flink_session.py` in Flink's environment.

    python sql_flink.py  <one job a line: {"tables": [DDL with connectors], "insert": SQL, "settings": {...}}

Parallelism 1, a local cluster for every job. After every job, and once before the first, a line `@report {...}`, from
/proc: CPU seconds of the JVM since the last report without those of its compiler, which are told apart (it goes on for
many seconds after a job began, at times longer than the job), and its peak memory so far in MB.
"""

import json
import os
import sys
from itertools import chain

COMPILER = ("C1 Compiler", "C2 Compiler")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(stat):
    """(name, CPU seconds) of a line of /proc/.../stat."""
    name, fields = stat.rsplit(")", 1)
    return name.split("(", 1)[1], sum(int(each) for each in fields.split()[11:13]) / TICKS


def compiler(pid):
    """CPU seconds of a JVM's compiler threads, which live as long as it does (-UseDynamicNumberOfCompilerThreads)."""
    spent = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                name, seconds = cpu(file.read())
        except OSError:
            continue
        spent += seconds if name.startswith(COMPILER) else 0.0
    return spent


def jvm():
    """(CPU seconds without the compiler, those of the compiler, peak MB) of the Java process this one started."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                stat = file.read()
            name, seconds = cpu(stat)
            if int(stat.rsplit(")", 1)[1].split()[1]) != os.getpid() or "java" not in name:
                continue
            with open(f"/proc/{entry}/status") as file:
                peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
            compiled = compiler(entry)
            return seconds - compiled, compiled, peak / 1024
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
    before = (0.0, 0.0)
    run({"tables": [], "insert": "", "settings": {}})
    for line in chain([""], iter(sys.stdin.readline, "")):
        report = {}
        if line:
            try:
                run(json.loads(line))
            except Exception as error:
                causes = [each for each in str(error).splitlines() if "Caused by" in each]
                report["failed"] = causes[-1].strip() if causes else str(error)
        *now, peak = jvm()
        report |= {"cpu_s": now[0] - before[0], "compiler_s": now[1] - before[1], "peak_mb": peak}
        before = now
        print("\n@report " + json.dumps(report), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
