"""Reading accounting: from a file to the two tables, checks and totals included."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from analysis.accounting.importing import import_as
from analysis.accounting.readers.azure_functions_2019 import MINUTES
from analysis.traces import COLUMNS_2021, KEYS_2019
from benchmarks.measure import Measure, at_least, at_most, seconds

ROWS = 400_000  # of each file
LEAST_ROWS_PER_S = 200_000.0  # of CSV formats, asked for by the project
LEAST_MB_PER_S = 20.0  # of formats with long records, as for JSON
ZONE = "Europe/Madrid"
SACCT = "JobIDRaw|User|Account|Partition|State|Submit|Start|End|ElapsedRaw|NCPUS|AllocTRES"
MOST_MEMORY = 1.2  # for ten times the rows
MONTH = {"start": "2026-09-01", "end": "2026-10-01"}


def throughput() -> list[Measure]:
    """Import files of all formats that are lines of text."""
    return [
        *_rows_per_s((
            ("sacct", "sacct", _sacct(), {"time_zone": ZONE}),
            ("tidy", "tidy", _tidy(), {"time_zone": ZONE}),
            ("tidy_aggregates", "tidy", _aggregates(), {}),
            ("swf", "swf", _swf(), {"processors": "gpus"}),
            ("egi_portal_csv", "egi_portal", _portal(), {}),
            ("openstack_usage", "openstack_usage", _projects(), MONTH),
            ("ai4_accounting_csv", "ai4_accounting_csv", _days(), {"namespace": "ns"}),
            ("azure_functions_2021", "azure_functions_2021", _invocations(), {}),
        )),
        *_mb_per_s((
            ("azure_functions_2019", _functions(), {"day": 1}),
            ("apel_cloud", _machines(), {}),
        )),
    ]  # fmt: skip


def memory() -> list[Measure]:
    """Import ten times the rows, each file in a process of its own."""
    _, *rows = _sacct()
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        found = []
        for times in (1, 10):
            path = Path(made) / f"{times}.psv"
            with path.open("w", encoding="utf-8") as file:
                file.write(SACCT + "\n")
                for part in range(times):  # a digit before it makes each job's number another
                    file.writelines(f"{part}{row}\n" for row in rows)
            done = subprocess.run([sys.executable, "-c", _ALONE, path, made], check=True,
                                  capture_output=True, text=True)  # fmt: skip
            used, most_kb = map(int, done.stdout.split())
            assert used > 0.99 * times * ROWS, used
            found.append(most_kb)
    return [
        Measure("accounting.memory_for_4e6_rows_of_sacct", found[1] / 1e3, "MB"),
        at_most("accounting.memory_for_10_times_the_rows", found[1] / found[0], "ratio",
                MOST_MEMORY),
    ]  # fmt: skip


_ALONE = """
import re, sys
from pathlib import Path
from tempfile import TemporaryDirectory
from analysis.accounting.importing import import_as
with TemporaryDirectory(dir=sys.argv[2]) as folder:
    options = {"time_zone": "Europe/Madrid"}
    done = import_as("sacct", [Path(sys.argv[1])], options, Path(folder))
