"""The folder of an import: its two tables, and what time they cover."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.accounting.spool import arrow_schema, frames
from analysis.accounting.tables import AGGREGATES, JOBS, SCHEMAS
from analysis.accounts.rules import Rules, gaps_of
from analysis.fingerprint import file_sha256
from sim.errors import DataError

_TIMES = ("submit_utc", "start_utc", "end_utc")


@dataclass(frozen=True, eq=False)
class Accounts:
    """Tables that `aiaas import` wrote.

    Args:
        folder: Where they lie.
        options: What the import was told.
        rows: Rows of each table.
        begins: Jobs are known from then on, midnight UTC; None without jobs that started.
        ends: They are known up to then, midnight UTC.
        until: Jobs that still run are counted up to then.
        stated: Whether `begins` and `ends` were stated, or else assumed from the jobs.
        gaps: From when to when the data, jobs and aggregates, are known to lack something.
    """

    folder: Path
    options: dict[str, Any]
    rows: dict[str, int]
    begins: pd.Timestamp | None
    ends: pd.Timestamp | None
    until: pd.Timestamp | None
    stated: bool
    gaps: tuple[tuple[pd.Timestamp, pd.Timestamp], ...] = ()

    def gap(self, first: pd.Timestamp, last: pd.Timestamp) -> str:
        """Say which gaps a span of time touches; nothing if there are none."""
        met = [(a, b - pd.Timedelta(days=1)) for a, b in self.gaps if a < last and first < b]
        days = ", ".join(f"{a:%Y-%m-%d} to {b:%Y-%m-%d}" for a, b in met)
        said = f"the data lack something ({days}, gaps in data.yaml or masks of the import)"
        return said if met else ""

    def cover(self, first: pd.Timestamp, last: pd.Timestamp) -> bool:
        """Return whether jobs are known from one moment to another."""
        if self.begins is None or self.ends is None:
            return False
        return bool(self.begins <= first and last <= self.ends) and not self.gap(first, last)

    def jobs(self, *columns: str) -> Iterator[pd.DataFrame]:
        """Yield columns of the jobs, piece by piece."""
        return frames(self.folder / f"{JOBS}.parquet", list(columns))

    def aggregates(self) -> pd.DataFrame:
        """Return the aggregates."""
        return pd.read_parquet(self.folder / f"{AGGREGATES}.parquet")

    def sites(self) -> list[str]:
        """Return the names of sites, as the data have them; where a job only waited is none."""
        names: set[str] = set(self.aggregates()["site"])
        for frame in self.jobs("site", "start_utc"):
            names |= set(frame.loc[frame["start_utc"].notna(), "site"].unique())
        return sorted(names)

    def files(self) -> dict[str, Path]:
        """Return the files by name."""
        return {name: self.folder / name for name in (f"{JOBS}.parquet", f"{AGGREGATES}.parquet")}

    def sha256(self) -> dict[str, str]:
        """Return the hashes of the tables by name."""
        return {name: file_sha256(path) for name, path in self.files().items()}

    def covered(self) -> str:
        """Return the days that jobs cover in words."""
        if self.begins is None or self.ends is None:
            return "no time"
        last = self.ends - pd.Timedelta(days=1)
        how = "stated" if self.stated else "assumed: from the first start to the last moment known"
        return f"{self.begins:%Y-%m-%d} to {last:%Y-%m-%d} ({how})"


def open_accounts(folder: Path, rules: Rules) -> Accounts:
    """Open the folder of an import.

    Args:
        folder: As `aiaas import` says it at its end.
        rules: Say what the jobs cover, if anybody knows.

    Raises:
        DataError: When it is none, or its tables are not as the import wrote them.
    """
    if not folder.is_dir():
        near = [p.name for p in folder.parent.iterdir()] if folder.parent.is_dir() else []
        expected = "a folder written by aiaas import"
        raise DataError("no such folder", str(folder), expected, folder.name, near)
    rows = {table: _rows(folder, table) for table in SCHEMAS}
    if not any(rows.values()):
        raise DataError("nothing in it", str(folder), "jobs or aggregates")
    manifest = _manifest(folder / "manifest.json")
    first, last = _span(folder)
    told = manifest.get("until_utc")
    until = last if told is None else pd.Timestamp(told)
    days = rules.covered_days()
    begins = None if first is None else first.floor("D")
    ends = None if first is None or until is None else until.ceil("D")
    if days:
        begins, ends = (pd.Timestamp(day, tz="UTC") for day in days)
        ends += pd.Timedelta(days=1)
    options = manifest.get("options") or {}
    lacking = manifest.get("lacking") or () if rules.masked == "left_out" else ()
    gaps = gaps_of([*rules.gaps, *lacking])
    return Accounts(folder, options, rows, begins, ends, until, days is not None, gaps)


def site_names(accounts: Accounts, rules: Rules, sites: Collection[str]) -> dict[str, str]:
    """Return the federation's site for each site of the data.

    Where the data do not say a site it is that of the federation, if that has only one.

    Raises:
        DataError: When a site is not of the federation and not in `site_of`.
    """
    found: dict[str, str] = {}
    for name in accounts.sites():
        site = rules.site_of.get(name, name)
        if site == "" and len(sites) == 1:
            site = next(iter(sites))
        if site not in sites:
            expected = f"one of {', '.join(sites)}, or a row of site_of in data.yaml"
            where = f"{accounts.folder}, column site"
            raise DataError("unknown site", where, expected, site or "(empty)", sites)
        found[name] = site
    return found


def _rows(folder: Path, table: str) -> int:
    path = folder / f"{table}.parquet"
    if not path.is_file():
        near = [p.name for p in folder.iterdir()]
        expected = "a folder written by aiaas import"
        raise DataError("no such file", str(path), expected, path.name, near)
    try:
        file = pq.ParquetFile(path)
        wanted, found = arrow_schema(table), file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        what = str(error).splitlines()[0]
        raise DataError("cannot be read", str(path), "parquet of aiaas import", what) from None
    if found.names != wanted.names or found.types != wanted.types:
        given = ", ".join(n for n in found.names if n not in wanted.names) or "other types"
        raise DataError("not a table of an import", str(path), ", ".join(wanted.names), given)
    return int(file.metadata.num_rows)


def _manifest(path: Path) -> dict[str, Any]:
    """Return what the import said of itself; nothing if only the tables were kept."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("verb") == "import" and data.get("status") == "finished":
            return dict(data)
    except (ValueError, OSError, AttributeError) as error:
        raise DataError("cannot be read", str(path), "JSON", str(error)) from None
    raise DataError("not an import that finished", str(path), "the manifest of aiaas import")


def _span(folder: Path) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Return the first start and the last moment of jobs."""
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None
    for frame in frames(folder / f"{JOBS}.parquet", list(_TIMES)):
        begin, end = frame["start_utc"].min(), frame.max().max()
        if pd.notna(begin):
            first = begin if first is None else min(first, begin)
        if pd.notna(end):
            last = end if last is None else max(last, end)
    return first, last
