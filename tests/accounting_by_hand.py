"""Imports of small texts, for tests: what is read, what is refused, what adds up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.accounting.importing import Imported, import_as
from analysis.accounting.totals import monthly

GOLDEN = Path(__file__).parent / "golden" / "accounting"


@dataclass(frozen=True, eq=False)
class Result:
    """An import and the tables it wrote."""

    done: Imported
    jobs: pd.DataFrame
    aggregates: pd.DataFrame
    refused: pd.DataFrame

    @property
    def said(self) -> str:
        """All notes in one text."""
        return "\n".join(self.done.reading.notes)

    def hours(self, until: str | None = None, *by: str) -> dict[Any, float]:
        """Return hours held by month, `by` and resource."""
        end = None if until is None else pd.Timestamp(until, tz="UTC")
        table = monthly([self.jobs], end, by)
        return table.set_index(["month", *by, "resource"])["quantity"].to_dict()


def goldens() -> list[tuple[str, Path]]:
    """Return the golden files with the format of each."""
    files = sorted(p for p in GOLDEN.glob("*.*") if not p.name.endswith(".options.yaml"))
    return [(path.name.partition(".")[0], path) for path in files]


def golden_options(name: str) -> dict[str, Any]:
    """Return the options that a format's golden files need."""
    path = GOLDEN / f"{name}.options.yaml"
    options = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "map" in options:  # a file beside it
        options["map"] = str(GOLDEN / "maps" / options["map"])
    return options


def import_of(name: str, folder: Path, *files: Path | str | bytes, **options: Any) -> Result:
    """Import files, or texts that are written to files first, with options of the format."""
    paths = []
    for number, file in enumerate(files):
        path = file if isinstance(file, Path) else folder / f"given{number}.txt"
        if not isinstance(file, Path):
            path.write_bytes(file.encode() if isinstance(file, str) else file)
        paths.append(path)
    until = options.pop("until", None)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    end = None if until is None else pd.Timestamp(until, tz="UTC")
    done = import_as(name, paths, options, out, end)
    jobs, aggregates = (pd.read_parquet(out / f"{t}.parquet") for t in ("jobs", "aggregates"))
    return Result(done, jobs, aggregates, pd.read_csv(out / "refused.csv"))
