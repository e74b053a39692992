"""Runs every benchmark and writes `benchmarks/results.json`: `make bench`.

The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.table import Table

from analysis.progress import progress, stdout
from benchmarks import (
    accounting,
    accounting_json,
    engine,
    paired,
    serving,
    serving_cluster,
    snapshots,
)
from benchmarks.measure import Measure, plain

RESULTS = Path(__file__).with_name("results.json")
BENCHMARKS = (
    engine.events_and_speed,
    engine.growth_of_cost,
    engine.estimates,
    paired.variance_and_time,
    serving.keep_alive,
    serving.other_kinds,
    serving.busy_year,
    serving.simfaas,
    serving_cluster.many_applications,
    accounting.throughput,
    accounting.memory,
    accounting_json.throughput,
    snapshots.throughput,
)


def main() -> int:
    """Run all benchmarks; return 1 if one misses its goal."""
    measures: list[Measure] = []
    with progress("benchmarks", len(BENCHMARKS)) as advance:
        for benchmark in BENCHMARKS:
            measures += benchmark()
            advance(1)
    results = [plain(m) for m in measures]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = Table("measured", "value", "unit", "goal", "holds")
    for row in results:
        value = f"{row['value']:,}"
        table.add_row(row["name"], value, row["unit"], row["goal"] or "", str(row["holds"]))
    stdout().print(table)
    return 0 if all(m.holds for m in measures) else 1


if __name__ == "__main__":
    sys.exit(main())
