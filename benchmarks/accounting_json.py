"""Reading accounting in JSON: MB a second from a file to the two tables."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from analysis.accounting.importing import import_as
from benchmarks.measure import Measure, at_least, seconds

RECORDS = 100_000  # of each file
LEAST_MB_PER_S = 20.0  # asked for by the project


def throughput() -> list[Measure]:
    """Import servers of Nova, allocations of OpenCost, GPUs of APEL and months of EGI's portal."""
    measures = []
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        for name, made_of, options in (
            ("os_simple_tenant_usage", _servers, {"unknown_flavors": "no_gpus"}),
            ("opencost", _allocations, {}),
            ("apel_gpu", _gpus, {}),
            ("egi_portal", _months, {}),
        ):
            path = Path(made) / name
            path.write_text(json.dumps(made_of()), encoding="utf-8")
            spent_s, read = seconds(lambda p=path, n=name, o=options: _import(n, p, o), times=2)
            assert read == {"read": RECORDS, "refused": 0}, read
            speed = path.stat().st_size / 1e6 / spent_s
            measures.append(at_least(f"accounting.{name}", speed, "MB/s", LEAST_MB_PER_S))
    return measures


def _import(name: str, path: Path, options: dict[str, Any]) -> dict[str, int]:
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        rows = import_as(name, [path], options, Path(made)).rows
    return {key: rows[key] for key in ("read", "refused")}


def _servers() -> dict[str, Any]:
    servers = [
        {
            "ended_at": "2026-09-02T20:10:44.541277", "flavor": f"m{n % 9}.large", "hours": 24.0,
            "instance_id": f"1f1deceb-17b5-4c04-84c7-{n:012d}", "local_gb": 20, "memory_mb": 8192,
            "name": f"instance-{n}", "started_at": "2026-09-01T20:10:44.541277",
            "state": "terminated", "tenant_id": f"{n % 40:032x}", "uptime": 86400, "vcpus": 4,
        }
        for n in range(RECORDS)
    ]  # fmt: skip
    window = {"start": "2026-09-01T00:00:00.000000", "stop": "2026-10-01T00:00:00.000000"}
    return {"tenant_usages": [{"server_usages": servers, **window}]}


def _allocations() -> dict[str, Any]:
    first, data = np.datetime64("2026-01-01"), []
    for day in range(250):
        start, end = (f"{first + day + n}T00:00:00Z" for n in (0, 1))
        data.append({
            f"namespace-{n}": {
                "name": f"namespace-{n}", "properties": {"cluster": "c", "namespace": f"n{n}"},
                "window": {"start": start, "end": end}, "start": start, "end": end,
                "minutes": 1440.0, "cpuCores": 1.25, "cpuCoreRequestAverage": 1.1,
                "cpuCoreUsageAverage": 0.3321, "cpuCoreHours": 30.0 + n / 7, "cpuCost": 0.94,
                "gpuCount": 2, "gpuHours": 48.0, "gpuCost": 45.6, "ramBytes": 123456789.5,
                "ramByteHours": 2.96e9, "ramCost": 0.01, "pvBytes": 1e12, "pvByteHours": 2.4e13,
                "pvCost": 1.32, "totalCost": 47.87,
            }
            for n in range(RECORDS // 250)
        })  # fmt: skip
    return {"code": 200, "data": data}


def _gpus() -> dict[str, Any]:
    records = [
        {
            "SiteName": f"SITE-{n % 7}", "CloudType": "caso/5.2.2 (OpenStack)",
            "CloudComputeService": "nova", "AssociatedRecord": f"8e3a2c1e-1111-4222-{n:012d}",
            "GlobalUserName": "a1b2@egi.eu", "FQAN": f"vo{n % 5}.eu", "Count": 1 + n % 4,
            "AvailableDuration": 86400, "MeasurementMonth": 1 + n % 12, "MeasurementYear": 2026,
            "AssociatedRecordType": "cloud", "Type": "GPU", "Model": "NVIDIA A100 40GB",
            "ActiveDuration": 86400,
        }
        for n in range(RECORDS)
    ]  # fmt: skip
    return {"Type": "APEL-accelerator-message", "Version": "0.1", "UsageRecords": records}


def _months() -> dict[str, Any]:
    columns = [
        "time", "benchmark", "ce", "country", "federation", "infrastructure", "site", "tier", "vo",
        "number_of_jobs", "raw_cpu_eff", "raw_cpu_time", "raw_cpu_work", "raw_wc_time",
        "raw_wc_work",
    ]  # fmt: skip
    values = [
        [
            f"{2010 + n % 15}-{1 + n % 12:02d}-01T00:00:00Z", "HEPscore23", f"ce{n}.example.org",
            "Spain", "NGI_IBERGRID", "Grid", f"SITE-{n % 200}", None, f"vo{n % 37}.example.org", n,
            0.9, 900.5 + n, 9005.25 + n, 1000.5 + n, 10000.25 + n,
        ]
        for n in range(RECORDS)
    ]  # fmt: skip
    series = {"name": "grid", "columns": columns, "values": values, "partial": False}
    return {"results": [{"statement_id": 0, "series": [series]}]}
