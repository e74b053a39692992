"""Snapshots of ai4-accounting, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.accounting_by_hand import Result, import_of

DAY = "2024-09-02T"


def job_record(job_id: str = "1", start: str | None = None, end: str | None = None,
               **changed: Any) -> dict[str, Any]:  # fmt: skip
    """Return a record of a snapshot: 2 GPUs and 4 cores, queued without a start."""
    resources = {"cpu_num": 4, "cpu_MHz": 8000, "gpu_num": 2, "memory_MB": 8000, "disk_MB": 100}
    resources |= changed.pop("resources", {})
    status = "queued" if start is None else "running" if end is None else "complete"
    return {
        "job_ID": job_id, "name": f"module-{job_id}", "status": status, "owner": "u1", "title": "t",
        "docker_image": "x", "submit_time": "2024-09-01 22:00:00", "alloc_ID": f"a{job_id}",
        "datacenter": "ifca", "alloc_start": start, "alloc_end": end, **changed,
        "resources": resources,
    }  # fmt: skip


def written(folder: Path, shown: dict[str, Any], namespace: str = "ns") -> list[Path]:
    """Write snapshots, given by the hour of 2 September or by their whole name."""
    paths = []
    for name, records in shown.items():
        path = folder / (f"{DAY}{name}:00:00.json" if len(name) == 2 else name)
        data = records if isinstance(records, dict) else {namespace: records}
        path.write_text(json.dumps(data), encoding="utf-8")
        paths.append(path)
    return paths


def read_snapshots(folder: Path, shown: dict[str, Any], **options: Any) -> Result:
    """Import snapshots, given as for `written`."""
    return import_of("ai4_accounting", folder, *written(folder, shown), **options)