status = Path("/proc/self/status").read_text()  # ru_maxrss is the parent's where that is larger
print(done.rows["used"], re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
"""


def _rows_per_s(cases: Iterable[tuple[str, str, Iterator[str], dict[str, Any]]]) -> list[Measure]:
    measures = []
    for called, name, lines, options in cases:
        rows, spent_s, _ = _measured(name, lines, options)
        measures.append(
            at_least(f"accounting.{called}", rows / spent_s, "rows/s", LEAST_ROWS_PER_S)
        )
    return measures


def _mb_per_s(cases: Iterable[tuple[str, Iterator[str], dict[str, Any]]]) -> list[Measure]:
    """Measure formats whose records are long: 3 kB, or twenty lines."""
    measures = []
    for name, lines, options in cases:
        _, spent_s, mb = _measured(name, lines, options)
        measures.append(at_least(f"accounting.{name}", mb / spent_s, "MB/s", LEAST_MB_PER_S))
    return measures


def _measured(
    name: str, lines: Iterator[str], options: dict[str, Any]
) -> tuple[int, float, float]:
    """Return rows, the better of two times in s, and MB of a file."""
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        path = Path(made) / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        spent_s, done = seconds(lambda: _import(name, path, options), times=2)
        assert done["used"] + done["merged"] > 0.99 * done["read"] > 0, done
        return done["read"], spent_s, path.stat().st_size / 1e6


def _import(name: str, path: Path, options: dict[str, Any]) -> dict[str, int]:
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        return import_as(name, [path], options, Path(made)).rows


def _jobs() -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield number, submit (s of the year), wait, run (s), user and GPUs of jobs."""
    rng = np.random.default_rng(0)
    submit = np.sort(rng.integers(0, 365 * 86_400, ROWS))
    wait, run = (rng.exponential(mean, ROWS).astype(np.int64) for mean in (1800.0, 7200.0))
    users, gpus = rng.integers(0, 300, ROWS), rng.integers(0, 5, ROWS)
    return zip(
        range(ROWS), submit.tolist(), wait.tolist(), run.tolist(), users.tolist(), gpus.tolist(),
        strict=True,
    )  # fmt: skip


def _clock() -> list[str]:
    """Return the local time of each second of the first 14 months, without an offset, by minute."""
    minutes = pd.date_range("2025-01-01", periods=427 * 1440, freq="min", tz="UTC")
    return minutes.tz_convert(ZONE).strftime("%Y-%m-%dT%H:%M").tolist()


def _sacct() -> Iterator[str]:
    clock = _clock()

    def at(second: int) -> str:
        return f"{clock[second // 60]}:{second % 60:02d}"

    yield SACCT
    for job, submit, wait, run, user, gpus in _jobs():
        start, cpus = submit + wait, 4 * gpus + 4
        tres = f"billing={cpus},cpu={cpus},gres/gpu:a100={gpus},gres/gpu={gpus},mem={8 * cpus}G"
        yield (
            f"{job}|u{user}|a{user % 40}|gpu|COMPLETED|{at(submit)}|{at(start)}|{at(start + run)}|"
            f"{run}|{cpus}|{tres},node=1"
        )


def _tidy() -> Iterator[str]:
    clock = _clock()
    yield "job_id,user,project,start_utc,end_utc,gpus,cpus,mem_gb"
    for job, submit, wait, run, user, gpus in _jobs():
        start, end = clock[(submit + wait) // 60], clock[(submit + wait + run) // 60 + 120]
        yield f"{job},u{user},a{user % 40},{start},{end},{gpus},{4 * gpus + 4},{8 * gpus}.5"


def _swf() -> Iterator[str]:
    yield "; UnixStartTime: 1735689600"
    for job, submit, wait, run, user, gpus in _jobs():
        yield (
            f"{job} {submit} {wait} {run} {gpus} -1 -1 {gpus} 86400 -1 1 {user} {user % 40} -1 1 1 "
            "-1 -1"
        )


def _aggregates() -> Iterator[str]:
    yield "period_start,period_end,site,project,resource,ledger,quantity"
    for n in range(ROWS):
        month = f"2026-{1 + n % 12:02d}"
        yield f"{month}-01,{month}-28,site-{n % 7},p{n // 12},gpu,allocated,{n % 997}.5"


def _portal() -> Iterator[str]:
    yield ("time,benchmark,ce,country,federation,infrastructure,site,tier,vo,number_of_jobs,"
           "raw_cpu_time,raw_wc_time")  # fmt: skip
    for n in range(ROWS):
        yield (f"{2000 + n // 40_000}-{1 + n % 12:02d}-01T00:00:00Z,HEPSPEC,ce{n // 12},Spain,f,"
               f"Cloud,site-{n % 70},0,vo{n % 41},12,{900 + n % 7},{1000 + n % 7}")  # fmt: skip


def _projects() -> Iterator[str]:
    yield '"Project","Servers","RAM MB-Hours","CPU Hours","Disk GB-Hours"'
    for n in range(ROWS // 4):
        yield f'"{n:032x}","[1, 2]","{n}.5","5760.0","144000.0"'


def _days() -> Iterator[str]:
    yield "date;cpu_num;cpu_MHz;memory_MB;disk_MB;gpu_num;queued;running"
    first = np.datetime64("1971-01-01")
    for n in range(ROWS // 5):
        yield f"{first + n};{n % 99};8000;8000;20000;{n % 9};1;1"


def _invocations() -> Iterator[str]:
    yield ",".join(COLUMNS_2021)
    for n in range(ROWS):
        yield f"{n % 300:064x},{n % 900:064x},{n * 3.02:.6f},{n % 50 / 10}"


def _functions() -> Iterator[str]:
    yield ",".join((*KEYS_2019, *MINUTES))
    counts = np.random.default_rng(0).poisson(0.4, (100, len(MINUTES)))
    for n in range(ROWS // 40):
        hashes = f"{n % 50:064x},{n % 300:064x},{n:064x}"
        yield f"{hashes},http,{','.join(map(str, counts[n % 100]))}"


def _machines() -> Iterator[str]:
    yield "APEL-cloud-message: v0.4"
    for n in range(ROWS // 4):
        yield (
            "CloudComputeService: ifca-nova\nCloudType: caso/5.2.2 (OpenStack)\nCpuCount: 8\n"
            "CpuDuration: 691200\nDisk: 200\nEndTime: 1788336000\nFQAN: vo.ai4eosc.eu\n"
            "GlobalUserName: a1b2@egi.eu\nImageId: img-1\nLocalGroupId: p1\nLocalUserId: u1\n"
            "MachineName: train-01\nMemory: 65536\nPublicIPCount: 0\nSiteName: IFCA-LCG2\n"
            "StartTime: 1788249600\nStatus: completed\n"
            f"VMUUID: 8e3a2c1e-1111-4222-8333-{n:012d}\nWallDuration: 86400\n%%"
        )
