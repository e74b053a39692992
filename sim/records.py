"""The tables a run leaves: columns, types, units and meaning, declared once.

The data dictionary in the docs is generated from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.errors import EngineError


@dataclass(frozen=True)
class Column:
    """A column: name, pandas dtype, unit ("-" for none) and what it means."""

    name: str
    dtype: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: the file it is written to, what a row is, and its columns in order."""

    file: str
    row: str
    columns: tuple[Column, ...]

    def frame(self, data: Mapping[str, Any]) -> pd.DataFrame:
        """Build the table from its columns' values.

        Raises:
            EngineError: When a column is missing or not declared.
        """
        names = [c.name for c in self.columns]
        if set(names) != set(data):
            raise EngineError(
                "columns do not match their declaration",
                self.file,
                ", ".join(names),
                ", ".join(data),
            )
        return pd.DataFrame(
            {c.name: pd.Series(data[c.name]).astype(c.dtype) for c in self.columns}  # type: ignore[call-overload]
        )


def _c(name: str, dtype: str, unit: str, meaning: str) -> Column:
    return Column(name, dtype, unit, meaning)


_REPLICATE = _c("replicate", "int64", "-", "number of the replicate, from 0")

USAGE = Table(
    "usage.parquet",
    "one quantity of one month, site, installation, use case, resource and ledger; zeros left out",
    (
        _REPLICATE,
        _c("month", "int64", "-", "project month, 1 is M1"),
        _c("site", "str", "-", "resource provider"),
        _c(
            "installation",
            "str",
            "-",
            "row of the accounting report: a site's resource for the provisioned ledger and for "
            "storage, the platform service that holds or uses it otherwise",
        ),
        _c("use_case", "str", "-", 'use case, "-" for none'),
        _c("resource", "str", "-", "gpu, cpu or storage"),
        _c("ledger", "str", "-", "provisioned, allocated or active (storage has no active ledger)"),
        _c("quantity", "float64", "see unit", "how much, in the month"),
        _c("unit", "str", "-", "GPU-h, CPU-h or TB-month (1 TB = 10**12 bytes, calendar month)"),
    ),
)

DEPLOYMENTS = Table(
    "deployments.parquet",
    "one deployment, or one request that was withdrawn (then nothing from started_h on)",
    (
        _REPLICATE,
        _c("deployment", "str", "-", "use_case/user#request.part; a part above 0 continues a kill"),
        _c("use_case", "str", "-", "use case"),
        _c("user", "str", "-", "use_case/number of the user"),
        _c("country", "str", "-", "country of the user, ISO 3166 alpha-2"),
        _c("site", "str", "-", "site that ran it, empty if withdrawn"),
        _c("pool", "str", "-", "pool that ran it, empty if withdrawn"),
        _c("gpus", "float64", "GPU", "GPUs held; below 1 if a GPU is shared"),
        _c("cores", "int64", "core", "cores reserved"),
        _c("requested_h", "float64", "h", "when it was asked for, since the start of the project"),
        _c("started_h", "float64", "h", "when it started, its node being up; missing if withdrawn"),
        _c("last_active_h", "float64", "h", "end of the last burst"),
        _c("released_h", "float64", "h", "when it was released, withdrawn or cut by the horizon"),
        _c("released_why", "str", "-", "why it ended: released promptly, released late, "
           "released as idle or released after a warning (an idle policy), maximum lifetime "
           "reached or script ended (terms of admission), pool out, pool closed, "
           "still running at the horizon; patience ended if withdrawn"),
        _c("works", "int64", "-", "requests served in it (more than 1 if re-used while idle)"),
        _c("active_h", "float64", "h", "time in bursts"),
        _c("lost_h", "float64", "h", "time of a burst that was cut and done again elsewhere"),
    ),
)

SERVING = Table(
    "serving.parquet",
    "one application and month, from the month in which it is hosted",
    (
        _REPLICATE,
        _c("month", "int64", "-", "project month, 1 is M1"),
        _c("site", "str", "-", "site of the cluster"),
        _c("cluster", "str", "-", "cluster that runs it"),
        _c("application", "str", "-", "application"),
        _c("use_case", "str", "-", "use case that offers it"),
        _c("kind", "str", "-", "sync, async, exposed or keep_alive, as the federation says"),
        _c("invocations", "int64", "-", "requests that were answered in the month"),
        _c("cold", "int64", "-", "of these, how many waited for a replica that had to start"),
        _c("timeouts", "int64", "-", "requests that gave up waiting in the month"),
        _c("rejected", "int64", "-", "requests that were turned away because too many waited"),
        _c("failed", "int64", "-", "jobs that failed in every attempt they were allowed"),
        _c("wait_p50_s", "float64", "s", "median time from arrival to the begin of computing"),
        _c("wait_p95_s", "float64", "s", "95 % quantile of it"),
        _c("wait_p99_s", "float64", "s", "99 % quantile of it"),
        _c("response_p50_s", "float64", "s", "median time from arrival to answer"),
        _c("response_p95_s", "float64", "s", "95 % quantile of it"),
        _c("response_p99_s", "float64", "s", "99 % quantile of it"),
        _c("busy_s", "float64", "s", "computing time of its replicas in the month"),
        _c("replica_s", "float64", "s", "time its replicas were there in the month"),
        _c("cores", "int64", "core", "cores of a replica"),
        _c("cluster_node_h", "float64", "node-h", "hours of all nodes of the cluster, for all "
           "applications on it together"),
    ),
)

TABLES = (USAGE, DEPLOYMENTS, SERVING)
